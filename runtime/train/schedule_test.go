package train

import (
	"math"
	"strings"
	"testing"
)

// The wanted factors are those of transformers' get_*_schedule_with_warmup lambdas.
func TestScheduleGivesTheRatesOfTransformers(t *testing.T) {
	tests := []struct {
		name, kind string
		ratio      float64
		total      int
		want       map[int]float64
	}{
		{"constant without warm-up", "constant", 0, 10, map[int]float64{0: 1, 9: 1}},
		{"constant with warm-up rises from 0", "constant", 0.2, 10, map[int]float64{0: 0, 1: 0.5, 2: 1, 9: 1}},
		{"linear falls to one step above 0", "linear", 0, 10, map[int]float64{0: 1, 5: 0.5, 9: 0.1, 10: 0}},
		{"linear with warm-up rounded up", "linear", 0.25, 10, map[int]float64{0: 0, 1: 1. / 3, 2: 2. / 3, 3: 1, 4: 6. / 7}},
		{"cosine halves in the middle", "cosine", 0, 8, map[int]float64{0: 1, 2: (1 + math.Sqrt2/2) / 2, 4: 0.5, 8: 0}},
		{"cosine with warm-up", "cosine", 0.1, 20, map[int]float64{0: 0, 1: 0.5, 2: 1, 11: 0.5}},
		{"all warm-up", "cosine", 1, 4, map[int]float64{0: 0, 3: 0.75}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := newSchedule(tt.kind, 2, tt.ratio, tt.total)
			if err != nil {
				t.Fatal(err)
			}
			for done, want := range tt.want {
				if got := s.rate(done); math.Abs(got-2*want) > 1e-15 {
					t.Errorf("step %d: %g, want %g", done, got, 2*want)
				}
			}
		})
	}
	if _, err := newSchedule("polynomial", 1, 0, 1); err == nil || !strings.Contains(err.Error(), "lr_scheduler_type") {
		t.Errorf("unknown kind: %v", err)
	}
}
