package experiments

import (
	"fmt"
	"strings"
)

// TestSet says which rows an A/B test used, and whether the training data has them too.
type TestSet struct {
	Path     string   `json:"path"`
	Rows     int      `json:"rows"`
	Skipped  int      `json:"skipped"` // bad lines
	Problems []string `json:"problems,omitempty"`
	// Checked is whether the rows were compared with the training rows; Reason says why not.
	Checked   bool   `json:"checked"`
	Reason    string `json:"reason,omitempty"`
	TrainRows int    `json:"train_rows"`
	// InTraining counts the rows that the training rows have, by group or as a near-duplicate; SameGroup and
	// NearDuplicates count each. Unproven are those of which it is not known: too many others are nearly alike.
	InTraining     int `json:"in_training"`
	SameGroup      int `json:"same_group"`
	NearDuplicates int `json:"near_duplicates"`
	Unproven       int `json:"unproven,omitempty"`
}

// Held says whether no row of the test is known or suspected to be in the training data. Of a result without a
// TestSet, from before it was kept, nothing is known.
func (t *TestSet) Held() bool { return t != nil && t.Checked && t.InTraining == 0 && t.Unproven == 0 }

// FirstProblem is what was wrong with the first bad line; nothing in a result that a client stored without it.
func (t *TestSet) FirstProblem() string {
	return strings.Join(t.Problems[:min(1, len(t.Problems))], "")
}

// Sentence is the headline's sentence about the rows.
func (t *TestSet) Sentence() string {
	switch {
	case t == nil:
		return "not checked against the training data: the result is from before that was done"
	case !t.Checked:
		return "not checked against the training data: " + t.Reason
	case t.InTraining > 0:
		return fmt.Sprintf("WARNING: %d of the %d test rows are in the training data (%d by source_sample, %d as near-duplicates): these are not figures of held-out rows",
			t.InTraining, t.Rows, t.SameGroup, t.NearDuplicates)
	case t.Unproven > 0:
		return fmt.Sprintf("%d of the %d test rows may be in the training data: too many rows are nearly alike to compare all", t.Unproven, t.Rows)
	}
	return fmt.Sprintf("held out: none of the %d test rows is among the %d training rows, by source_sample or as a near-duplicate", t.Rows, t.TrainRows)
}
