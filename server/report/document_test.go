package report

import (
	"bytes"
	"context"
	"html"
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
