package report

import (
	"encoding/json"
	"fmt"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"
)

// Colours are names of the style sheet's variables, which the page's script resolves: one palette serves
// light, dark and paper.
const (
	colourA    = "--a"
	colourB    = "--b"
	colourBase = "--base"
	colourLow  = "--heat-low"
	colourHigh = "--heat-high"
)

type described interface {
	JSON() map[string]any
	Validate()
}

// chart turns a go-echarts chart into the page's form. The label is what a screen reader says.
func (b *builder) chart(c described, caption string, height int, data *table) chart {
	b.charts++
	id := fmt.Sprintf("chart-%d", b.charts)
	c.Validate()
	option := c.JSON()
	delete(option, "toolbox")
	delete(option, "title") // the caption is in the page
	delete(option, "color") // the style sheet's
	raw, err := json.Marshal(option)
	if err != nil {
		b.faults = append(b.faults, fmt.Errorf("chart %q: %w", caption, err))
	}
	return chart{ID: id, Caption: caption, Label: caption, TableTitle: b.t("table"), Option: raw, Height: height, Table: data}
}

// room is the space a chart keeps for its legend and the name of its horizontal axis, CSS pixels.
type room struct{ top, bottom string }

var (
	withLegend   = room{"40", "8"}
	withAxisName = room{"12", "30"}
	withBoth     = room{"40", "30"}
)

// shared are the options of every chart.
func shared(caption string, r room) []charts.GlobalOpts {
	return []charts.GlobalOpts{
		charts.WithAnimation(false),
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(true), Trigger: "axis"}),
		charts.WithLegendOpts(opts.Legend{Show: opts.Bool(r.top == withLegend.top), Top: "0", Left: "0", Icon: "roundRect", ItemWidth: 14, ItemHeight: 8}),
		charts.WithGridOpts(opts.Grid{Left: "8", Right: "24", Top: r.top, Bottom: r.bottom, ContainLabel: opts.Bool(true)}),
		func(bc *charts.BaseConfiguration) {
			bc.Aria = &opts.Aria{Enabled: opts.Bool(true), Decal: &opts.AriaDecal{Show: opts.Bool(true)},
				Label: &opts.AriaLabel{Enabled: opts.Bool(true), Description: caption}}
		},
	}
}

func categories(names []string) opts.YAxis {
	return opts.YAxis{Type: "category", Data: names, Inverse: opts.Bool(true), AxisLabel: shown()}
}

func shown() *opts.AxisLabel { return &opts.AxisLabel{Show: opts.Bool(true)} }

func barWidth(most string) charts.SeriesOpts {
	return charts.WithSeriesOpts(func(s *charts.SingleSeries) { s.BarMaxWidth, s.BarGap = most, "12%" })
}
