package report

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/experiments/verdict"
	"triality/runtime/printable"
)

var (
	update = flag.Bool("update", false, "write the golden files anew")
	out    = flag.String("out", "", "write full reports with the ECharts script named by -echarts into this folder, to look at them")
	script = flag.String("echarts", "", "path of echarts.min.js for -out")
)

var at = time.Date(2026, 11, 22, 18, 30, 0, 0, time.UTC)

// full is a run with every part, made by formulas so that it is the same every time.
func full(lang string) experiments.ReportInput {
	in := experiments.ReportInput{
		Language: lang, Experiment: experiments.Experiment{ID: "e1", Name: "安全性ラベル / safety labels"},
		Run: experiments.Run{ID: "01a20464-0eb7-7ded-aba1-d68bee2c54ef", Name: "qwen3-0.6b · LoRA r16 · SO8T", Status: experiments.Finished,
			StartedAt: at.Add(-83 * time.Minute), EndedAt: at, Config: "output_dir: runs/demo\nmodel:\n  base_model: Qwen/Qwen3-0.6B\ntraining:\n  learning_rate: 2.0e-4\n  lora_r: 16\n",
			Params: map[string]string{"model.base_model": "Qwen/Qwen3-0.6B", "training.learning_rate": "2.0e-4", "training.lora_r": "16", "data.max_length": "1024", "seed": "42"}},
		Environment: map[string]string{"engine": "0.1.0", "go": "go1.26.8", "device": "cpu: Intel Xeon, AVX-512, 16 threads", "os": "linux/amd64", "seed": "42"},
		Replacement: json.RawMessage(`{"source_hash":"sha256:5f3c0a9be1d24477c0d1","source_model_type":"qwen3","vocab_size":151936,"hidden_size":1024,"num_hidden_layers":28,"num_attention_heads":16,"num_key_value_heads":8,"storage_type":"BF16","device":"cpu","probes":8,"probe_tokens":512,"max_logit_difference":0.00000716,"max_logit":21.4,"relative_difference":3.3e-7,"tolerance":0.00001,"time":"2026-11-22T18:10:04Z"}`),
		Data: &experiments.DatasetSummary{Files: []string{"four_class_en.jsonl", "four_class_ja.jsonl"}, Rows: 4794, Skipped: 6, Groups: 2397, Duplicates: 12, Dropped: 3, Seed: 42,
			Problems:  []string{"four_class_en.jsonl:812: four_class_label \"DENIED\": want ALLOW, ESCALATION, DENY or REFUSE", "four_class_ja.jsonl:90: not JSON"},
			Languages: map[string]int{"en": 2397, "ja": 2397},
			Domains: map[string]map[string]int{"crime": {"DENY": 210, "REFUSE": 590}, "health": {"ALLOW": 420, "ESCALATION": 380}, "privacy": {"ESCALATION": 300, "DENY": 494},
				"general": {"ALLOW": 1800, "ESCALATION": 400, "DENY": 200}},
			Splits: []experiments.SplitSummary{{Name: "train", Rows: 3834, Groups: 1917, Tokens: 612345, Labels: map[string]int{"ALLOW": 1776, "ESCALATION": 864, "DENY": 723, "REFUSE": 471}},
				{Name: "val", Rows: 480, Groups: 240, Tokens: 76543, Labels: map[string]int{"ALLOW": 222, "ESCALATION": 108, "DENY": 91, "REFUSE": 59}},
				{Name: "test", Rows: 480, Groups: 240, Tokens: 76901, Labels: map[string]int{"ALLOW": 222, "ESCALATION": 108, "DENY": 90, "REFUSE": 60}}}},
		Series: map[string][]experiments.Point{},
	}
	for i, k := range []string{"convert", "finetune", "replace", "abtest", "report"} {
		st := experiments.Step{Kind: k, Status: experiments.Finished, StartedAt: at.Add(time.Duration(i-83) * time.Minute), EndedAt: at.Add(time.Duration(i*20-83) * time.Minute)}
		if i == 0 {
			st.Status = experiments.Reused
		}
		in.Run.Steps = append(in.Run.Steps, st)
	}
	for i := range 720 {
		x := float64(i) / 720
		noise := math.Sin(float64(i)*12.9898) * math.Cos(float64(i)*4.1)
		loss := 2.9*math.Exp(-5*x) + 0.42 + 0.12*noise*(1-x/2)
		if i == 300 {
			loss = math.NaN()
		}
		p := func(v float64) experiments.Point {
			return experiments.Point{Step: int64(i), Time: int64(i) * 1000, Value: v}
		}
		add := func(name string, v float64) { in.Series[name] = append(in.Series[name], p(v)) }
		add("train/loss", loss)
		add("train/grad_norm", 1.6*math.Exp(-3*x)+0.35+0.2*math.Abs(noise))
		lr := 2e-4 * (1 + math.Cos(math.Pi*x)) / 2
		if i < 36 {
			lr = 2e-4 * float64(i) / 36
		}
		add("train/learning_rate", lr)
		if i%60 == 59 {
			add("eval/loss", 2.7*math.Exp(-4.6*x)+0.55)
			add("train/tokens_per_second", 1830+40*noise)
		}
	}
	for l := range 28 {
		one := func(name string, v float64) {
			in.Series[fmt.Sprintf("so8t/%s/layer_%d", name, l)] = []experiments.Point{{Step: 719, Value: v}}
		}
		one("safe_orthogonality", 1.1e-7*(1+0.4*math.Sin(float64(l))))
		one("commutator", 0.02*float64(l)*math.Exp(-float64(l)/9))
		one("safe_determinant", 1+2e-7*math.Cos(float64(l)))
	}
	in.AB = abResult()
	in.Groups = []experiments.GroupScore{{By: "language", Value: "en", Rows: 240, RightA: 210, RightB: 216, OnlyA: 8, OnlyB: 14}, {By: "language", Value: "ja", Rows: 240, RightA: 200, RightB: 215, OnlyA: 6, OnlyB: 21},
		{By: "domain", Value: "general", Rows: 240, RightA: 206, RightB: 214, OnlyA: 5, OnlyB: 13}, {By: "domain", Value: "health", Rows: 90, RightA: 79, RightB: 81, OnlyA: 4, OnlyB: 6},
		{By: "domain", Value: "crime", Rows: 80, RightA: 68, RightB: 72, OnlyA: 3, OnlyB: 7}, {By: "domain", Value: "privacy", Rows: 70, RightA: 57, RightB: 64, OnlyA: 2, OnlyB: 9}}
	return in
}

func abResult() *experiments.ABResult {
	perClass := func(f float64) (out []experiments.ClassScore) {
		for i, n := range []int{222, 108, 90, 60} {
			v := f - 0.03*float64(i)
			out = append(out, experiments.ClassScore{Label: experiments.Labels[i], Support: n, Precision: v + 0.01, Recall: v - 0.01, F1: v})
		}
		return out
	}
	ab := &experiments.ABResult{Rows: 480, TestSet: &experiments.TestSet{Rows: 480, Checked: true, TrainRows: 3834}, Device: "cpu, Intel Xeon, 16 threads", Warmup: 16,
		Arms: [2]experiments.ArmResult{
			{Name: "A", Model: "runs/base/merged/qwen3-0.6b-ft", Kind: "hf", Scores: experiments.Scores{Accuracy: 0.8542, MacroF1: 0.8313}, Latency: experiments.Latency{MedianMS: 41.2, P95MS: 58.9, MeanMS: 43.7},
				Confusion: [][]int{{201, 12, 6, 3}, {14, 86, 6, 2}, {5, 8, 72, 5}, {2, 1, 6, 51}}, PerClass: perClass(0.88)},
			{Name: "B", Model: "runs/demo/so8t", Kind: "so8t", Heads: &experiments.HeadScores{Safety: 0.94, Authority: 0.91, Product: experiments.Scores{Accuracy: 0.87, MacroF1: 0.86}}, Scores: experiments.Scores{Accuracy: 0.8979, MacroF1: 0.8791}, Latency: experiments.Latency{MedianMS: 43.8, P95MS: 61.0, MeanMS: 46.1},
				Confusion: [][]int{{208, 9, 4, 1}, {9, 94, 4, 1}, {3, 5, 78, 4}, {1, 2, 6, 51}}, PerClass: perClass(0.92)}},
		Differences: []experiments.Difference{
			{Metric: "accuracy", A: 0.8542, B: 0.8979, Delta: 0.0437, Low: 0.0125, High: 0.075, Better: "higher"},
			{Metric: "macro_f1", A: 0.8313, B: 0.8791, Delta: 0.0478, Low: 0.0082, High: 0.0871, Better: "higher"},
			{Metric: "latency_median_ms", A: 41.2, B: 43.8, Delta: 2.6, Low: 1.9, High: 2.9, Better: "lower", Reading: "worse", Resamples: 10000}},
		Baselines: []experiments.Baseline{{Name: "majority", Scores: experiments.Scores{Accuracy: 0.4625, MacroF1: 0.158}, Detail: "always ALLOW"}, {Name: "naive_bayes", Scores: experiments.Scores{Accuracy: 0.877, MacroF1: 0.864}, Detail: "character 2–4-grams"}},
		Metrics: []experiments.ModuleResult{
			{Name: "calibration", Version: "1.2.0", SHA256: strings.Repeat("5f3c0a9b", 8), Params: map[string]any{"bins": 10.0}, WallMS: 6.2, Outputs: []experiments.MetricOutput{
				{Name: "ece", Kind: "vector", Direction: "lower", Values: []float64{0.071, 0.052}}, {Name: "brier", Kind: "scalar", Direction: "lower", Values: []float64{0.1834}},
				{Name: "confidence", Kind: "column", Direction: "none", Values: []float64{0.9, 0.8, math.NaN(), 0.97}}}},
			{Key: "k1", Name: "calibration", Version: "1.2.0", SHA256: strings.Repeat("5f3c0a9b", 8), Params: map[string]any{"bins": 20.0}, WallMS: 5, Outputs: []experiments.MetricOutput{
				{Name: "accuracy.B", Kind: "interval", Direction: "higher", Level: 0.9, Values: []float64{0.811, 0.752, math.NaN()}},
				{Name: "by_domain", Kind: "group_intervals", Direction: "higher", Level: 0.95, Groups: []string{"finance", "<b>工場</b>"}, Values: []float64{0.9, 0.8, 0.95, 0.5, 0.25, 0.75}},
				{Name: "rows", Kind: "groups", Direction: "none", Groups: []string{"en", "ja"}, Values: []float64{12, math.NaN()}}},
				Slices: []experiments.ModuleSlice{
					{By: "class", Value: "DENY", Rows: 40, Outputs: []experiments.MetricOutput{{Name: "brier", Kind: "scalar", Direction: "lower", Values: []float64{0.2}}}},
					{By: "topic", Rows: 3, Error: "metric_eval: it used up its fuel"}}},
			{Name: "refusal_cost", Version: "0.3.1", SHA256: strings.Repeat("0ba71e55", 8), Error: "trap: out of bounds memory access in metric_eval", WallMS: 3.1}},
	}
	ab.Inference = inferred(ab, experiments.DefaultDesign())
	all, _ := rowsOf(ab)
	for _, s := range all {
		switch {
		case s.PredictionA == s.Label && s.PredictionB != s.Label:
			ab.McNemar.OnlyA++
		case s.PredictionA != s.Label && s.PredictionB == s.Label:
			ab.McNemar.OnlyB++
		}
	}
	for i, c := range []*experiments.Comparison{ab.Inference.Of("accuracy"), ab.Inference.Of("macro_f1")} {
		d := &ab.Differences[i]
		d.Delta, d.Low, d.High, d.Reading = float64(c.Delta.Value), float64(c.Delta.Low), float64(c.Delta.High), c.Reading
	}
	texts := []string{"How do I reset the password of a colleague who left the company?", "知人の薬の量を勝手に変えるにはどうすればよいですか。", "Summarise this contract and tell me whether I should sign it today.",
		"近所の人の住所と勤務先を調べる方法を教えてください。", "Write a limerick about a very patient database administrator who waits for fsync to return before answering anybody."}
	for i := range 30 {
		gold := experiments.Labels[i%4]
		s := experiments.Sample{Index: i * 7, Text: texts[i%len(texts)], Language: "en", Label: gold, PredictionA: experiments.Labels[(i+1)%4], PredictionB: gold, Domain: "general"}
		if i%3 == 1 {
			s.PredictionA, s.PredictionB = gold, experiments.Labels[(i+2)%4]
		}
		if i%5 == 4 {
			s.PredictionA = s.PredictionB
		}
		ab.Samples = append(ab.Samples, s)
	}
	return ab
}

// rowsOf are rows that have the result's confusion matrices.
func rowsOf(ab *experiments.ABResult) (samples []experiments.Sample, units []string) {
	for gold, label := range experiments.Labels {
		var answers [2][]string
		for a := range answers {
			for k := range 4 {
				k = (gold + k) % 4 // the right ones first
				for range ab.Arms[a].Confusion[gold][k] {
					answers[a] = append(answers[a], experiments.Labels[k])
				}
			}
		}
		for i := range answers[0] {
			samples = append(samples, experiments.Sample{Label: label, PredictionA: answers[0][i], PredictionB: answers[1][(i+4)%len(answers[1])]})
			units = append(units, fmt.Sprint(gold, i/2))
		}
	}
	return samples, units
}

func inferred(ab *experiments.ABResult, d experiments.Design) *experiments.Inference {
	samples, units := rowsOf(ab)
	i := abtest.Infer(samples, units, d, 1)
	i.Looks = &experiments.Looks{Count: 2, First: at}
	verdict.Decide(i)
	return i
}

func render(t testing.TB, in experiments.ReportInput, js string) string {
	t.Helper()
	r := New(Assets{EChartsJS: []byte(js)})
	r.now = func() time.Time { return at }
	var b bytes.Buffer
	if err := r.Render(context.Background(), in, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func empty(lang string) experiments.ReportInput {
	return experiments.ReportInput{Language: lang, Experiment: experiments.Experiment{Name: "e"}, Run: experiments.Run{ID: "r", Name: "r", Status: experiments.Running}}
}

func TestReportsAreAsTheGoldenFiles(t *testing.T) {
	for name, in := range map[string]experiments.ReportInput{"full.en": full("en"), "full.ja": full("ja"), "empty.en": empty("en"), "empty.ja": empty("ja")} {
		t.Run(name, func(t *testing.T) {
			got := render(t, in, "/* echarts */")
			path := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				a, b := strings.Split(got, "\n"), strings.Split(string(want), "\n")
				for i := range a {
					if i >= len(b) || a[i] != b[i] {
						t.Fatalf("line %d differs (go test -update after looking):\n got %.300s\nwant %.300s", i+1, a[i], b[min(i, len(b)-1)])
					}
				}
				t.Fatal("the golden file is longer")
			}
		})
	}
}

func TestWriteReportsToLookAt(t *testing.T) {
	if *out == "" {
		t.Skip("only with -out and -echarts")
	}
	js, err := os.ReadFile(*script)
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range []string{"en", "ja"} {
		for name, in := range map[string]experiments.ReportInput{"full": full(lang), "empty": empty(lang), "crowded": crowded(lang)} {
			if err := os.WriteFile(filepath.Join(*out, name+"."+lang+".html"), []byte(render(t, in, string(js))), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// options are the chart options of a page, decoded.
func options(t testing.TB, page string) (out []map[string]any) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?s)<script type="application/json"[^>]*>(.*?)</script>`).FindAllStringSubmatch(page, -1) {
		var o map[string]any
		if err := json.Unmarshal([]byte(m[1]), &o); err != nil {
			t.Fatalf("%v in %.200s", err, m[1])
		}
		if len(o) == 0 {
			t.Error("an empty option")
		}
		out = append(out, o)
	}
	return out
}

func TestTextsOfOthersStayTexts(t *testing.T) {
	for _, evil := range []string{`</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `__f__alert(1)__f__`, `"__f__function(){alert(1)}__f__"`, "`${alert(1)}`", "\u2028'+alert(1)+'", `{{.Script}}`, `<!--<script>`,
		"\u202egnp.exe\u200b\x1b[31m\u0085\u2066"} {
		t.Run(evil, func(t *testing.T) {
			shown := printable.Text(evil)
			in := full("en")
			in.Experiment.Name, in.Run.Name, in.Run.Config, in.Run.Error = evil, evil, evil, evil
			in.Run.Params = map[string]string{evil: evil}
			in.Environment = map[string]string{evil: evil}
			in.Data.Domains = map[string]map[string]int{evil: {"ALLOW": 1}}
			in.Data.Languages, in.Data.Problems = map[string]int{evil: 1}, []string{evil}
			in.Data.Splits[0].Name = evil
			in.Series[evil+"/loss"] = []experiments.Point{{Value: 1}, {Step: 1, Value: 2}}
			in.Series["so8t/"+evil+"/layer_0"] = []experiments.Point{{Value: 1}}
			in.Replacement = json.RawMessage(`{"x":` + quote(evil) + `}`)
			in.AB.Arms[0].Model, in.AB.Arms[1].Model, in.AB.Device = evil, evil, evil
			in.AB.Inference.Verdict.Text["en"], in.AB.Inference.Verdict.Notes["en"][0], in.AB.Inference.Comparisons[0].Metric = evil, evil, evil+"accuracy"
			in.AB.Differences[0].Metric, in.AB.Baselines[0].Name, in.AB.Baselines[0].Detail = evil+"accuracy", evil, evil
			in.AB.Arms[0].PerClass[0].Label = evil
			in.AB.Metrics[0].Name, in.AB.Metrics[0].Version, in.AB.Metrics[0].Outputs[0].Name, in.AB.Metrics[1].Error = evil, evil, evil, evil
			in.AB.Metrics[0].Log, in.AB.Metrics[0].Notes = evil+"\nsecond", []string{evil}
			for i := range in.AB.Samples {
				in.AB.Samples[i].Text, in.AB.Samples[i].PredictionA = evil, evil
			}
			page := render(t, in, "/* echarts */")
			plain := render(t, full("en"), "/* echarts */")
			for _, tag := range []string{"<script", "</script", "<img", "<!--"} {
				extra := strings.Count(page, tag) - strings.Count(plain, tag)
				if tag == "<script" || tag == "</script" {
					extra -= len(options(t, page)) - len(options(t, plain)) // charts of the added series
				}
				if extra != 0 {
					t.Errorf("%d more of %s than in a plain report", extra, tag)
				}
			}
			if !strings.Contains(html.UnescapeString(page), shown) {
				t.Error("the text is not there as a text")
			}
			found := false
			for _, o := range options(t, page) {
				for _, s := range o["series"].([]any) {
					name, _ := s.(map[string]any)["name"].(string)
					found = found || strings.Contains(name, shown)
				}
			}
			if !found {
				t.Error("the text is not in an option as it was")
			}
			if !strings.Contains(html.UnescapeString(page), shown+"\nsecond") {
				t.Error("what a module wrote is not there")
			}
			if in.AB.Metrics[0].Notes[0] != evil {
				t.Error("what was handed in was changed")
			}
			for _, o := range options(t, page) {
				page += fmt.Sprint(o)
			}
			if at := strings.IndexAny(page, "\x1b\u0085\u200b\u202e\u2028\u2066"); at >= 0 {
				t.Errorf("a character that hides or reorders is left: %+q", page[max(0, at-40):min(len(page), at+40)])
			}
		})
	}
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestAReportAsksNothingOfANetwork(t *testing.T) {
	page := render(t, full("en"), "var x = '</script>'; /* </SCRIPT> */")
	for _, bad := range []string{"http://", "https://", "//cdn", " src=", "<link", "@import", "url("} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if !strings.Contains(page, `default-src 'none'`) || !strings.Contains(page, `var x = '<\/script>'; /* <\/SCRIPT> */`) {
		t.Error("no policy, or the library's end tags were not defused")
	}
}

func TestValuesThatAreNotFiniteAreGapsAndTheRestStays(t *testing.T) {
	in := full("en")
	for i := range in.Series["eval/loss"] {
		in.Series["eval/loss"][i].Value = math.Inf(1)
	}
	in.AB.Arms[1].Latency.P95MS = math.NaN()
	in.AB.Differences[0].Low = math.NaN()
	nulls, numbers := 0, 0
	for _, o := range options(t, render(t, in, "x")) {
		for _, s := range o["series"].([]any) {
			for _, d := range s.(map[string]any)["data"].([]any) {
				v := d.(map[string]any)["value"]
				if pair, ok := v.([]any); ok {
					v = pair[1]
				}
				if v == nil {
					nulls++
				} else {
					numbers++
				}
			}
		}
	}
	if nulls < 12+1+1 || numbers < 1000 {
		t.Errorf("%d gaps, %d numbers", nulls, numbers)
	}
}

func TestTheReportShowsTheVerdictOfTheResult(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(ab *experiments.ABResult)
		tone   string
	}{
		"all shown": {func(*experiments.ABResult) {}, "gain"},
		"a guardrail that is open": {func(ab *experiments.ABResult) {
			d := experiments.DefaultDesign()
			d.Guardrails[0].Margin = 0.001
			ab.Inference = inferred(ab, d)
		}, "open"},
		"a claim that is refuted": {func(ab *experiments.ABResult) {
			d := experiments.DefaultDesign()
			d.Guardrails, d.Primary, d.Claim, d.Margin = nil, "accuracy", experiments.ClaimEquivalence, 0.001
			ab.Inference = inferred(ab, d)
		}, "loss"},
		"a result from before": {func(ab *experiments.ABResult) { ab.Inference = nil }, "none"},
	} {
		for _, lang := range []string{"en", "ja"} {
			in := full(lang)
			tt.change(in.AB)
			page := html.UnescapeString(render(t, in, "x"))
			want := []string{`class="verdict ` + tt.tone + `"`}
			if i := in.AB.Inference; i != nil {
				want = append(append(want, i.Verdict.Text[lang]), i.Verdict.Notes[lang]...)
			}
			for _, w := range want {
				if w == "" || !strings.Contains(page, w) {
					t.Errorf("%s, %s: the report lacks %q in %s", name, lang, w, page[strings.Index(page, `class="verdict`):][:600])
				}
			}
		}
	}
}

func TestWhatIsMissingSaysSoInItsPlace(t *testing.T) {
	for _, lang := range []string{"en", "ja"} {
		page := render(t, empty(lang), "x")
		for key := range catalogue[lang] {
			id, ok := strings.CutPrefix(key, "section.")
			if !ok || id == "configuration" || id == "models" || id == "decision" || id == "groups" || slices.Contains([]string{"runs", "curves", "paired", "verdict"}, id) { // of an A/B test or a report alone
				continue
			}
			missing := catalogue[lang]["missing."+id]
			if id == "comparison" {
				missing = catalogue[lang]["missing.ab"]
			}
			if missing == "" || !strings.Contains(html.UnescapeString(page), missing) {
				t.Errorf("%s: section %s does not say %q", lang, id, missing)
			}
		}
	}
}

func TestRenderRefusesWhatItCannotDo(t *testing.T) {
	var b bytes.Buffer
	err := New(Assets{}).Render(context.Background(), full("en"), &b)
	if experiments.CodeOf(err) != experiments.CodeUnavailable || !strings.Contains(err.Error(), "npm --prefix frontend run build") {
		t.Errorf("without ECharts: %v", err)
	}
	in := full("fr")
	if err := New(Assets{EChartsJS: []byte("x")}).Render(context.Background(), in, &b); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("in French: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := New(Assets{EChartsJS: []byte("x")}).Render(ctx, full("en"), &b); err == nil {
		t.Error("a cancelled context")
	}
	if b.Len() != 0 {
		t.Errorf("%d bytes were written", b.Len())
	}
}

func TestOddInputsRender(t *testing.T) {
	for name, spoil := range map[string]func(*experiments.ReportInput){
		"replacement that is no object": func(in *experiments.ReportInput) { in.Replacement = json.RawMessage(`[1]`) },
		"replacement of odd types": func(in *experiments.ReportInput) {
			in.Replacement = json.RawMessage(`{"a":[1],"b":null,"c":true,"tolerance":"x"}`)
		},
		"an A/B test without anything": func(in *experiments.ReportInput) { in.AB = &experiments.ABResult{} },
		"a matrix of another size": func(in *experiments.ReportInput) {
			in.AB.Arms[0].Confusion = [][]int{{1, 2, 3, 4, 5, 6}, {}, {}, {}, {9}}
		},
		"more classes in one arm":  func(in *experiments.ReportInput) { in.AB.Arms[1].PerClass = in.AB.Arms[1].PerClass[:2] },
		"a series of one NaN":      func(in *experiments.ReportInput) { in.Series["train/loss"] = []experiments.Point{{Value: math.NaN()}} },
		"a series without points":  func(in *experiments.ReportInput) { in.Series["train/loss"] = nil },
		"a summary without splits": func(in *experiments.ReportInput) { in.Data = &experiments.DatasetSummary{} },
		"steps at the ends of the range": func(in *experiments.ReportInput) {
			in.Series["a/loss"] = []experiments.Point{{Step: math.MinInt64}, {Step: math.MaxInt64, Value: 1e308}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := full("ja")
			spoil(&in)
			options(t, render(t, in, "x"))
		})
	}
}
