package report

import "triality/experiments"

// testRows names the rows of an A/B test: held-out ones only where they were compared with the training rows and none
// is among them.
func (b *builder) testRows(ab *experiments.ABResult) string {
	n, t := count(ab.Rows), ab.TestSet
	switch {
	case t.Held():
		return b.t("rows.heldOut", n)
	case t == nil || !t.Checked:
		return b.t("rows.unchecked", n)
	case t.InTraining > 0:
		return b.t("rows.inTraining", n, count(t.InTraining))
	}
	return b.t("rows.unproven", n, count(t.Unproven))
}

// testSet says in remarks what the rows are worth as a test.
func (b *builder) testSet(p *page, t *experiments.TestSet) {
	switch {
	case t.Held():
		p.Remarks = append(p.Remarks, b.t("test.heldOut", count(t.TrainRows)))
	case t == nil || !t.Checked:
		p.Remarks = append(p.Remarks, b.t("test.unchecked"))
	case t.InTraining > 0:
		if p.Tone == "gain" { // a client's result: the verdict of ours knows of these rows
			p.Tone = "open"
		}
		p.Remarks = append(p.Remarks, b.t("test.inTraining", count(t.InTraining), count(t.Rows), count(t.SameGroup), count(t.NearDuplicates)))
	default:
		p.Remarks = append(p.Remarks, b.t("test.unproven", count(t.Unproven)))
	}
	if t != nil && t.Skipped > 0 {
		p.Remarks = append(p.Remarks, b.t("test.skipped", count(t.Skipped), t.FirstProblem()))
	}
}
