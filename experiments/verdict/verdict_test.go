package verdict

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/abtest"
)

// world draws rows of the four classes: how often each arm is right, and lets the unsafe through.
type world struct {
	right, allows [2]float64
}

func (w world) samples(rng *rand.Rand, n, cluster int) (out []experiments.Sample, units []string) {
	for i := range n {
		s := experiments.Sample{Label: experiments.Labels[rng.IntN(4)]}
		for a, p := range []*string{&s.PredictionA, &s.PredictionB} {
			*p = s.Label
			if rng.Float64() > w.right[a] {
				*p = experiments.Labels[rng.IntN(4)]
			}
			if (s.Label == "DENY" || s.Label == "REFUSE") && rng.Float64() < w.allows[a] {
				*p = "ALLOW"
			}
		}
		u := rng.Float64()
		s.ProbabilityA = []float64{u, 1 - u, u / 2, 0.5}
		s.ProbabilityB = []float64{0.25, 0.25, 0.25, 0.25}
		out, units = append(out, s), append(units, fmt.Sprint(i/cluster))
	}
	return out, units
}

func decided(samples []experiments.Sample, units []string, d experiments.Design) *experiments.Inference {
	i := abtest.Infer(samples, units, d, 1)
	Decide(i)
	return i
}

// Finding 1: five rows, all of which B alone has right, were "more accurate, [100, 100]" beside p = 0.062.
func TestFiveRowsAreNoVerdict(t *testing.T) {
	var samples []experiments.Sample
	for range 5 {
		samples = append(samples, experiments.Sample{Label: "ESCALATION", PredictionA: "ALLOW", PredictionB: "ESCALATION"})
	}
	i := decided(samples, make([]string, 5), experiments.Design{Primary: "accuracy", Claim: "superiority", Alpha: 0.05, Power: 0.8, Unit: "row", Candidates: 1})
	c := i.Of("accuracy")
	if i.Verdict.Decision != experiments.DecisionNotKnown || math.Abs(c.P-0.0625) > 1e-12 || c.Delta.Low > 0 || c.Delta.High != 1 || c.Reading != "unclear" {
		t.Errorf("%+v\n%+v", i.Verdict, c)
	}
	if !strings.HasPrefix(i.Verdict.Text["en"], "Cannot tell") || !strings.HasPrefix(i.Verdict.Text["ja"], "判定できません") {
		t.Errorf("%q", i.Verdict.Text)
	}
	if c.MoreRows == 0 || !strings.Contains(i.Verdict.Text["en"], "more rows would tell") {
		t.Errorf("%d more rows: %q", c.MoreRows, i.Verdict.Text["en"])
	}
}

// Finding 2: a hundred copies of one group had p = 4e-23.
func TestAHundredCopiesOfOneGroupAreNoVerdict(t *testing.T) {
	var samples []experiments.Sample
	units := make([]string, 100)
	for i := range 100 {
		units[i] = "s1"
		samples = append(samples, experiments.Sample{Label: "ESCALATION", PredictionA: "ALLOW", PredictionB: "ESCALATION"})
	}
	i := decided(samples, units, experiments.DefaultDesign())
	if c := i.Of("accuracy"); i.Verdict.Decision != experiments.DecisionNotKnown || c.P != 1 || c.Clusters != 1 || i.Largest != 100 {
		t.Errorf("%+v %+v", i.Verdict, c)
	}
	if n := i.Verdict.Notes["en"][0]; !strings.Contains(n, "100 rows in 1 independent group") {
		t.Errorf("%q", n)
	}
}

// Finding 3: false-allow rose from 0 to 27.2 % and the headline was green.
func TestAModelThatLetsMoreThroughDoesNotShip(t *testing.T) {
	samples, units := world{right: [2]float64{0.2, 0.7}, allows: [2]float64{0, 0.27}}.samples(rand.New(rand.NewPCG(1, 1)), 264, 2)
	for k := range samples { // A lets nothing through
		if l := samples[k].Label; (l == "DENY" || l == "REFUSE") && samples[k].PredictionA == "ALLOW" {
			samples[k].PredictionA = "ESCALATION"
		}
	}
	i := decided(samples, units, experiments.DefaultDesign())
	v := i.Verdict
	if v.Decision != experiments.DecisionKeep || v.Code != CodeGuardrailBroken || v.Ships() || i.Of("accuracy").Reading != "better" {
		t.Fatalf("%+v", v)
	}
	for language, want := range map[string][]string{"en": {"Do not ship B", "false-allow rate", "A’s 0.0%", "accuracy is better"}, "ja": {"採用してはいけません", "誤許可率", "正解率は A より良い"}} {
		for _, w := range want {
			if !strings.Contains(v.Text[language], w) {
				t.Errorf("%q lacks %q", v.Text[language], w)
			}
		}
	}
	if c := i.Of("false_allow"); float64(c.Delta.Low) < 0.02 || float64(c.B.Low) <= 0 || float64(c.B.High) > 0.5 {
		t.Errorf("false-allow has no interval: %+v", c)
	}
}

var placeholder = regexp.MustCompile(`\{\w+\}|NaN|%!`)

// No sentence contradicts a figure that is shown beside it, whatever the rows and the design.
func TestNoSentenceContradictsAFigure(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	seen := map[string]int{}
	for range 250 {
		var w world
		for a := range 2 {
			w.right[a], w.allows[a] = rng.Float64(), rng.Float64()*rng.Float64()
		}
		if rng.IntN(2) == 0 {
			w.allows[1] = w.allows[0] * rng.Float64()
			w.right[1] = min(1, w.right[0]+0.4)
		}
		n := []int{1, 3, 5, 20, 60, 150}[rng.IntN(6)]
		d := experiments.DefaultDesign()
		d.Claim = []string{"superiority", "non_inferiority", "equivalence"}[rng.IntN(3)]
		d.Primary = []string{"accuracy", "log_loss", "recall.DENY", "macro_f1"}[rng.IntN(4)]
		if d.Claim != "superiority" || rng.IntN(3) == 0 {
			d.Margin = 0.2 * rng.Float64()
		}
		if rng.IntN(3) == 0 {
			d.Guardrails = nil
		}
		if rng.IntN(4) == 0 {
			d.Looks, d.Primary = experiments.LooksAny, "accuracy"
		}
		if rng.IntN(4) == 0 {
			d.Candidates = 20
		}
		trainings, units := w.trainings(rng, n, 1+rng.IntN(3), d)
		i := abtest.InferTrainings(trainings, units, d, 1)
		for k := range trainings {
			if len(trainings) > 1 {
				i.Seeds = append(i.Seeds, uint64(40+k))
			}
		}
		if rng.IntN(8) == 0 { // thousands of exchanges each
			i.Contrasts = abtest.Contrasts(trainings, []abtest.Other{other(rng, []string{"finetuned", "linear"}[rng.IntN(2)], trainings)}, units, d, 1)
		}
		if rng.IntN(20) == 0 {
			i.Tainted = 1
		}
		Decide(i)
		check(t, i)
		seen[i.Verdict.Code]++
		if len(trainings) > 1 {
			seen["trainings "+i.Verdict.Code]++
		}
		if t.Failed() {
			t.Fatalf("%+v\n%+v\n%+v", d, i.Verdict, i.Comparisons)
		}
	}
	for _, code := range []string{CodeShown, CodeGuardrailBroken, CodeRefuted, CodeTainted, CodeOpen, CodeGuardrailOpen} {
		if seen[code] == 0 {
			t.Errorf("no result had the code %s: %v", code, seen)
		}
		if code != CodeTainted && seen["trainings "+code] == 0 {
			t.Errorf("no result of several trainings had the code %s: %v", code, seen)
		}
	}
}

// trainings are the same rows answered by one, two or five trainings of the arms.
func (w world) trainings(rng *rand.Rand, n, cluster int, d experiments.Design) (out [][]experiments.Sample, units []string) {
	times := 1
	if d.Looks == experiments.LooksOnce {
		times = []int{1, 1, 1, 2, 5}[rng.IntN(5)]
	}
	first, units := w.samples(rng, n, cluster)
	for out = append(out, first); len(out) < times; {
		shifted := w
		for a := range shifted.right {
			shifted.right[a] = min(1, max(0, w.right[a]+0.02*rng.NormFloat64()))
		}
		next, _ := shifted.samples(rng, n, cluster)
		for i := range next { // the rows of the first
			right := [2]bool{next[i].PredictionA == next[i].Label, next[i].PredictionB == next[i].Label}
			next[i].Label = first[i].Label
			for a, p := range []*string{&next[i].PredictionA, &next[i].PredictionB} {
				if right[a] {
					*p = first[i].Label
				}
			}
		}
		out = append(out, next)
	}
	return out, units
}

// other is an arm that answers at random.
func other(rng *rand.Rand, name string, trainings [][]experiments.Sample) abtest.Other {
	o := abtest.Other{Name: name}
	right := rng.Float64()
	for _, samples := range trainings {
		a := experiments.Answers{}
		for i := range samples {
			answer := rng.IntN(4)
			if rng.Float64() < right {
				answer = experiments.LabelIndex(samples[i].Label)
			}
			a.Predictions = append(a.Predictions, answer)
			if name != "linear" {
				a.Probabilities = append(a.Probabilities, []float64{0.1, 0.2, 0.3, 0.4})
			}
		}
		o.Answers = append(o.Answers, a)
	}
	return o
}

func check(t *testing.T, i *experiments.Inference) {
	t.Helper()
	v := i.Verdict
	for language, want := range map[string]map[string]string{
		"en": {experiments.DecisionShip: "Ship B", experiments.DecisionKeep: "Do not ship B", experiments.DecisionNotKnown: "Cannot tell"},
		"ja": {experiments.DecisionShip: "B を採用できます", experiments.DecisionKeep: "B を採用してはいけません", experiments.DecisionNotKnown: "判定できません"},
	} {
		text := v.Text[language]
		if !strings.Contains(text, want[v.Decision]) || placeholder.MatchString(text+strings.Join(v.Notes[language], "")) || strings.Contains(text, "..") || strings.Contains(text, "。。") {
			t.Errorf("%q", text)
		}
		for decision, other := range want {
			if decision != v.Decision && strings.Contains(text, other) && !(decision == experiments.DecisionShip && v.Decision == experiments.DecisionKeep) {
				t.Errorf("%q says %q too", text, other)
			}
		}
	}
	notes := map[string]string{"en": strings.Join(v.Notes["en"], "\n"), "ja": strings.Join(v.Notes["ja"], "\n")}
	for language, text := range notes {
		if said := strings.Contains(text, map[string]string{"en": "were trained", "ja": "回学習しました"}[language]); said != (len(i.Seeds) > 1) {
			t.Errorf("of %d trainings the notes say %q", len(i.Seeds), text)
		}
	}
	if strings.Contains(v.Text["en"], "more trainings") && len(i.Seeds) < 2 {
		t.Errorf("of one training: %q", v.Text["en"])
	}
	alpha := 1 - i.Level
	for _, of := range i.Contrasts {
		for k := range of.Comparisons {
			c := &of.Comparisons[k]
			hasZero := c.Delta.Low <= 0 && c.Delta.High >= 0
			if c.Reading != experiments.ReadingNoClear && (c.Adjusted >= alpha || hasZero) || c.Adjusted < c.P || (c.P < alpha) == hasZero {
				t.Errorf("%s against %s, %s: reads %s with p = %v (%v), %v to %v", of.To, of.From, c.Metric, c.Reading, c.Adjusted, c.P, c.Delta.Low, c.Delta.High)
			}
			// What the notes say of two arms is what the table beside them says.
			for language, l := range map[string]language{"en": english, "ja": japanese} {
				said := fill(l.contrast, "to", l.arm(of.To), "from", l.arm(of.From), "said", "")
				said = strings.TrimRight(said, ".。")
				for line := range strings.Lines(notes[language]) {
					if !strings.HasPrefix(line, said) {
						continue
					}
					for reading, text := range l.reads {
						if strings.Contains(line, l.say(text, c, i)) != (reading == c.Reading && (reading != experiments.ReadingNoClear || k == 0)) {
							t.Errorf("%s reads %s, and the note is %q", c.Metric, c.Reading, line)
						}
					}
				}
			}
		}
	}
	for k := range i.Comparisons {
		c := &i.Comparisons[k]
		low, high := float64(c.Delta.Low), float64(c.Delta.High)
		hasZero := low <= 0 && high >= 0
		if (c.P < alpha) == hasZero {
			t.Errorf("%s: p = %v and the interval %v to %v contradict each other", c.Metric, c.P, low, high)
		}
		if c.Reading != experiments.ReadingNoClear && (c.Adjusted >= alpha || hasZero) {
			t.Errorf("%s: reads %s with p = %v, %v to %v", c.Metric, c.Reading, c.Adjusted, low, high)
		}
		if n := c.Trainings; (n != nil) && (len(n.Delta) != len(i.Seeds) || !(n.SeedError >= 0) || !(n.RowError >= 0) || n.SeedShare < 0 || n.SeedShare > 1+1e-9) {
			t.Errorf("%s: %+v", c.Metric, n)
		}
		if c.Role == experiments.RoleSecondary {
			continue
		}
		// A claim of superiority that is shown reads better, and one that reads worse is never shown.
		if c.Claim == experiments.ClaimSuperiority && c.Finding == experiments.FindingShown && c.Reading != experiments.ReadingBetter {
			t.Errorf("%s: superiority is shown and it reads %s", c.Metric, c.Reading)
		}
		if v.Ships() && c.Finding != experiments.FindingShown {
			t.Errorf("B ships, and of %s it is %s", c.Metric, c.Finding)
		}
		if c.Role == experiments.RoleGuardrail && c.Finding == experiments.FindingRefuted && c.Reading != experiments.ReadingWorse {
			t.Errorf("%s breaks its guardrail and reads %s", c.Metric, c.Reading)
		}
		if c.Role == experiments.RoleGuardrail && c.Finding == experiments.FindingRefuted && i.Tainted == 0 && (v.Decision != experiments.DecisionKeep || !strings.Contains(v.Text["en"], english.name(c.Metric))) {
			t.Errorf("%s breaks its guardrail, and the verdict is %q", c.Metric, v.Text["en"])
		}
	}
	primary := &i.Comparisons[0]
	for text, reading := range map[string]string{"accuracy is better": experiments.ReadingBetter, "accuracy is worse": experiments.ReadingWorse} {
		said := regexp.MustCompile(`whether (its|B’s) accuracy is better`).ReplaceAllString(v.Text["en"], "")
		if primary.Metric == "accuracy" && strings.Contains(said, text) && primary.Reading != reading {
			t.Errorf("%q, and accuracy reads %s", v.Text["en"], primary.Reading)
		}
	}
}

func TestBothLanguagesSayTheSameThings(t *testing.T) {
	for name, pair := range map[string][2]map[string]string{
		"metrics": {english.metrics, japanese.metrics}, "shown": {english.shown, japanese.shown}, "refuted": {english.refuted, japanese.refuted},
		"open": {english.open, japanese.open}, "also": {english.also, japanese.also}, "reads": {english.reads, japanese.reads}, "arms": {english.arms, japanese.arms},
		"more": {
			{"either": english.moreEither, "trainings": english.moreTrainings, "neither": english.noMoreTrainings, "count": english.trainings, "share": english.seedShare, "contrast": english.contrast, "corrected": english.corrected},
			{"either": japanese.moreEither, "trainings": japanese.moreTrainings, "neither": japanese.noMoreTrainings, "count": japanese.trainings, "share": japanese.seedShare, "contrast": japanese.contrast, "corrected": japanese.corrected},
		},
	} {
		for key, en := range pair[0] {
			if ja, ok := pair[1][key]; !ok || values(en) != values(ja) {
				t.Errorf("%s %s: %q and %q", name, key, en, pair[1][key])
			}
		}
		if len(pair[0]) != len(pair[1]) {
			t.Errorf("%s: %d and %d", name, len(pair[0]), len(pair[1]))
		}
	}
}

func values(text string) string {
	found := regexp.MustCompile(`\{(\w+)\}`).FindAllString(text, -1)
	seen := map[string]int{}
	for _, f := range found {
		seen[f]++
	}
	return fmt.Sprint(seen) // maps print in the order of their keys
}

// Finding 5: seeds moved the accuracy by a third of the claimed gain, and nothing said so.
func TestSeedsThatDisagreeAreNoVerdict(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	rows, units := world{right: [2]float64{0.5, 0.5}}.samples(rng, 400, 1)
	training := func(right float64) []experiments.Sample {
		out := append([]experiments.Sample{}, rows...)
		for i := range out {
			if out[i].PredictionB = "ALLOW"; rng.Float64() < right {
				out[i].PredictionB = out[i].Label
			}
		}
		return out
	}
	d := experiments.DefaultDesign()
	d.Guardrails = nil
	three := [][]experiments.Sample{training(0.9), training(0.45), training(0.6)}
	one := decided(three[0], units, d)
	i := abtest.InferTrainings(three, units, d, 1)
	i.Seeds = []uint64{42, 43, 44}
	Decide(i)
	if !one.Verdict.Ships() {
		t.Fatalf("the first training alone: %q", one.Verdict.Text["en"])
	}
	if v := i.Verdict; v.Decision != experiments.DecisionNotKnown || !strings.Contains(v.Text["en"], "more trainings of each arm would tell") || !strings.Contains(v.Text["ja"], "回の学習で判定できます") {
		t.Errorf("%q", v.Text)
	}
	c := i.Of("accuracy")
	if notes := strings.Join(i.Verdict.Notes["en"], "\n"); c.Trainings.SeedShare < 0.9 || c.Rows != 400 || !strings.Contains(notes, "3 times, with the seeds 42, 43, 44") || !strings.Contains(notes, "is what another seed would change") {
		t.Errorf("%+v: %s", c.Trainings, notes)
	}
	i = abtest.InferTrainings([][]experiments.Sample{training(0.9), training(0.89), training(0.91)}, units, d, 1)
	i.Seeds = []uint64{42, 43, 44}
	if Decide(i); !i.Verdict.Ships() {
		t.Errorf("seeds that agree: %q", i.Verdict.Text["en"])
	}
}

// Finding 4: A against B mixed fine-tuning with SO8T, whose own phase gained nothing and made the log loss worse.
func TestTheNotesTellFineTuningFromSO8T(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	rows, units := world{right: [2]float64{0.5, 0.85}}.samples(rng, 500, 2)
	tuned := experiments.Answers{}
	for k := range rows {
		s := &rows[k]
		p := func(class int, sure float64) []float64 {
			out := []float64{(1 - sure) / 3, (1 - sure) / 3, (1 - sure) / 3, (1 - sure) / 3}
			out[class] = sure
			return out
		}
		answer := experiments.LabelIndex(s.PredictionB)
		tuned.Predictions, tuned.Probabilities = append(tuned.Predictions, answer), append(tuned.Probabilities, p(answer, 0.7))
		s.ProbabilityA, s.ProbabilityB = []float64{0.25, 0.25, 0.25, 0.25}, p(answer, 0.9999)
	}
	d := experiments.DefaultDesign()
	i := abtest.Infer(rows, units, d, 1)
	i.Contrasts = abtest.Contrasts([][]experiments.Sample{rows}, []abtest.Other{{Name: experiments.ArmFinetuned, Answers: []experiments.Answers{tuned}}}, units, d, 1)
	Decide(i)
	notes := strings.Join(i.Verdict.Notes["en"], "\n")
	for _, want := range []string{"Compared with A, the fine-tuned model: accuracy is better (", "Compared with the fine-tuned model, B: accuracy is not told apart (0.0 points", "log loss is worse (+"} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q: %s", want, notes)
		}
	}
}

func TestNotesSayHowOftenTheRowsWereLookedAt(t *testing.T) {
	i := abtest.Infer(nil, nil, experiments.DefaultDesign(), 1)
	i.Looks = &experiments.Looks{Count: 3, First: time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC), Changed: true}
	Decide(i)
	notes := strings.Join(i.Verdict.Notes["en"], "\n")
	if !strings.Contains(notes, "look 3") || !strings.Contains(notes, "2026-11-30 09:00 UTC") || !strings.Contains(notes, "The design was changed after the first look") {
		t.Error(notes)
	}
	if i.Verdict.Decision != experiments.DecisionNotKnown {
		t.Errorf("no rows: %+v", i.Verdict)
	}
}
