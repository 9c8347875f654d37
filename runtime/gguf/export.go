package gguf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"triality/runtime/disk"
	"triality/runtime/generate"
	"triality/runtime/model"
	"triality/runtime/safetensors"
	"triality/runtime/tokenizer"
)

// ErrSO8T is an SO8T model, which no other tool computes until its rotations are burned in.
var ErrSO8T = errors.New("an SO8T model cannot be exported as it is: fold its rotations into a plain model first with `triality model burn-in`")

// Options configures Export.
type Options struct {
	Type Type   // of the matrices: F16, Q8_0 or F32
	Name string // general.name; empty takes the folder's
	// Config is how config.json is read.
	Config []model.Option
	// Progress is told the elements done and all of them now and then; nil is fine.
	Progress func(done, total int64)
}

// Report is what Export wrote.
type Report struct {
	Architecture string
	Name         string
	Tensors      int
	Bytes        int64
	// Fallback lists the matrices stored as F16 because their rows are not in blocks of 32.
	Fallback []string
	// Notes says in which ways llama.cpp will compute otherwise than this program.
	Notes []string
}

// Export writes the Hugging Face model in dir (config.json, safetensors of F32, F16 or BF16, sharded
// or not, tokenizer.json) as one GGUF file for llama.cpp and the tools around it: matrices as
// o.Type, norms and other vectors as F32. Tensors are streamed; the file is there whole or not at all.
func Export(ctx context.Context, dir, out string, o Options) (Report, error) {
	r, err := export(ctx, dir, out, o)
	if missing := (*safetensors.MissingShardError)(nil); errors.As(err, &missing) {
		return Report{}, missing // says where it is
	}
	if err != nil {
		return Report{}, fmt.Errorf("export %s: %w", dir, err)
	}
	return r, nil
}

func export(ctx context.Context, dir, out string, o Options) (r Report, err error) {
	if _, ok := fileTypes[o.Type]; !ok {
		return r, fmt.Errorf("type %v is not one that is exported: f16, q8_0 and f32 are", o.Type)
	}
	if err := refuseSO8T(dir); err != nil {
		return r, err
	}
	cfg, err := model.LoadConfig(dir, o.Config...)
	if err != nil {
		return r, err
	}
	arch, ok := architectures[cfg.ModelType]
	if !ok {
		return r, fmt.Errorf("model_type %q has no GGUF architecture here", cfg.ModelType)
	}
	if err := check(arch, cfg); err != nil {
		return r, err
	}
	weights, err := safetensors.OpenModel(dir)
	if err != nil {
		return r, err
	}
	defer weights.Close()
	x := &exporter{ctx: ctx, arch: arch, cfg: cfg, weights: weights, stored: model.StoredNames(cfg, weights), o: o}
	tensors, err := x.tensors()
	if err != nil {
		return r, err
	}
	metadata, v, err := x.metadata(dir)
	if err != nil {
		return r, err
	}
	if err := Write(out, metadata, tensors); err != nil {
		return r, err
	}
	st, err := disk.Stat(out)
	if err != nil {
		return r, err
	}
	return Report{
		Architecture: arch, Name: x.name, Tensors: len(tensors), Bytes: st.Size(), Fallback: x.fallback,
		Notes: append(limits(arch, cfg), v.notes...),
	}, nil
}

// refuseSO8T looks at config.json alone: the engine's families do not have that model_type.
func refuseSO8T(dir string) error {
	raw, err := disk.ReadRegular(filepath.Join(dir, model.ConfigFile), disk.MaxText)
	if err != nil {
		return nil // model.LoadConfig says it better
	}
	var f struct {
		ModelType string `json:"model_type"`
	}
	if json.Unmarshal(raw, &f) == nil && f.ModelType == "so8t" {
		return ErrSO8T
	}
	return nil
}

type exporter struct {
	ctx      context.Context
	arch     string
	cfg      model.Config
	weights  *safetensors.Model
	stored   func(name string) string // what the files call a weight
	o        Options
	name     string // of the model
	fallback []string
	total    int64 // elements
	mu       sync.Mutex
	done     int64
}

// tensors maps every weight that config.json implies; each must be there, and no other.
func (x *exporter) tensors() ([]Tensor, error) {
	list := ropeTensors(x.cfg)
	want := map[string]bool{}
	for _, s := range x.cfg.Specs() {
		stored := x.stored(s.Name)
		want[stored] = true
		info, ok := x.weights.Info(stored)
		switch {
		case !ok:
			return nil, fmt.Errorf("weight %s %v is missing", stored, s.Shape)
		case !slices.Equal(info.Shape, s.Shape):
			return nil, fmt.Errorf("weight %s is %v, config.json makes it %v", stored, info.Shape, s.Shape)
		}
		if halves, ok := x.halves(s); ok {
			list = append(list, halves...)
			continue
		}
		t, err := x.tensor(s, s.Name)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
		if s.Name == "model.embed_tokens.weight" && x.cfg.TieEmbeddings && x.arch == "phi3" {
			// llama.cpp's phi3 wants a head, where its others take the embedding.
			if t, err = x.tensor(s, "lm_head.weight"); err != nil {
				return nil, err
			}
			list = append(list, t)
		}
	}
	for _, n := range x.weights.Names() {
		if _, explained := x.cfg.Unused(n); !want[n] && !explained {
			return nil, fmt.Errorf("weight %s is unexpected for a %s model", n, x.cfg.ModelType)
		}
	}
	for _, t := range list {
		x.total += int64(elements(t.Shape))
	}
	return list, nil
}

// tensor is the weight of spec under the name that Hugging Face's name as becomes.
func (x *exporter) tensor(s model.Spec, as string) (Tensor, error) {
	name, err := tensorName(as)
	if err != nil {
		return Tensor{}, err
	}
	t := Tensor{Name: name, Type: x.o.Type, Shape: s.Shape, Read: func(dst []float32, at int) error { return x.read(s.Name, dst, at) }}
	if heads, ok := permuted(x.arch, s.Name); ok {
		t.Read = x.permuting(s, heads(x.cfg))
	}
	return x.typed(t), nil
}

// halves is a feed-forward's gate and up, which llama.cpp wants apart where the model has them as one.
func (x *exporter) halves(s model.Spec) ([]Tensor, bool) {
	layer, ok := strings.CutSuffix(strings.TrimPrefix(s.Name, "model.layers."), ".shared_mlp.input_linear.weight")
	if !ok {
		return nil, false
	}
	rows, width := s.Shape[0]/2, s.Shape[1]
	var list []Tensor
	for i, name := range []string{"ffn_gate", "ffn_up"} {
		list = append(list, x.typed(Tensor{
			Name: "blk." + layer + "." + name + ".weight", Type: x.o.Type, Shape: []int{rows, width},
			Read: func(dst []float32, at int) error { return x.read(s.Name, dst, at+i*rows*width) },
		}))
	}
	return list, true
}

// typed gives vectors, norms and what is in no blocks of 32 the types they are stored as.
func (x *exporter) typed(t Tensor) Tensor {
	switch {
	case len(t.Shape) == 1 || strings.HasSuffix(t.Name, "_norm.weight"):
		t.Type = F32
	case t.Type == Q8_0 && t.Shape[len(t.Shape)-1]%blockQ8 != 0:
		t.Type = F16
		x.fallback = append(x.fallback, t.Name)
	}
	return t
}

// permuting reads rows in llama.cpp's order.
func (x *exporter) permuting(s model.Spec, heads int) func([]float32, int) error {
	row, d := 1, s.Shape[0]/heads
	if len(s.Shape) == 2 {
		row = s.Shape[1]
	}
	return func(dst []float32, at int) error {
		for i := 0; i < len(dst); i += row {
			if err := x.read(s.Name, dst[i:i+row], sourceRow((at+i)/row, d)*row); err != nil {
				return err
			}
		}
		return nil
	}
}

func (x *exporter) read(name string, dst []float32, at int) error {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	if err := x.weights.ReadFloat32At(x.stored(name), dst, at); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.done += int64(len(dst))
	if x.o.Progress != nil {
		x.o.Progress(x.done, x.total)
	}
	return nil
}

// fileTypes are llama_ftype's numbers of files that are mostly of a type.
var fileTypes = map[Type]uint32{F32: 0, F16: 1, Q8_0: 7}

func (x *exporter) metadata(dir string) ([]Pair, *vocabulary, error) {
	tok, err := tokenizer.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("a GGUF file holds the tokenizer, and there is no tokenizer.json: %w", err)
	}
	if err != nil {
		return nil, nil, err
	}
	v, err := readVocabulary(dir, tok, x.cfg.VocabSize)
	if err != nil {
		return nil, nil, err
	}
	x.name = x.o.Name
	if x.name == "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, nil, err
		}
		x.name = filepath.Base(abs)
	}
	x.name = v.safeName(x.name, x.arch)
	list := []Pair{
		{"general.architecture", x.arch}, {"general.type", "model"}, {"general.name", x.name},
		{"general.file_type", fileTypes[x.o.Type]}, {"general.quantization_version", uint32(2)},
	}
	list = append(list, sizes(x.arch, x.cfg)...)
	end, err := generate.EndTokens(dir, x.cfg)
	if err != nil {
		return nil, nil, err
	}
	words, err := v.pairs(tok, x.cfg, end)
	if err != nil {
		return nil, nil, err
	}
	return append(list, words...), v, nil
}
