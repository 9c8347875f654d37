package train

import (
	"fmt"
	"math"
)

// Schedulers lists the values of lr_scheduler_type.
func Schedulers() []string { return []string{"cosine", "linear", "constant"} }

// schedule gives the learning rate of each optimizer step as transformers computes it
// (get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup,
// get_constant_schedule_with_warmup): warm-up is ceil(warmup_ratio · total) steps that rise linearly
// from 0, and the first step has the factor of step 0.
type schedule struct {
	kind          string
	peak          float64
	warmup, total int
}

func newSchedule(kind string, peak, warmupRatio float64, total int) (schedule, error) {
	switch kind {
	case "cosine", "linear", "constant":
	default:
		return schedule{}, fmt.Errorf("lr_scheduler_type: %q is not one of %q", kind, Schedulers())
	}
	return schedule{kind: kind, peak: peak, warmup: int(math.Ceil(float64(total) * warmupRatio)), total: total}, nil
}

// rate is the learning rate of the optimizer step that follows done finished steps.
func (s schedule) rate(done int) float64 {
	if done < s.warmup {
		return s.peak * float64(done) / float64(max(1, s.warmup))
	}
	rest := float64(max(1, s.total-s.warmup))
	switch s.kind {
	case "cosine":
		progress := float64(done-s.warmup) / rest
		return s.peak * math.Max(0, 0.5*(1+math.Cos(math.Pi*progress)))
	case "linear":
		return s.peak * math.Max(0, float64(s.total-done)/rest)
	}
	return s.peak
}
