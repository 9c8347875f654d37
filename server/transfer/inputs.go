package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/pipeline"
	"triality/runtime/hub"
	"triality/runtime/model"
	"triality/server/objects"
)

// source is where the server has an object.
type source struct {
	path string
	at   state
}

// layout lays a job's files out in a folder on another machine. A relative path of the configuration stays as it is, so
// that what a step writes about its inputs is what it would write here; others lie in outside/.
type layout struct {
	dir     string // where relative paths begin, absolute
	hashes  *hashes
	allowed func(path string) error

	files   map[string]File
	order   []string
	sources map[objects.ID]source
	results []results
	hub     []hubModel
	tests   map[string]string // data sets by their paths on the worker, to those here
	names   map[string]string // models of the Hub as the worker's configuration has them, to how the server's has
}

// outside is the folder of the files whose paths would lead out of the job's.
const outside = "outside"

// abs is where a path of the configuration leads on the server.
func (l *layout) abs(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(l.dir, p)
}

// place is where a path of the configuration leads on the worker, as the configuration there has it.
func (l *layout) place(p string) string {
	if !filepath.IsAbs(p) && filepath.IsLocal(p) {
		return p
	}
	abs := l.abs(p)
	sum := sha256.Sum256([]byte(filepath.Dir(abs)))
	return path.Join(outside, hex.EncodeToString(sum[:4]), filepath.Base(abs))
}

// tree is a path of the worker's configuration as manifests have it.
func tree(p string) string { return path.Clean(filepath.ToSlash(p)) }

// add puts a file of the server at a path of the job's folder.
func (l *layout) add(ctx context.Context, at, file string) error {
	f, err := l.hash(ctx, file)
	if err != nil {
		return err
	}
	f.Path = at
	if old, ok := l.files[at]; ok && old.ID != f.ID {
		return experiments.Errorf(experiments.CodeInvalid, "two files of the job would lie at %s on a worker; give one of them another name", at)
	}
	if _, ok := l.files[at]; !ok {
		l.order = append(l.order, at)
	}
	l.files[at] = f
	return nil
}

// hash hashes a file of the server and notes where its bytes are.
func (l *layout) hash(ctx context.Context, file string) (File, error) {
	if err := l.allowed(file); err != nil {
		return File{}, err
	}
	id, at, err := l.hashes.of(ctx, file)
	if err != nil {
		code := experiments.CodeInvalid
		var coded *experiments.Error
		switch {
		case errors.As(err, &coded), ctx.Err() != nil:
			return File{}, err
		case errors.Is(err, fs.ErrNotExist):
			code = experiments.CodeNotFound
		}
		return File{}, experiments.Errorf(code, "%w", err)
	}
	l.sources[id] = source{file, at}
	return File{ID: id, Mode: 0o644}, nil
}

// fill adds everything that a configuration names and gives its text as a worker reads it.
func (l *layout) fill(ctx context.Context, spec pipeline.Spec, commits map[string]string) (text string, err error) {
	if spec.Graph != nil {
		return l.graph(ctx, spec, commits)
	}
	there, err := l.pipeline(ctx, spec.Pipeline, commits)
	if err != nil || reflect.DeepEqual(there, spec.Pipeline) {
		return spec.Text, err
	}
	return there.YAML()
}

// pipeline adds what a pipeline names and gives it with the names that it has on a worker.
func (l *layout) pipeline(ctx context.Context, cfg config.Pipeline, commits map[string]string) (config.Pipeline, error) {
	for _, in := range []struct {
		key  string
		path *string
		add  func(ctx context.Context, p string) (string, error)
	}{
		{"data.input_path", &cfg.Data.InputPath, l.rows},
		{"model.base_model", &cfg.Model.BaseModel, l.baseModel(cfg.Model.Create, commits["model.base_model"])},
		{"model.create.text", &cfg.Model.Create.Text, l.text(cfg.Model)},
		{"test.test_data_path", &cfg.Test.TestDataPath, l.testData},
		{"test.model_a_path", &cfg.Test.ModelAPath, l.model(commits["test.model_a_path"])},
		{"test.model_b_path", &cfg.Test.ModelBPath, l.model(commits["test.model_b_path"])},
		{"output_dir", &cfg.OutputDir, l.output},
	} {
		if *in.path == "" {
			continue
		}
		at, err := in.add(ctx, *in.path)
		if err != nil {
			return cfg, fmt.Errorf("%s: %w", in.key, err)
		}
		*in.path = at
	}
	metrics := make([]config.Metric, len(cfg.Test.Metrics))
	for i, m := range cfg.Test.Metrics {
		at, err := l.module(ctx, m.Module)
		if err != nil {
			return cfg, fmt.Errorf("test.metrics[%d].module: %w", i, err)
		}
		m.Module = at
		metrics[i] = m
	}
	if cfg.Test.Metrics != nil {
		cfg.Test.Metrics = metrics
	}
	return cfg, nil
}

// module adds a metric's module where a file is named, and no uploaded one.
func (l *layout) module(ctx context.Context, p string) (string, error) {
	if pipeline.IsSum(p) {
		return p, nil
	}
	return l.one(ctx, p)
}

// below adds files that lie below one path of the configuration.
func (l *layout) below(ctx context.Context, p, at string, files []string) error {
	for _, f := range files {
		rel, err := filepath.Rel(l.abs(p), f)
		if err != nil {
			return err
		}
		if err := l.add(ctx, tree(filepath.Join(at, rel)), f); err != nil {
			return err
		}
	}
	return nil
}

// rows adds the files of data.input_path. A pattern is kept: the part before its first special character is what moves.
func (l *layout) rows(ctx context.Context, p string) (string, error) {
	pattern := l.abs(p)
	if _, err := os.Stat(pattern); err != nil && !filepath.IsAbs(p) && filepath.Separator == '/' {
		pattern = special.ReplaceAllString(l.dir, `\$0`) + "/" + p // the folder's own name is no pattern
	}
	files, err := dataset.Find(pattern)
	if err != nil {
		return "", err
	}
	fixed, rest := p, ""
	if info, err := os.Stat(l.abs(p)); err == nil && info.IsDir() {
	} else if i := strings.IndexAny(p, `*?[`); err != nil && i >= 0 {
		fixed, rest = filepath.Split(p[:i])
		rest += p[i:]
		if fixed == "" {
			fixed = "."
		}
	}
	at := l.place(fixed)
	if err := l.below(ctx, fixed, at, files); err != nil || rest == "" {
		return at, err
	}
	if at == "." || at == fixed {
		return p, nil
	}
	return path.Join(filepath.ToSlash(at), filepath.ToSlash(rest)), nil
}

// special are the characters that a pattern gives a meaning.
var special = regexp.MustCompile(`[*?\[\\]`)

// testData adds a test set, whose looks are counted beside the server's.
func (l *layout) testData(ctx context.Context, p string) (at string, err error) {
	defer func() {
		if err == nil {
			l.tests[tree(at)] = l.abs(p)
		}
	}()
	if files, err := pipeline.TestFiles(l.abs(p)); err == nil && isFolder(filepath.Join(l.abs(p), "dataset_dict.json"), false) {
		at = l.place(p)
		return at, l.below(ctx, p, at, files)
	}
	return l.rows(ctx, p)
}

func isFolder(path string, folder bool) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() == folder
}

// baseModel adds the base model, or the place of the one that the run makes.
func (l *layout) baseModel(create config.Create, commit string) func(context.Context, string) (string, error) {
	return func(ctx context.Context, p string) (string, error) {
		if create.Shape == "" || isFolder(filepath.Join(l.abs(p), model.ConfigFile), false) {
			return l.model(commit)(ctx, p)
		}
		at := l.place(p)
		return at, l.result(results{Tree: tree(at), Beside: true}, p)
	}
}

func (l *layout) output(_ context.Context, p string) (string, error) {
	at := l.place(p)
	return at, l.result(results{Tree: tree(at)}, p)
}

func (l *layout) result(r results, p string) error {
	r.server = l.abs(p)
	if err := l.allowed(r.server); err != nil {
		return err
	}
	if r.Tree != "." {
		if err := checkPath(r.Tree); err != nil {
			return experiments.Errorf(experiments.CodeInvalid, "%w", err)
		}
	}
	if !slices.Contains(l.results, r) { // two steps may make folders of one name
		l.results = append(l.results, r)
	}
	return nil
}

// text adds the pre-training text where there is a model to pre-train.
func (l *layout) text(m config.Model) func(context.Context, string) (string, error) {
	return func(ctx context.Context, p string) (string, error) {
		at := l.place(p)
		if m.Create.Shape == "" || isFolder(filepath.Join(l.abs(m.BaseModel), model.ConfigFile), false) {
			return at, nil // nothing reads it
		}
		if filepath.Ext(p) == ".jsonl" {
			return l.rows(ctx, p)
		}
		return l.one(ctx, p)
	}
}

// model adds a model's folder, or what this machine has of one of the Hub.
func (l *layout) model(commit string) func(context.Context, string) (string, error) {
	return func(ctx context.Context, p string) (string, error) {
		ref, err := hub.ParseRef(p)
		if _, statErr := os.Stat(l.abs(p)); statErr != nil && err == nil {
			if commit != "" {
				ref.Revision = commit
			}
			return l.fromHub(ctx, ref)
		}
		dir, at := l.abs(p), l.place(p)
		names, err := pipeline.ModelFiles(dir)
		if err != nil {
			return "", err
		}
		if extra := "replacement.json"; isFolder(filepath.Join(dir, extra), false) {
			names = append(names, extra) // no part of the key, but of the model
		}
		if len(names) == 0 {
			return "", experiments.Errorf(experiments.CodeInvalid, "%s has no config.json; it is not a model in Hugging Face form", dir)
		}
		for _, name := range names {
			if err := l.add(ctx, path.Join(tree(at), name), filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				return "", err
			}
		}
		return at, nil
	}
}

// hubModel is a model of the Hub at a commit that the server has in its cache.
type hubModel struct {
	Repo   string `json:"repo"`
	Commit string `json:"commit"`
	Files  []File `json:"files"` // relative to the snapshot
}

// fromHub offers what the server's cache has of a model, whole. What it has not, the worker asks the Hub for.
func (l *layout) fromHub(ctx context.Context, ref hub.Ref) (string, error) {
	o, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return "", experiments.Errorf(experiments.CodeInvalid, "%w", err)
	}
	o.Offline = true
	client, err := hub.New(o)
	if err != nil {
		return "", experiments.Errorf(experiments.CodeInvalid, "%w", err)
	}
	s, err := client.Snapshot(ctx, ref, hub.ModelFiles)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return ref.String(), nil
	}
	names, err := hub.FilesOf(s, hub.ModelFiles)
	if err != nil {
		return "", experiments.Errorf(experiments.CodeInvalid, "%s: %w", ref, err)
	}
	m := hubModel{Repo: ref.Repo, Commit: s.Commit}
	for _, name := range names {
		f, err := l.hash(ctx, filepath.Join(s.Dir, filepath.FromSlash(name)))
		if err != nil {
			return "", err
		}
		f.Path = name
		m.Files = append(m.Files, f)
	}
	l.hub = append(l.hub, m)
	return hub.Ref{Repo: ref.Repo, Revision: s.Commit}.String(), nil
}
