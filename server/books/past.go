package books

import (
	"slices"

	"triality/experiments"
	"triality/experiments/notebook"
	"triality/experiments/pipeline"
)

// past is what a notebook's runs say of its cells.
type past struct {
	doc  *notebook.Document
	runs []experiments.Run // the newest first
	now  *experiments.Run  // waiting or under way; nil: none
	// since is what changed since a run, by its id.
	since map[string]changes
}

type changes struct {
	book            bool // the run's configuration is a notebook
	cells, settings []string
}

func newPast(doc *notebook.Document, runs []experiments.Run) past {
	p := past{doc: doc, runs: runs, since: map[string]changes{}}
	if i := slices.IndexFunc(runs, func(r experiments.Run) bool { return !r.Status.Done() }); i >= 0 {
		p.now = &runs[i]
	}
	return p
}

// stepOf is the step of a run that is named as a cell; nil: there is none.
func stepOf(run experiments.Run, cell string) *experiments.Step {
	i := slices.IndexFunc(run.Steps, func(s experiments.Step) bool { return s.Title() == cell })
	if i < 0 {
		return nil
	}
	return &run.Steps[i]
}

// unfinished is a cell that has no result: one that is under way, that failed so, that shows what is no longer its own, or
// that never ran. needs are those of the whole plan.
func (p past) unfinished(c *Cell, needs map[string][]string) {
	c.State = New
	if p.under(c) {
		return
	}
	for _, run := range p.runs {
		step := stepOf(run, c.ID)
		if step == nil || step.Key != c.Key {
			continue
		}
		if step.Status == experiments.Failed {
			c.State, c.Error = Failed, step.Error
		}
		break
	}
	run := p.show(c)
	if run == nil || c.State == Failed {
		return
	}
	c.State = Stale
	changed := p.changes(run)
	if !changed.book {
		return
	}
	c.Settings = changed.settings
	for _, up := range upstream(c.ID, needs) {
		if slices.Contains(changed.cells, up) {
			c.Changes = append(c.Changes, up)
		}
	}
}

// under says whether the run that waits or is under way has the cell to do.
func (p past) under(c *Cell) bool {
	if p.now == nil {
		return false
	}
	step := stepOf(*p.now, c.ID)
	switch {
	case step != nil && step.Key != "" && step.Key != c.Key:
		return false // it was changed since
	case step != nil && step.Status == experiments.Running:
		c.State, c.Run, c.ShownOf, c.Progress = Running, p.now.ID, c.Key, step.Progress
		return true
	case step != nil && step.Status.Done():
		return false
	case step == nil && len(p.now.Steps) > 0:
		return false // it runs others
	}
	if slices.Contains(p.changes(p.now).cells, c.ID) {
		return false
	}
	c.State = Queued
	return true
}

// changes are those of the notebook since a run.
func (p past) changes(run *experiments.Run) changes {
	out, ok := p.since[run.ID]
	if !ok {
		before := notebook.Parse(configName, run.Config)
		out.cells, out.settings = p.doc.Changes(before)
		out.book = len(before.Cells()) > 0
		p.since[run.ID] = out
	}
	return out
}

// show gives a cell the newest output that a run of the notebook has of it, and that run.
func (p past) show(c *Cell) *experiments.Run {
	for i, run := range p.runs {
		if step := stepOf(run, c.ID); step != nil && hasResult(step) {
			c.Run, c.ShownOf, c.Ended = run.ID, step.Key, step.EndedAt
			return &p.runs[i]
		}
	}
	return nil
}

// needsOf is what each step of a plan needs.
func needsOf(steps []pipeline.PlannedStep) map[string][]string {
	needs := map[string][]string{}
	for _, s := range steps {
		needs[s.Name] = s.Needs
	}
	return needs
}

// upstream are a cell and those that it needs, however far.
func upstream(cell string, needs map[string][]string) []string {
	out, seen := []string{cell}, map[string]bool{cell: true}
	for i := 0; i < len(out); i++ {
		for _, n := range needs[out[i]] {
			if !seen[n] {
				seen[n] = true
				out = append(out, n)
			}
		}
	}
	return out
}
