package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"triality/experiments"
	"triality/runtime/printable"
)

// terminal shows a run's progress: a bar on a terminal, a line now and then elsewhere.
type terminal struct {
	w     io.Writer // screened
	draws io.Writer // for control sequences
	tty   bool
	width func() int // columns, which change with the window
	bar   bool       // a bar is on the current line
	last  time.Time
}

// lineEvery is how often a log gets a progress line.
const lineEvery = 5 * time.Second

func newTerminal(w io.Writer) *terminal {
	t := &terminal{w: w, draws: bare(w)}
	if fd := terminalOf(w); fd >= 0 {
		t.tty = true
		t.width = func() int {
			if width, _, err := term.GetSize(fd); err == nil && width > 0 {
				return width
			}
			return 80
		}
	}
	return t
}

// Step prints that a step started or ended.
func (t *terminal) Step(s experiments.Step) {
	t.clear()
	switch s.Status {
	case experiments.Running:
		fmt.Fprintf(t.w, "%-9s started\n", s.Title())
		t.last = time.Now()
	case experiments.Reused:
		fmt.Fprintf(t.w, "%-9s up to date: finished %s, %s\n", s.Title(), s.EndedAt.Local().Format("2006-01-02 15:04:05"), printable.Line(s.Output))
	case experiments.Finished:
		fmt.Fprintf(t.w, "%-9s finished in %s: %s\n", s.Title(), s.EndedAt.Sub(s.StartedAt).Round(100*time.Millisecond), printable.Line(s.Output))
	default:
		fmt.Fprintf(t.w, "%-9s %s\n", s.Title(), s.Status)
	}
}

// Note prints a line.
func (t *terminal) Note(step string, text string) {
	t.clear()
	fmt.Fprintf(t.w, "%-9s %s\n", step, printable.Text(text))
}

// Progress draws the bar, or prints a line when the last one is old.
func (t *terminal) Progress(step string, p experiments.Progress) {
	if !t.tty {
		if time.Since(t.last) < lineEvery {
			return
		}
		t.last = time.Now()
		fmt.Fprintf(t.w, "%-9s %s\n", step, strings.Join(progressParts(p), ", "))
		return
	}
	fmt.Fprintf(t.draws, "\r\x1b[K%s", barLine(step, p, t.width()))
	t.bar = true
}

// barLine is a step's name, a bar and what is known of its progress, in fewer columns than the terminal
// has: a line that wraps could not be drawn over.
func barLine(step string, p experiments.Progress, columns int) string {
	const widest, narrowest = 30, 8
	parts, head := progressParts(p), fmt.Sprintf("%-9s ", step)
	text := strings.Join(parts, ", ")
	for len(parts) > 1 && utf8.RuneCountInString(head+text)+narrowest+2 > columns {
		parts = parts[:len(parts)-1]
		text = strings.Join(parts, ", ")
	}
	if room := columns - utf8.RuneCountInString(head+text) - 2; room >= narrowest && p.Total > 0 {
		width := int64(min(room, widest))
		filled := int(width * min(p.Done, p.Total) / p.Total)
		text = strings.Repeat("█", filled) + strings.Repeat("░", int(width)-filled) + " " + text
	}
	line := []rune(head + text)
	return string(line[:min(len(line), max(columns-1, 0))])
}

func (t *terminal) clear() {
	if t.bar {
		fmt.Fprint(t.draws, "\r\x1b[K")
		t.bar = false
	}
}

// progressParts are "120/348 steps", "56s left", "4.1/s" and "loss 0.71", the most important first.
func progressParts(p experiments.Progress) []string {
	parts := []string{fmt.Sprintf("%d/%d %s", p.Done, p.Total, printable.Line(p.Unit))}
	if p.Rate > 0 {
		if left := float64(p.Total-p.Done) / p.Rate; p.Total > 0 && left >= 1 {
			parts = append(parts, fmt.Sprintf("%s left", (time.Duration(left)*time.Second).String()))
		}
		parts = append(parts, fmt.Sprintf("%.3g/s", p.Rate))
	}
	if p.Note != "" {
		parts = append(parts, printable.Line(p.Note))
	}
	return parts
}

// stepSink shows a step that runs by itself and keeps its metrics out of the way.
type stepSink struct {
	*terminal
	kind  string
	notes *[]string // where they are kept for the result
}

func (s stepSink) Progress(p experiments.Progress) { s.terminal.Progress(s.kind, p) }

// Note shows a note and keeps it.
func (s stepSink) Note(text string) {
	s.terminal.Note(s.kind, text)
	if s.notes != nil {
		*s.notes = append(*s.notes, text)
	}
}

// Metrics prints evaluation results; the training loss is in the progress already.
func (s stepSink) Metrics(batch experiments.MetricBatch) error {
	if points := batch["eval/loss"]; len(points) > 0 {
		p := points[len(points)-1]
		s.Note(fmt.Sprintf("step %d: evaluation loss %.4f", p.Step, p.Value))
	}
	return nil
}
