package verdict

import (
	"math"
	"strconv"
	"strings"

	"triality/experiments"
)

// language is how a verdict is said.
type language struct {
	metrics    map[string]string // names; of recall and precision the part before the class
	and        string
	points     string // behind a number of percentage points
	shown      map[string]string
	refuted    map[string]string
	open       map[string]string
	also       map[string]string // of the primary metric, where a guardrail decides: by claim and finding
	evidence   string            // b, a, difference, level, low, high
	brief      string            // difference, low, high
	kept       string
	broken     string // the first guardrail: name, evidence, margin
	moreBroken string
	mayBe      string // a guardrail that may be worse: name, worst, margin
	unbounded  string // the same where nothing is known of it
	tainted    string
	more       string
	noMore     string
	// The same where the arms were trained several times.
	moreEither, moreTrainings, noMoreTrainings string
	join                                       func(parts ...string) string

	clusters, rows, looks, first, changed, candidates, notCounted string
	trainings, twoTrainings, seedShare, firstTraining             string

	arms      map[string]string // names of arms that a pipeline has beside A and B
	contrast  string            // two arms: to, from, and what is said of metrics
	reads     map[string]string // of a metric, by reading: metric, difference, low, high
	and2      string            // between what is said of metrics
	corrected string
}

var languages = map[string]language{"en": english, "ja": japanese}

// name is a metric's name.
func (l language) name(metric string) string {
	if of, class, ok := strings.Cut(metric, "."); ok {
		return fill(l.metrics[of], "class", class)
	}
	return l.metrics[metric]
}

// unit is a number with the word for points where the metric is a share.
func (l language) unit(metric, number string) string {
	if experiments.IsShare(metric) {
		return number + l.points
	}
	return number
}

// fill puts values in place of {names}.
func fill(text string, pairs ...string) string {
	old := make([]string, len(pairs))
	for i := range pairs {
		old[i] = pairs[i]
		if i%2 == 0 {
			old[i] = "{" + pairs[i] + "}"
		}
	}
	return strings.NewReplacer(old...).Replace(text)
}

// say fills a text about a comparison.
func (l language) say(text string, c *experiments.Comparison, i *experiments.Inference) string {
	worst := c.Delta.High
	if c.Better == "higher" {
		worst = c.Delta.Low
	}
	values := []string{
		"metric", l.name(c.Metric), "a", level(c.Metric, c.A.Value), "b", level(c.Metric, c.B.Value), "level", percent(i.Level),
		"delta", l.unit(c.Metric, change(c.Metric, c.Delta.Value)), "low", change(c.Metric, c.Delta.Low), "high", change(c.Metric, c.Delta.High),
		"margin", l.unit(c.Metric, margin(c.Metric, c.Margin)), "worst", l.unit(c.Metric, change(c.Metric, worst)), "rows", whole(c.Rows),
	}
	return fill(fill(text, "evidence", l.evidence, "brief", l.brief), values...)
}

// claim is the key of the texts about a comparison's claim: a margin of superiority has its own.
func claim(c *experiments.Comparison) string {
	if c.Claim == experiments.ClaimSuperiority && c.Margin > 0 {
		return "superiority_by"
	}
	return c.Claim
}

func (l language) sentence(i *experiments.Inference) string {
	v := i.Verdict
	primary := i.Of(v.Args[0])
	var others []*experiments.Comparison
	for _, metric := range v.Args[1:] {
		others = append(others, i.Of(metric))
	}
	switch v.Code {
	case CodeTainted:
		return fill(l.tainted, "tainted", whole(i.Tainted), "rows", whole(i.Rows))
	case CodeShown:
		var kept []string
		for k := range i.Comparisons {
			if c := &i.Comparisons[k]; c.Role == experiments.RoleGuardrail {
				kept = append(kept, l.name(c.Metric))
			}
		}
		tail := ""
		if len(kept) > 0 {
			tail = fill(l.kept, "guardrails", l.list(kept))
		}
		return fill(l.say(l.shown[claim(primary)], primary, i), "tail", tail)
	case CodeRefuted:
		return l.say(l.refuted[claim(primary)], primary, i)
	case CodeGuardrailBroken:
		parts := []string{l.say(l.broken, others[0], i)}
		for _, c := range others[1:] {
			parts = append(parts, l.say(l.moreBroken, c, i))
		}
		return l.join(append(parts, l.say(l.also[claim(primary)+"."+primary.Finding], primary, i))...)
	case CodeGuardrailOpen:
		return l.join(append([]string{l.say(l.open["guardrail"], primary, i), l.say(l.also[claim(primary)+".shown"], primary, i)}, l.doubts(others, i)...)...)
	}
	parts := append([]string{l.say(l.open[claim(primary)], primary, i)}, l.doubts(others, i)...)
	if len(others) == 0 {
		parts = append(parts, l.further([]*experiments.Comparison{primary}, i))
	}
	return l.join(parts...)
}

// doubts says of guardrails how much worse they may be, and of all together how many rows or trainings would tell.
func (l language) doubts(of []*experiments.Comparison, i *experiments.Inference) (out []string) {
	for _, c := range of {
		text := l.mayBe
		if c.Rows == 0 || !c.Delta.Bounded() {
			text = l.unbounded
		}
		out = append(out, l.say(text, c, i))
	}
	if len(of) > 0 {
		out = append(out, l.further(append(of, i.Of(i.Verdict.Args[0])), i))
	}
	return out
}

// further says how many rows, or trainings, would tell of all comparisons that are open.
func (l language) further(of []*experiments.Comparison, i *experiments.Inference) string {
	rows, trainings := 0, 0
	most := func(sum *int, more int) {
		if *sum = max(*sum, more); more == 0 {
			*sum = math.MaxInt // of one of them none would
		}
	}
	for _, c := range of {
		if c.Finding != experiments.FindingOpen {
			continue
		}
		most(&rows, c.MoreRows)
		if c.Trainings != nil {
			most(&trainings, c.Trainings.MoreTrainings)
		} else {
			trainings = math.MaxInt
		}
	}
	text := l.noMore
	switch byRows, byTrainings := rows < math.MaxInt, trainings < math.MaxInt; {
	case byRows && byTrainings:
		text = l.moreEither
	case byTrainings:
		text = l.moreTrainings
	case byRows:
		text = l.more
	case len(i.Seeds) > 1:
		text = l.noMoreTrainings
	}
	return fill(text, "more", rounded(rows), "trainings", whole(trainings))
}

// list joins names: "a", "a and b", "a, b and c".
func (l language) list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], l.metrics["comma"]) + l.and + names[len(names)-1]
}

// notes are what a reader must know beside the verdict.
func (l language) notes(i *experiments.Inference) []string {
	text := l.rows
	if i.Clusters < i.Rows {
		text = l.clusters
	}
	out := []string{fill(text, "rows", whole(i.Rows), "clusters", whole(i.Clusters), "largest", whole(i.Largest), "unit", i.Design.Unit)}
	out = append(append(out, l.ofTrainings(i)...), l.contrasts(i)...)
	if n := i.Design.Candidates; n > 1 {
		out = append(out, fill(l.candidates, "candidates", whole(n), "level", percent(i.Level)))
	}
	switch k := i.Looks; {
	case k == nil:
	case k.Reason != "":
		out = append(out, fill(l.notCounted, "reason", k.Reason))
	case k.Count == 1:
		out = append(out, l.first)
	default:
		out = append(out, fill(l.looks, "count", whole(k.Count), "first", k.First.UTC().Format("2006-01-02 15:04 UTC")))
	}
	if k := i.Looks; k != nil && k.Changed {
		out = append(out, l.changed)
	}
	return out
}

// ofTrainings says what several trainings of the arms are counted as.
func (l language) ofTrainings(i *experiments.Inference) (out []string) {
	if len(i.Seeds) < 2 {
		return nil
	}
	var seeds []string
	for _, s := range i.Seeds {
		seeds = append(seeds, strconv.FormatUint(s, 10))
	}
	out = append(out, fill(l.trainings, "count", whole(len(seeds)), "seeds", strings.Join(seeds, ", ")))
	if c := i.Of(i.Verdict.Args[0]); c != nil && c.Trainings != nil && !math.IsNaN(float64(c.Trainings.SeedShare)) {
		out = append(out, fill(l.seedShare, "metric", l.name(c.Metric), "share", decimals(100*float64(c.Trainings.SeedShare), 0)))
	}
	if len(seeds) == 2 {
		out = append(out, l.twoTrainings)
	}
	return append(out, l.firstTraining)
}

// contrasts say how other arms stand to A and B: of the primary metric, and of each that reads better or worse.
func (l language) contrasts(i *experiments.Inference) (out []string) {
	count := 0
	for k := range i.Contrasts {
		of := &i.Contrasts[k]
		var said []string
		for j := range of.Comparisons {
			c := &of.Comparisons[j]
			count++
			if c.Rows > 0 && c.Delta.Bounded() && (j == 0 || c.Reading != experiments.ReadingNoClear) {
				said = append(said, l.say(l.reads[c.Reading], c, i))
			}
		}
		if len(said) > 0 {
			out = append(out, fill(l.contrast, "to", l.arm(of.To), "from", l.arm(of.From), "said", strings.Join(said, l.and2)))
		}
	}
	if len(out) > 0 {
		out = append(out, fill(l.corrected, "count", whole(count)))
	}
	return out
}

// ArmName is what an arm beside A and B is called in a language.
func ArmName(in, name string) string { return languages[in].arm(name) }

// arm is an arm's name.
func (l language) arm(name string) string {
	if known := l.arms[name]; known != "" {
		return known
	}
	return name
}
