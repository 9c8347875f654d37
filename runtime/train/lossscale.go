package train

import "fmt"

// The constants of dynamic loss scaling, as PyTorch's GradScaler has them: halved at an overflow, doubled
// after so many steps without one.
const (
	firstLossScale = 65536
	lossScaleSteps = 2000
	// smallestLossScale is where scaling is given up: gradients that overflow without it are no matter
	// of the format's small numbers.
	smallestLossScale = 1.0 / 1024
)

// lossScale is what the cost is multiplied by in Float16, whose smallest numbers gradients would fall
// below, and the state of the rule that changes it (Micikevicius et al. 2018).
type lossScale struct {
	Factor  float64 `json:"factor"`
	Good    int     `json:"good"`    // steps since it last changed
	Skipped int     `json:"skipped"` // steps that changed no weight
}

func newLossScale() *lossScale { return &lossScale{Factor: firstLossScale} }

// taken notes a step whose gradients were finite.
func (s *lossScale) taken() {
	if s.Good++; s.Good == lossScaleSteps {
		s.Factor, s.Good = 2*s.Factor, 0
	}
}

// overflowed notes a step whose gradients were not.
func (s *lossScale) overflowed() error {
	s.Factor, s.Good = s.Factor/2, 0
	s.Skipped++
	if s.Factor < smallestLossScale {
		return fmt.Errorf("the gradients overflow at any loss scale, %w", ErrNotFinite)
	}
	return nil
}
