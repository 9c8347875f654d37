package train

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Errors a caller decides on; test with errors.Is.
var (
	// ErrInterrupted: the context was cancelled; a checkpoint was written and the same call resumes.
	ErrInterrupted = errors.New("training interrupted")
	// ErrNothingTrained: a step has no token to train on.
	ErrNothingTrained = errors.New("no token has a label to train on")
	// ErrNotFinite: the loss or the gradient is NaN or infinite.
	ErrNotFinite = errors.New("not finite")
	// ErrOtherRun: the folder holds checkpoints of another configuration, data set or model.
	ErrOtherRun = errors.New("the checkpoint belongs to another run")
	// ErrDamaged: a checkpoint file is truncated or its checksum does not match.
	ErrDamaged = errors.New("damaged checkpoint")
)

// checkIdentity compares what a checkpoint was made from with the run's own and names what differs.
func checkIdentity(path string, theirs, ours map[string]string) error {
	var diff []string
	seen := map[string]bool{}
	for _, m := range []map[string]string{theirs, ours} {
		for k := range m {
			if !seen[k] && theirs[k] != ours[k] {
				diff = append(diff, fmt.Sprintf("%s (checkpoint %s, now %s)", k, quoteMissing(theirs, k), quoteMissing(ours, k)))
			}
			seen[k] = true
		}
	}
	if len(diff) == 0 {
		return nil
	}
	sort.Strings(diff)
	return fmt.Errorf("%s: %w; what differs: %s; use another output folder or remove the old checkpoints", path, ErrOtherRun, strings.Join(diff, ", "))
}

func quoteMissing(m map[string]string, k string) string {
	v, ok := m[k]
	if !ok {
		return "absent"
	}
	if len(v) > 40 {
		v = v[:12] + "…"
	}
	return v
}
