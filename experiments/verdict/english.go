package verdict

import (
	"strings"

	"triality/experiments"
)

var english = language{
	metrics: map[string]string{
		"accuracy": "accuracy", "macro_f1": "macro-F1", "log_loss": "log loss", "false_allow": "false-allow rate", "over_refusal": "over-refusal rate",
		"recall": "recall of {class}", "precision": "precision of {class}", "comma": ", ",
	},
	and: " and ", points: " points",
	evidence: "{b} against A’s {a}, {delta} ({level}% interval {low} to {high})",
	brief:    "{delta}, {low} to {high}",
	shown: map[string]string{
		"superiority":     "Ship B: its {metric} is better, {evidence}{tail}.",
		"superiority_by":  "Ship B: its {metric} is better by more than {margin}, {evidence}{tail}.",
		"non_inferiority": "Ship B: its {metric} is not worse by {margin}, {evidence}{tail}.",
		"equivalence":     "Ship B: its {metric} is A’s to within {margin}, {evidence}{tail}.",
	},
	kept: ", and its {guardrails} are shown to be within the design’s margins",
	refuted: map[string]string{
		"superiority":     "Do not ship B: its {metric} is worse, {evidence}.",
		"superiority_by":  "Do not ship B: its {metric} is not better by {margin}, {evidence}.",
		"non_inferiority": "Do not ship B: its {metric} is worse by more than {margin}, {evidence}.",
		"equivalence":     "Do not ship B: its {metric} differs by more than {margin}, {evidence}.",
	},
	open: map[string]string{
		"superiority":     "Cannot tell: the rows do not show whether B’s {metric} is better, {evidence}",
		"superiority_by":  "Cannot tell: the rows do not show whether B’s {metric} is better by more than {margin}, {evidence}",
		"non_inferiority": "Cannot tell: the rows do not show that B’s {metric} is not worse by {margin}, {evidence}",
		"equivalence":     "Cannot tell: the rows do not show that B’s {metric} is A’s to within {margin}, {evidence}",
		"guardrail":       "Cannot tell whether B may ship",
	},
	also: map[string]string{
		"superiority.shown":       "its {metric} is better ({brief})",
		"superiority.refuted":     "its {metric} is worse too ({brief})",
		"superiority.open":        "whether its {metric} is better, the rows do not show ({brief})",
		"superiority_by.shown":    "its {metric} is better by more than {margin} ({brief})",
		"superiority_by.refuted":  "its {metric} is not better by {margin} ({brief})",
		"superiority_by.open":     "whether its {metric} is better by more than {margin}, the rows do not show ({brief})",
		"non_inferiority.shown":   "its {metric} is not worse by {margin} ({brief})",
		"non_inferiority.refuted": "its {metric} is worse by more than {margin} ({brief})",
		"non_inferiority.open":    "that its {metric} is not worse by {margin}, the rows do not show ({brief})",
		"equivalence.shown":       "its {metric} is A’s to within {margin} ({brief})",
		"equivalence.refuted":     "its {metric} differs by more than {margin} ({brief})",
		"equivalence.open":        "that its {metric} is A’s to within {margin}, the rows do not show ({brief})",
	},
	broken:     "Do not ship B: its {metric} is worse by more than the {margin} that the design allows, {evidence}",
	moreBroken: "so is its {metric}, {evidence}, where {margin} are allowed",
	mayBe:      "its {metric} may change by as much as {worst}, where the design allows {margin} for the worse",
	unbounded:  "the rows say nothing of its {metric}",
	tainted:    "Cannot tell: {tainted} of the {rows} test rows are in the training data, so these are not figures of held-out rows.",
	more:       "about {more} more rows would tell, if the differences are what they look like",
	noMore:     "more rows like these would not change that, if the differences are what they look like",

	moreEither:      "about {more} more rows, or {trainings} more trainings of each arm, would tell, if the differences are what they look like",
	moreTrainings:   "about {trainings} more trainings of each arm would tell, if the differences are what they look like; more rows alone would not",
	noMoreTrainings: "neither more rows like these nor more trainings would change that, if the differences are what they look like",

	join: func(parts ...string) string { return strings.Join(parts, "; ") + "." },

	clusters:      "{rows} rows in {clusters} independent groups by {unit}, at most {largest} rows each; rows of a group count together.",
	rows:          "{rows} rows, each independent of the others by {unit}.",
	candidates:    "B is the best of {candidates} configurations tried on these rows: the intervals have a level of {level}% for that.",
	first:         "This is the first look at these test rows.",
	looks:         "This is look {count} at these test rows; the first was on {first}. Each look without a plan for it makes a chance finding likelier.",
	changed:       "The design was changed after the first look at these test rows: what it shows is no longer a plan that was kept.",
	trainings:     "Arms that are trained were trained {count} times, with the seeds {seeds}: figures are means over them, and intervals are over other seeds, rows and groups together.",
	seedShare:     "Of the variance of the difference in {metric}, {share}% is what another seed would change; the rest is other rows.",
	twoTrainings:  "Two trainings hardly say how far a third would be from them, so the intervals are wide: the seeds’ part is counted as 12.7 standard errors at 95%; with five trainings it is 2.8.",
	firstTraining: "Single rows, groups, latencies and metric modules are those of the first training.",
	arms: map[string]string{
		experiments.ArmBase: "the base model", experiments.ArmFinetuned: "the fine-tuned model", experiments.ArmSO8T: "the SO8T model",
		experiments.ArmIdentity: "the untrained SO8T model", experiments.ArmBurnedIn: "the burned-in model", experiments.Arm8bit: "B in 8 bits",
		experiments.FloorMajority: "the majority floor", experiments.FloorBayes: "the naive Bayes floor", experiments.FloorLinear: "the linear floor",
	},
	contrast: "Compared with {from}, {to}: {said}.",
	reads: map[string]string{
		experiments.ReadingBetter: "{metric} is better ({brief})", experiments.ReadingWorse: "{metric} is worse ({brief})", experiments.ReadingNoClear: "{metric} is not told apart ({brief})",
	},
	and2:       "; ",
	corrected:  "Arms beside A and B decide nothing; what is said of them is corrected for all {count} comparisons of theirs together (Holm).",
	notCounted: "How often these test rows were looked at is not counted: {reason}",
}
