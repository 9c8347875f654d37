package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"triality/experiments"
	"triality/runtime/model"
	"triality/runtime/modelfolder"
	"triality/runtime/safetensors"
	"triality/runtime/tokenizer"
)

// InitModel makes a model of a named shape with fresh weights and, where vocab > 0, a byte-level BPE
// tokenizer of that many entries trained on the documents, and writes the folder whole.
func InitModel(dir, family, shape string, vocab int, docs []string, seed uint64) error {
	i := slices.IndexFunc(model.Shapes(), func(s model.NamedShape) bool { return s.Name == shape })
	if i < 0 {
		return experiments.Errorf(experiments.CodeInvalid, "model.create.shape: unknown shape %q; there are %s", shape, shapeNames())
	}
	if exists(filepath.Join(dir, model.ConfigFile)) {
		return holdsModel(dir)
	}
	tok, err := tokenizer.Train(slices.Values(docs), vocab, []string{endOfText})
	if err != nil {
		return invalid(fmt.Errorf("train tokenizer: %w", err))
	}
	cfg, err := model.Shapes()[i].Config(family, tok.Size())
	if err != nil {
		return invalid(err)
	}
	if eos := tok.EOS(); eos >= 0 {
		cfg.EOS = []int{eos}
	}
	weights, err := model.NewFresh(cfg, seed)
	if err != nil {
		return err
	}
	return stageFolder(dir, func(tmp string) error {
		return errors.Join(cfg.Save(tmp), model.Save(tmp, weights, safetensors.F32), tok.Save(tmp))
	})
}

// InitLike makes a model of the configuration and with the tokenizer of the folder like, with fresh
// weights stored as the configuration says. Its own weights are not looked at, and need not be there.
func InitLike(ctx context.Context, dir, like string, seed uint64, options ...model.Option) error {
	cfg, err := model.LoadConfig(like, options...)
	if err != nil {
		return invalid(err)
	}
	dtype, err := modelfolder.ParseType(or(cfg.DType(), "float32"))
	if err != nil {
		return invalid(fmt.Errorf("%s: %w", filepath.Join(like, model.ConfigFile), err))
	}
	if _, err := loadTokenizer(like); err != nil {
		return err
	}
	if exists(filepath.Join(dir, model.ConfigFile)) {
		return holdsModel(dir)
	}
	weights, err := model.NewFresh(cfg, seed)
	if err != nil {
		return err
	}
	weights.Std = 0.02 // the families' initializer_range
	return writeModel(ctx, dir, like, cfg, weights, dtype)
}

func holdsModel(dir string) error {
	return experiments.Errorf(experiments.CodeConflict, "%s holds a model already; name another folder or delete it", dir)
}

func shapeNames() string {
	var names []string
	for _, s := range model.Shapes() {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}
