package modelfolder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"sync"

	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/runtime/model"
	"triality/runtime/modelfiles"
	"triality/runtime/safetensors"
	"triality/runtime/so8t"
)

// types has safetensors' name of each type that weights are converted to, by PyTorch's.
var types = map[string]safetensors.DType{
	"float32": safetensors.F32, "float16": safetensors.F16, "bfloat16": safetensors.BF16,
}

// ParseType reads a storage type as config.json's torch_dtype has it.
func ParseType(s string) (safetensors.DType, error) {
	t, ok := types[s]
	if !ok {
		return "", fmt.Errorf("dtype %q is not one that weights are stored as: float32, float16 and bfloat16 are", s)
	}
	return t, nil
}

// ConvertOptions configures Convert.
type ConvertOptions struct {
	DType safetensors.DType // F32, F16 or BF16
	// MaxShard is the most bytes of weights in one file; 0 is safetensors.MaxShard.
	MaxShard int64
	Config   []model.Option // how config.json is read
	// Progress is told the elements done and all of them now and then; nil is fine.
	Progress func(done, total int64)
}

// Convert writes the Hugging Face model in dir, sharded or not, to the folder out with its weights
// stored as o.DType, in one file or in shards of at most o.MaxShard. config.json says the new type;
// the files that belong to the model (modelfiles) are copied. A value that is not finite, or would not be as
// o.DType, is an error. Weights are streamed; out is there whole or not at all, and must be empty or new.
func Convert(ctx context.Context, dir, out string, o ConvertOptions) error {
	err := convert(ctx, dir, out, o)
	if missing := (*safetensors.MissingShardError)(nil); errors.As(err, &missing) {
		return missing // says where it is
	}
	if err != nil {
		return fmt.Errorf("convert %s: %w", dir, err)
	}
	return nil
}

func convert(ctx context.Context, dir, out string, o ConvertOptions) error {
	if o.MaxShard == 0 {
		o.MaxShard = safetensors.MaxShard
	}
	if isSO8T, err := so8t.IsModel(dir); err == nil && isSO8T {
		return errors.New("an SO8T model keeps the types its measured difference holds for; convert its source before the replacement, or the plain model after `triality model burn-in`")
	}
	cfg, err := model.LoadConfig(dir, o.Config...)
	if err != nil {
		return err
	}
	m, err := safetensors.OpenModel(dir)
	if err != nil {
		return fmt.Errorf("model weights: %w", err)
	}
	defer m.Close()
	if c := checkTensors(stored{m}, asStored(cfg, cfg.Specs(), m), cfg.Unused); c.Err != nil {
		return c.Err
	}
	entries, err := disk.ReadDir(out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("output folder %s is not empty", out)
	}
	tensors, err := converted(ctx, m, o)
	if err != nil {
		return err
	}
	return atomicfile.WriteFolder(out, func(tmp string) error {
		if err := modelfiles.Copy(dir, tmp); err != nil {
			return err
		}
		if err := saveConfig(dir, tmp, o.DType); err != nil {
			return err
		}
		meta := m.Metadata()
		if len(meta) == 0 {
			meta = map[string]string{"format": "pt"}
		}
		return safetensors.WriteModel(tmp, tensors, meta, o.MaxShard)
	})
}

// converted lists the model's tensors as they are to be written.
func converted(ctx context.Context, m *safetensors.Model, o ConvertOptions) ([]safetensors.Tensor, error) {
	var list []safetensors.Tensor
	var mu sync.Mutex // parts are read on several goroutines
	var done, total int64
	for _, name := range m.Names() {
		info, _ := m.Info(name)
		total += int64(info.Elements())
		t := safetensors.Tensor{Name: name, DType: o.DType, Shape: info.Shape}
		if !floating(string(info.DType)) {
			return nil, fmt.Errorf("tensor %q is %s, which is not converted (F32, F16 and BF16 are)", name, info.DType)
		}
		t.Read = func(dst []float32, at int) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := m.ReadFloat32At(name, dst, at); err != nil {
				return err
			}
			for i, x := range dst {
				switch {
				case math.IsInf(float64(x), 0) || x != x:
					return fmt.Errorf("%s%v is %g: the model was damaged or diverged in training", name, model.Place(at+i, info.Shape), x)
				case overflows(x, o.DType):
					return fmt.Errorf("%s%v is %g, beyond what %s holds", name, model.Place(at+i, info.Shape), x, o.DType)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			done += int64(len(dst))
			if o.Progress != nil {
				o.Progress(done, total)
			}
			return nil
		}
		list = append(list, t)
	}
	return list, nil
}

// overflows says whether a finite value becomes infinite.
func overflows(x float32, t safetensors.DType) bool {
	switch t {
	case safetensors.F16:
		return safetensors.Float32ToF16(x)&0x7fff == 0x7c00
	case safetensors.BF16:
		return safetensors.Float32ToBF16(x)&0x7fff == 0x7f80
	}
	return false
}

// setType puts the storage type under the key that is there.
func setType(fields map[string]json.RawMessage, t safetensors.DType) {
	key := "torch_dtype"
	if _, ok := fields["dtype"]; ok {
		key = "dtype"
	}
	for name, d := range types {
		if d == t {
			fields[key] = json.RawMessage(`"` + name + `"`)
		}
	}
}

// saveConfig writes from's config.json with the new storage type under the key it uses: torch_dtype,
// or dtype in files of transformers 5.
func saveConfig(from, to string, t safetensors.DType) error {
	path := filepath.Join(from, model.ConfigFile)
	raw, err := disk.ReadRegular(path, disk.MaxText)
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	setType(fields, t)
	// A nested model's parts say it again.
	for name, raw := range fields {
		var part map[string]json.RawMessage
		if !strings.HasSuffix(name, "_config") || json.Unmarshal(raw, &part) != nil || part["dtype"] == nil && part["torch_dtype"] == nil {
			continue
		}
		setType(part, t)
		if fields[name], err = json.Marshal(part); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(fields, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(to, model.ConfigFile), 0o644, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}
