package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"

	"triality/experiments"
)

// MaxShown bounds what a step that is Free shows, in bytes of JSON.
const MaxShown = 4 << 20

// WriteShown is the Run of a kind that is Free: what it shows, in a file of the step's folder.
func WriteShown(file string, show func(ctx context.Context, w Work) (any, error)) func(ctx context.Context, w Work) error {
	return func(ctx context.Context, w Work) error {
		v, err := show(ctx, w)
		if err != nil {
			return err
		}
		return WriteJSON(w.File(file), v)
	}
}

// Shown is what a step that is Free shows without a run.
type Shown struct {
	Value json.RawMessage // nil where it waits, or has failed
	Waits []string        // steps without a result that it needs
	Err   error           // with its place
}

// Show gives what each step that is Free shows, of those whose inputs are there. It writes nothing.
func (p *Plan) Show(ctx context.Context) map[*Planned]Shown {
	out := map[*Planned]Shown{}
	for _, s := range p.Steps {
		if s.Kind.Show == nil {
			continue
		}
		shown := Shown{}
		for _, n := range s.needs {
			if n.Done == nil && n.shown == nil {
				shown.Waits = append(shown.Waits, n.Name)
			}
		}
		if len(shown.Waits) == 0 {
			err := p.preview(ctx, s)
			var v any
			if err == nil {
				v, err = s.Kind.Show(ctx, Work{Step: s, Body: s.Body, Dir: s.Dir})
			}
			if err == nil {
				shown.Value, err = json.Marshal(v)
			}
			if err == nil && len(shown.Value) > MaxShown {
				err = experiments.Errorf(experiments.CodeTooLarge, "it shows %d bytes, of at most %d; ask for less", len(shown.Value), MaxShown)
				shown.Value = nil
			}
			if err != nil {
				shown.Err = p.graph.placed(&s.Step, err)
			}
			s.shown = shown.Value
		}
		out[s] = shown
	}
	return out
}

// Decode reads what the input stands for, which is JSON.
func (i Input) Decode(into any) error {
	if from := i.value.from; from != nil && from.shown != nil {
		if err := json.Unmarshal(from.shown, into); err != nil {
			return fmt.Errorf("%s: %w", i.Text, err)
		}
		return nil
	}
	return ReadJSON(i.Path(), into)
}

// Series are the points that the input stands for: all that a step logged, or the one series that the reference names.
func (i Input) Series() (experiments.MetricBatch, error) {
	all, err := ReadMetrics(filepath.Dir(i.Path()))
	if err != nil || i.part() == "" {
		return all, err
	}
	points, ok := all[i.part()]
	if !ok {
		var known []string
		for name := range all {
			known = append(known, name)
		}
		return nil, experiments.Errorf(experiments.CodeInvalid, "%s: the step logged no metric %s%s", i.Text, i.part(), Nearest(i.part(), known))
	}
	return experiments.MetricBatch{i.part(): points}, nil
}

// Values are the named values of the step that the input is: see Prose.
func (i Input) Values() (map[string]any, error) {
	from, out := i.value.from, map[string]any{}
	if from.Kind.Show == nil {
		series, err := ReadMetrics(from.Here())
		if err != nil {
			return nil, err
		}
		for name, points := range series {
			if len(points) > 0 {
				out["metrics."+name] = points[len(points)-1].Value
			}
		}
	}
	if from.Kind.Constants != nil {
		maps.Copy(out, from.Kind.Constants(from.Body))
	}
	if from.Kind.Values != nil {
		values, err := from.Kind.Values(from.Here())
		if err != nil {
			return nil, err
		}
		maps.Copy(out, values)
	}
	return out, nil
}
