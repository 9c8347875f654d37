package report

import (
	"bytes"
	"context"
	"html"
	"math"
	"regexp"
	"strings"
	"testing"

	"triality/experiments"
)

func renderDocument(t testing.TB, d experiments.ReportDocument) string {
	t.Helper()
	r := New(Assets{EChartsJS: []byte("/* echarts */")})
	var b bytes.Buffer
	if err := r.RenderDocument(context.Background(), d, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func document(lang string, blocks ...experiments.ReportBlock) experiments.ReportDocument {
	one, other := full(lang), full(lang)
	other.Run.Name = "the other run"
	runs := map[string]experiments.Run{
		"x": {ID: "x", Name: "run x", Status: experiments.Finished, Params: map[string]string{"lr": "1", "seed": "7"}, Summary: map[string]float64{"eval/f1": 0.5}},
		"y": {ID: "y", Name: "run y", Status: experiments.Failed, Params: map[string]string{"lr": "2", "seed": "7"}},
	}
	return experiments.ReportDocument{Title: "A title", Body: experiments.ReportBody{Language: lang, Blocks: blocks},
		Inputs: map[string]experiments.ReportInput{"one": one, "other": other}, Runs: runs}
}

func TestBlocksStandInTheirOrderAndEachChartHasItsOwnName(t *testing.T) {
	blocks := []experiments.ReportBlock{{Kind: "prose", Text: "First *words*"}, {Kind: "verdict", Run: "one"}, {Kind: "runs", Runs: []string{"x", "y", "gone"}, Metrics: []string{"eval/f1"}}}
	for _, k := range experiments.RunSections {
		blocks = append(blocks, experiments.ReportBlock{Kind: k, Run: "one"}, experiments.ReportBlock{Kind: k, Run: "other", Title: "titled " + k})
	}
	blocks = append(blocks, experiments.ReportBlock{Kind: "data", Run: "lost"}, experiments.ReportBlock{Kind: "appendix"}, experiments.ReportBlock{Kind: "prose", Text: "Last words"})
	for _, lang := range []string{"en", "ja"} {
		page := renderDocument(t, document(lang, blocks...))
		at := 0
		for _, want := range []string{"<h1>A title</h1>", "<em>words</em>", `class="lead"`, "run x", "run y", "titled verdict", "titled environment", "lost", `class="appendix"`, "Last words"} {
			next := strings.Index(page[at:], want)
			if next < 0 {
				t.Fatalf("%s: %q is not there, or not in its place", lang, want)
			}
			at += next
		}
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
			if seen[m[1]] {
				t.Errorf("%s: id %q twice", lang, m[1])
			}
			seen[m[1]] = true
		}
		if !strings.Contains(page, ">lr</th>") || strings.Contains(page, ">seed</th>") && lang == "en" && strings.Contains(page, "runs: what differs") && strings.Contains(strings.Split(page, "run y")[0], ">seed</th>") {
			t.Errorf("%s: the parameters shown are not those that differ", lang)
		}
		options(t, page)
	}
}

func TestProseIsMarkdownAndDoesNoHarm(t *testing.T) {
	for source, want := range map[string]string{
		"# Head\n\ntext":                                            "<h2",
		"| a | b |\n|---|---|\n| 1 | 2 |":                           "<table>",
		"[x](https://example.org)":                                  `href="https://example.org"`,
		"[x](javascript:alert(1))":                                  ">x</a>",
		"![words](http://evil/p.png)":                               "words",
		"<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>": "",
		"a \u202e b":                                                "a ",
		"</script>{{.}}":                                            "{{.}}",
	} {
		page := renderDocument(t, document("en", experiments.ReportBlock{Kind: "prose", Text: source}))
		body := page[strings.Index(page, `class="prose"`):]
		body = body[:strings.Index(body, "</section>")]
		if !strings.Contains(html.UnescapeString(body), want) {
			t.Errorf("%q lacks %q: %s", source, want, body)
		}
		for _, bad := range []string{"<script", "<img", "javascript:", "\u202e", "onerror="} {
			if strings.Contains(body, bad) {
				t.Errorf("%q has %q: %s", source, bad, body)
			}
		}
	}
}

func TestABlockWhoseRunHasNoABTestSaysSo(t *testing.T) {
	d := document("en")
	d.Inputs["one"] = empty("en")
	for _, k := range experiments.RunSections {
		d.Body.Blocks = append(d.Body.Blocks, experiments.ReportBlock{Kind: k, Run: "one"})
	}
	if page := renderDocument(t, d); !strings.Contains(page, "The run has no A/B test.") {
		t.Error(page[:2000])
	}
}

func TestCurvesOfSeveralRunsAreDrawnTogetherAndAPairSaysWhatItsRowsShow(t *testing.T) {
	for _, lang := range []string{"en", "ja"} {
		d := document(lang,
			experiments.ReportBlock{Kind: "curves", Runs: []string{"x", "y", "gone"}, Metrics: []string{"eval/loss", "abtest/b/macro_f1"}},
			experiments.ReportBlock{Kind: "paired", Runs: []string{"x", "y"}}, experiments.ReportBlock{Kind: "paired", Runs: []string{"x", "gone"}, Arms: []string{"A", "B"}})
		d.Series = map[string]map[string][]experiments.Point{"x": {"eval/loss": {{Step: 1, Value: 2}, {Step: 5, Value: math.NaN()}, {Step: 9, Value: 0.5}}}}
		in := full(lang)
		d.Pairs = map[[2]experiments.ReportSide]experiments.ReportPair{{{Run: "x", Arm: "B"}, {Run: "y", Arm: "B"}}: {
			Names: [2]string{"run x", "run y"}, Models: [2]string{"base", "tuned"}, OnlyB: 7, Relabelled: 3, BothRight: 5, Result: *in.AB}}
		page := renderDocument(t, d)
		c := in.AB.Inference.Comparisons[0]
		wants := map[string][]string{
			"en": {"eval loss", "1 of the runs did not log eval loss.", "Macro F1 · B: none of the runs logged it.", "1 runs of this list are gone.", "both judged: B " + level(c.Metric, float64(c.B.Value)), "3 rows whose label differs", "One of the two runs is gone"},
			"ja": {"検証損失", "1 件の実行は 検証損失 を記録していません。", "マクロ F1 · B: 記録した実行がありません。", "両方が判定した", "ラベルが異なる 3 行", "二つの実行のどちらかがもうないか"},
		}[lang]
		for _, want := range wants {
			if !strings.Contains(html.UnescapeString(page), want) {
				t.Errorf("%s: %q is not there", lang, want)
			}
		}
		if n := strings.Count(page, "<figure"); n != 1 {
			t.Errorf("%s: %d charts, want one", lang, n)
		}
		if o := options(t, page); len(o) != 1 || len(o[0]["series"].([]any)) != 1 || o[0]["series"].([]any)[0].(map[string]any)["name"] != "run x" {
			t.Errorf("%s: %v", lang, o)
		}
	}
}

// A legend has no room for a model's name: the table beside the chart says which is A.
func TestChartsOfTwoModelsNameTheirSeriesByLetters(t *testing.T) {
	for _, lang := range []string{"en", "ja"} {
		in := full(lang)
		in.AB.Arms[0].Model, in.AB.Arms[1].Model = "/models/"+strings.Repeat("a", 200), "/models/tuned-for-a-long-time"
		page := render(t, in, "/* echarts */")
		pairs := 0
		for _, o := range options(t, page) {
			legends, _ := o["legend"].(map[string]any)
			if shown, _ := legends["show"].(bool); !shown {
				continue
			}
			for _, s := range o["series"].([]any) {
				name, _ := s.(map[string]any)["name"].(string)
				if strings.Contains(name, " · ") || len([]rune(name)) > 40 {
					t.Errorf("%s: a legend says %q", lang, name)
				}
				if name == "A" || name == "B" {
					pairs++
				}
			}
		}
		if pairs < 8 {
			t.Errorf("%s: %d series of models", lang, pairs)
		}
	}
}

func TestTheMetricsThatAnABTestWritesAreReadAsWhatTheyAre(t *testing.T) {
	for _, tt := range []struct{ name, en, ja string }{
		{"abtest/b/macro_f1", "Macro F1 · B", "マクロ F1 · B"}, {"abtest/a/accuracy", "Accuracy · A", "正解率 · A"}, {"abtest/delta/latency_median_ms", "Median latency, ms · B − A", "レイテンシ中央値 (ms) · B − A"},
		{"abtest/baseline/naive_bayes", "Accuracy · naive Bayes", "正解率 · ナイーブベイズ"}, {"abtest/mcnemar_p", "p of McNemar’s test", "マクネマー検定の p"},
		{"abtest/b/recall.DENY", "Recall of DENY · B", "DENY の再現率 · B"}, {"abtest/metric/kappa/0123456789abcdef/value", "abtest/metric/kappa/0123456789abcdef/value", "abtest/metric/kappa/0123456789abcdef/value"},
		{"train/loss", "train loss", "学習損失"}, {"b/macro_f1", "b/macro_f1", "b/macro_f1"}, {"abtest/", "abtest/", "abtest/"},
	} {
		for lang, want := range map[string]string{"en": tt.en, "ja": tt.ja} {
			if got := (&builder{texts: catalogue[lang]}).series(tt.name); got != want {
				t.Errorf("%s: %q is read as %q, want %q", lang, tt.name, got, want)
			}
		}
	}
}
