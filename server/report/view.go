package report

import (
	"encoding/json"
	"fmt"
	"html/template"
	"time"

	"triality/experiments"
)

// page is what the template draws: a head, a verdict, and sections of blocks.
type page struct {
	Lang, Title, Kicker, Made string
	Status                    string
	VerdictTitle, Verdict     string
	Tone                      string // "gain", "loss", "open" or "none"
	Remarks                   []string
	ContentsTitle             string
	Front, Appendix           []section
	AppendixTitle             string
	NoScript                  string
	Style                     template.CSS
	Script, ECharts           template.JS
}

type section struct {
	ID, Title string
	Missing   string // why there is nothing to show
	Tone      string // of a verdict
	Blocks    []block
}

// block is one of its fields.
type block struct {
	Heading string
	Text    string
	Lead    string // a text that is larger
	Prose   template.HTML
	List    []string
	Table   *table
	Charts  []chart // side by side where there is room
	Code    *code
}

type code struct{ Title, Text string }

type table struct {
	Caption string
	Head    []cell
	Rows    [][]cell
}

type cell struct {
	Text  string
	Title string // longer form, shown on hover
	Class string // num, code, text, good, bad, quiet
	Row   bool   // heads its row
	// Interval is drawn in the cell; nil: none.
	Interval *interval
}

type chart struct {
	ID, Caption, Label string
	TableTitle         string
	Option             json.RawMessage
	Height             int // CSS pixels
	Table              *table
	Beside             bool // its table is shown from the first, beside it
}

// builder gathers the page of one report.
type builder struct {
	in     experiments.ReportInput
	texts  map[string]string
	now    time.Time
	charts int
	names  [2]string // of the arms' models
	faults []error
}

// t is a text of the catalogue, formatted with args.
func (b *builder) t(key string, args ...any) string {
	text, ok := b.texts[key]
	if !ok {
		b.faults = append(b.faults, fmt.Errorf("text %q is not in the catalogue of %s", key, b.in.Language))
		return key
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// or is the text of a key made from data where the catalogue has one, else the data itself.
func (b *builder) or(key, plain string) string {
	if text, ok := b.texts[key]; ok {
		return text
	}
	return plain
}

func (b *builder) build() (*page, error) {
	r := b.in.Run
	p := &page{
		Lang: b.in.Language, Title: clip(r.Name, longestTitle), Kicker: b.t("kicker", clip(b.in.Experiment.Name, longestTitle)),
		Made: b.t("made", stamp(b.now)), Status: b.or("status."+string(r.Status), string(r.Status)),
		VerdictTitle: b.t("verdict"), ContentsTitle: b.t("contents"), NoScript: b.t("noscript"), AppendixTitle: b.t("appendix"),
	}
	b.names = b.modelNames()
	b.verdict(p)
	if b.in.AB != nil {
		p.Front = append(p.Front, b.models(), b.decision(), b.groups())
	}
	p.Front = append(p.Front, b.trained())
	for _, f := range []func() section{
		b.comparison, b.classes, b.confusion, b.latency, b.modules, b.disagreements, b.configuration, b.data, b.training, b.so8t, b.environment,
	} {
		p.Appendix = append(p.Appendix, f())
	}
	return p, nil
}

func (b *builder) section(id string) section { return section{ID: id, Title: b.t("section." + id)} }

func (s section) without(why string) section {
	s.Missing = why
	return s
}

func (b *builder) head(keys ...string) []cell {
	out := make([]cell, len(keys))
	for i, k := range keys {
		right := len(k) > 0 && k[0] == '>' // a column of numbers
		if right {
			k = k[1:]
		}
		out[i] = cell{Text: b.t(k)}
		if right {
			out[i].Class = "num"
		}
	}
	return out
}

func rowHead(text string) cell { return cell{Text: text, Row: true} }
func text(s string) cell       { return cell{Text: s} }
func num(s string) cell        { return cell{Text: s, Class: "num"} }
func mono(s string) cell       { return cell{Text: s, Class: "code"} }
