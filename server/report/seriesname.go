package report

import "strings"

// series is the name of a run's metric as a person reads it: of those that an A/B test writes ("abtest/b/macro_f1") the metric
// and the model, "Macro F1 · B". Others keep their own.
func (b *builder) series(name string) string {
	if text, ok := b.texts["series."+name]; ok {
		return text
	}
	of, ok := strings.CutPrefix(name, "abtest/")
	if !ok {
		return name
	}
	arm, metric, ok := strings.Cut(of, "/")
	switch {
	case of == "mcnemar_p":
		return b.t("series.mcnemar")
	case !ok:
		return name
	case arm == "baseline":
		return b.metric("accuracy") + " · " + b.or("baseline."+metric, metric)
	case arm == "a" || arm == "b":
		return b.metric(metric) + " · " + strings.ToUpper(arm)
	case arm == "delta":
		return b.metric(metric) + " · " + b.t("delta")
	}
	return name
}
