package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"
)

var layerSeries = regexp.MustCompile(`^so8t/(.+)/layer_(\d{1,6})$`)

// so8t shows how far replacement changed the function, and what the monitor last saw of each layer.
func (b *builder) so8t() section {
	s := b.section("so8t")
	if len(bytes.TrimSpace(b.in.Replacement)) > 0 {
		s.Blocks = append(s.Blocks, b.replacement()...)
	} else {
		s.Blocks = append(s.Blocks, block{Text: b.t("missing.replacement")})
	}
	monitor := b.monitor()
	if len(monitor) == 0 {
		if len(b.in.Replacement) == 0 {
			return section{ID: s.ID, Title: s.Title, Missing: b.t("missing.so8t")}
		}
		monitor = []block{{Text: b.t("missing.monitor")}}
	}
	s.Blocks = append(s.Blocks, b.heads()...)
	s.Blocks = append(s.Blocks, monitor...)
	return s
}

// heads shows what the safety and authority heads get right by themselves.
func (b *builder) heads() []block {
	if b.in.AB == nil {
		return nil
	}
	var out []block
	for _, a := range b.in.AB.Arms {
		if a.Heads == nil {
			continue
		}
		t := &table{Caption: b.t("heads.caption", a.Name), Head: append(b.head("head"), cell{Text: b.t("metric.accuracy"), Class: "num"})}
		for _, r := range []struct {
			key   string
			value float64
		}{{"head.task", a.Scores.Accuracy}, {"head.safety", a.Heads.Safety}, {"head.authority", a.Heads.Authority}, {"head.product", a.Heads.Product.Accuracy}} {
			t.Rows = append(t.Rows, []cell{rowHead(b.t(r.key)), num(percent(r.value))})
		}
		out = append(out, block{Table: t})
	}
	return out
}

func (b *builder) replacement() []block {
	var fields map[string]any
	dec := json.NewDecoder(bytes.NewReader(b.in.Replacement))
	dec.UseNumber()
	if err := dec.Decode(&fields); err != nil {
		return []block{{Text: b.t("replacement.unreadable", err.Error())}}
	}
	var out []block
	number := func(key string) (float64, bool) {
		n, ok := fields[key].(json.Number)
		if !ok {
			return 0, false
		}
		v, err := n.Float64()
		return v, err == nil
	}
	diff, ok := number("max_logit_difference")
	if rel, has := number("relative_difference"); ok && has {
		tolerance, _ := number("tolerance")
		key := "replacement.within"
		if !(rel <= tolerance) {
			key = "replacement.beyond"
		}
		out = append(out, block{Text: b.t(key, plain(diff), plain(rel), plain(tolerance))})
	}
	t := &table{Caption: b.t("replacement.caption"), Head: b.head("field", "value")}
	for _, k := range sortedKeys(fields) {
		c := text(scalar(fields[k]))
		if n, ok := fields[k].(json.Number); ok {
			if v, err := n.Float64(); err == nil && !isWhole(n) {
				c = text(plain(v))
			}
		} else if len(c.Text) > 40 {
			c.Class, c.Title = "code", c.Text
		}
		t.Rows = append(t.Rows, []cell{rowHead(b.or("field."+k, k)), c})
	}
	return append(out, block{Table: t})
}

func isWhole(n json.Number) bool {
	_, err := n.Int64()
	return err == nil
}

func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case nil:
		return "–"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// monitor draws each quantity's last value by layer.
func (b *builder) monitor() []block {
	type layerValue struct {
		layer int
		value float64
	}
	byQuantity := map[string][]layerValue{}
	for name, points := range b.in.Series {
		m := layerSeries.FindStringSubmatch(name)
		if m == nil || len(points) == 0 {
			continue
		}
		n, err := strconv.Atoi(m[2])
		if err != nil {
			continue // more digits than the pattern takes
		}
		last := points[len(points)-1].Value
		if strings.HasSuffix(m[1], "determinant") {
			last-- // it is near 1; what matters is how near
		}
		byQuantity[m[1]] = append(byQuantity[m[1]], layerValue{n, last})
	}
	var out []chart
	for _, q := range sortedKeys(byQuantity) {
		layers := byQuantity[q]
		sort.Slice(layers, func(i, j int) bool { return layers[i].layer < layers[j].layer })
		title := b.or("quantity."+q, q)
		names, data := make([]string, len(layers)), make([]opts.BarData, len(layers))
		t := &table{Caption: b.t("monitor.caption", title), Head: []cell{{Text: b.t("layer"), Class: "num"}, {Text: title, Class: "num"}}}
		for i, l := range layers {
			names[i], data[i] = strconv.Itoa(l.layer), opts.BarData{Value: finite(l.value)}
			t.Rows = append(t.Rows, []cell{{Text: names[i], Class: "num", Row: true}, num(figure(l.value))})
		}
		caption := b.t("monitor.caption", title)
		bar := charts.NewBar()
		bar.SetXAxis(names)
		bar.SetGlobalOptions(shared(caption, withAxisName)...)
		bar.SetGlobalOptions(
			charts.WithXAxisOpts(opts.XAxis{Type: "category", Name: b.t("layer"), NameLocation: "middle", NameGap: 28, AxisLabel: shown()}),
			charts.WithYAxisOpts(opts.YAxis{Type: "value", AxisLabel: shown()}))
		bar.AddSeries(title, data, barWidth("28"), charts.WithItemStyleOpts(opts.ItemStyle{Color: colourB}))
		out = append(out, b.chart(bar, caption, 220, t))
	}
	if out == nil {
		return nil
	}
	return []block{{Charts: out}}
}
