// Package kinds lists the kinds of steps. A new kind is a package below this one, with an entry here.
package kinds

import (
	"triality/experiments/graph"
	"triality/experiments/kinds/abtest"
	"triality/experiments/kinds/basemodel"
	"triality/experiments/kinds/burnin"
	"triality/experiments/kinds/chart"
	"triality/experiments/kinds/compare"
	"triality/experiments/kinds/convert"
	"triality/experiments/kinds/export"
	"triality/experiments/kinds/finetune"
	"triality/experiments/kinds/input"
	"triality/experiments/kinds/merge"
	"triality/experiments/kinds/metric"
	"triality/experiments/kinds/note"
	"triality/experiments/kinds/query"
	"triality/experiments/kinds/repeats"
	"triality/experiments/kinds/replace"
	"triality/experiments/kinds/report"
	"triality/experiments/kinds/samples"
	"triality/experiments/kinds/sweep"
	"triality/experiments/kinds/table"
)

// Engine does the work of every kind.
type Engine interface {
	basemodel.Engine
	convert.Engine
	finetune.Engine
	replace.Engine
	abtest.Engine
	repeats.Engine
	report.Engine
	merge.Engine
	burnin.Engine
	export.Engine
	metric.Engine
	chart.Engine
	compare.Engine
	samples.Engine
	query.Engine
}

// All are the kinds, with the engine that they run on.
func All(e Engine) []graph.Kind {
	return []graph.Kind{
		basemodel.Kind(e), convert.Kind(e), finetune.Kind(e), merge.Kind(e), replace.Kind(e), burnin.Kind(e), export.Kind(e),
		abtest.Kind(e), repeats.Kind(e), metric.Kind(e), report.Kind(e), sweep.Kind(),
		input.Kind(), note.Kind(), query.Kind(e), table.Kind(), chart.Kind(e), compare.Kind(e), samples.Kind(e),
	}
}
