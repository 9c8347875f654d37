package report

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"time"

	"triality/experiments"
)

var (
	//go:embed report.html.tmpl
	pageText string
	//go:embed report.css
	styleText string
	//go:embed report.js
	scriptText string
)

// Assets are what a report carries with it.
type Assets struct {
	// EChartsJS is the minified ECharts script that the frontend's build writes to
	// frontend/dist/report/echarts.min.js. It defines the global "echarts".
	EChartsJS []byte
}

// Reporter renders reports. It implements experiments.Reporter.
type Reporter struct {
	echarts template.JS
	page    *template.Template
	now     func() time.Time
	broken  error
}

var _ experiments.Reporter = (*Reporter)(nil)

// endTag would end the script element wherever it stands in it; "<\/" means the same to JavaScript, in
// its strings and regular expressions.
var endTag = regexp.MustCompile(`(?i)</(script)`)

// Check says whether reports can be rendered: not without the chart library, which the web pages' build
// makes. A caller with long work before its report asks first.
func (r *Reporter) Check() error { return r.broken }

// New makes a reporter.
func New(a Assets) *Reporter {
	r := &Reporter{now: time.Now, echarts: template.JS(endTag.ReplaceAll(a.EChartsJS, []byte(`<\/$1`)))}
	r.page, r.broken = template.New("report").Parse(pageText)
	if len(a.EChartsJS) == 0 {
		r.broken = experiments.Errorf(experiments.CodeUnavailable,
			"report: the chart library is not built in: run npm --prefix frontend ci && npm --prefix frontend run build, then build triality again")
	}
	return r
}

// Render writes the report of in to w. Nothing is written when it fails. Without ECharts it is a
// CodeUnavailable error, with a language other than en and ja CodeInvalid.
func (r *Reporter) Render(ctx context.Context, in experiments.ReportInput, w io.Writer) error {
	if r.broken != nil {
		return r.broken
	}
	texts, ok := catalogue[in.Language]
	if !ok {
		return experiments.Errorf(experiments.CodeInvalid, "report: language %q: want en or ja", in.Language)
	}
	b := &builder{in: in, texts: texts, now: r.now().UTC()}
	p, err := b.build()
	if err == nil {
		err = errors.Join(b.faults...)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return r.write(ctx, p, w)
}

// write makes the page's file.
func (r *Reporter) write(ctx context.Context, p *page, w io.Writer) error {
	if err := escapeTexts(p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	p.Style, p.Script, p.ECharts = template.CSS(styleText), template.JS(scriptText), r.echarts
	var out bytes.Buffer
	if err := r.page.Execute(&out, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := w.Write(out.Bytes())
	return err
}
