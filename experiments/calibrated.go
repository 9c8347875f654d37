package experiments

import "triality/experiments/calibration"

// Values of a test's thresholds: what they are chosen for.
const (
	ThresholdsNone       = "none"
	ThresholdsAccuracy   = "accuracy"
	ThresholdsMacroF1    = "macro_f1"
	ThresholdsFalseAllow = "false_allow"
)

// Calibration is what was fitted to one model's answers on rows of the validation split, and what it changes. The model's
// figures in a result, its rows' probabilities and answers among them, are those after it.
type Calibration struct {
	Rows int `json:"rows"` // of the validation split
	// Temperature divides the labels' log-probabilities; 1 where none was wanted or none was to be found, as Note says.
	Temperature float64 `json:"temperature"`
	Note        string  `json:"note,omitempty"`
	// Thresholds of Labels, which sum to 1: the answer is the label whose probability is the largest multiple of its
	// threshold. Nil: the likeliest label. Goal is what they were chosen for, and Limit that of false_allow.
	Thresholds []float64 `json:"thresholds,omitempty"`
	Goal       string    `json:"goal,omitempty"`
	Limit      float64   `json:"limit,omitempty"`
	// Validation is where it was fitted, which flatters it; Test the rows of the test.
	Validation BeforeAfter `json:"validation"`
	Test       BeforeAfter `json:"test"`
}

// BeforeAfter are figures of the same rows without and with what was fitted.
type BeforeAfter struct {
	Before Calibrated `json:"before"`
	After  Calibrated `json:"after"`
}

// Calibrated are figures of one model's probabilities and answers.
type Calibrated struct {
	Scores
	LogLoss     float64           `json:"log_loss"`
	ECE         float64           `json:"ece"`         // expected calibration error, ten bins
	FalseAllow  float64           `json:"false_allow"` // of the rows to deny or refuse; 0 where there are none
	Reliability []calibration.Bin `json:"reliability"`
}
