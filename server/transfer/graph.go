package transfer

import (
	"context"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
	"triality/experiments/pipeline"
)

// graph adds what the bodies of a graph's steps name and gives the text that a worker reads: the job's own where every name
// stays, else the graph's YAML.
func (l *layout) graph(ctx context.Context, spec pipeline.Spec, commits map[string]string) (text string, err error) {
	g := spec.Graph
	same := true
	for _, n := range g.Named() {
		was := n.Text()
		at, err := l.named(ctx, n, commits[was])
		if err != nil {
			return "", experiments.Errorf(experiments.CodeOf(err), "%s%w", n.Where(), err)
		}
		if at != was {
			n.Set(at)
			same = false
		}
	}
	at, err := l.output(ctx, g.Settings.OutputDir)
	if err != nil {
		return "", experiments.Errorf(experiments.CodeOf(err), "output_dir: %w", err)
	}
	if same && at == g.Settings.OutputDir {
		return spec.Text, nil
	}
	g.Settings.OutputDir = at
	return g.YAML()
}

// named adds what one key of a body names, and gives its name on the worker. What an input takes decides as it does in
// planning.
func (l *layout) named(ctx context.Context, n graph.Named, commit string) (string, error) {
	p := n.Text()
	takes := func(t graph.Type) bool { return slices.Contains(n.Takes, t) }
	switch {
	case n.Path == config.ModulePath:
		return l.module(ctx, p)
	case n.Path == config.MadePath:
		at := l.place(p)
		return at, l.result(results{Tree: tree(at), Beside: true}, p)
	case n.Path == config.ModelPath, takes(graph.Model):
		at, err := l.model(commit)(ctx, p)
		if strings.Contains(at, "@") && at != p {
			l.names[at] = p
		}
		return at, err
	case n.Path == config.InputPath, takes(graph.Dataset):
		if filepath.Ext(p) != ".jsonl" && isFolder(l.abs(p), false) {
			return l.one(ctx, p) // a text
		}
		return l.testData(ctx, p)
	case takes(graph.Adapter):
		at := l.place(p)
		return at, l.below(ctx, p, at, pipeline.AdapterFiles(l.abs(p)))
	case takes(graph.ABResult):
		if file := pipeline.ResultFile(l.abs(p)); file != l.abs(p) {
			at := l.place(p)
			return at, l.add(ctx, path.Join(tree(at), filepath.Base(file)), file)
		}
		return l.one(ctx, p)
	case takes(graph.Table):
		return l.one(ctx, p)
	}
	return "", experiments.Errorf(experiments.CodeInvalid, "%q: what it names is not sent to other machines", p)
}

// one adds a file.
func (l *layout) one(ctx context.Context, p string) (string, error) {
	at := l.place(p)
	return at, l.add(ctx, tree(at), l.abs(p))
}
