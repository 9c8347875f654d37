package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"triality/runtime/atomicfile"
)

// MaxShard is the size in bytes that Hugging Face's own tools keep a file of weights under.
const MaxShard = 5_000_000_000

// WriteModel makes the weights of a model folder, which is there already: dir/model.safetensors, or,
// where they take more than maxShard bytes, shards of at most that size with
// model.safetensors.index.json, named as transformers names them. Tensors stay in their order; one
// that is larger than maxShard gets a shard of its own.
func WriteModel(dir string, tensors []Tensor, metadata map[string]string, maxShard int64) error {
	if maxShard <= 0 {
		return fmt.Errorf("write model %s: shards of %d bytes", dir, maxShard)
	}
	var shards [][]Tensor
	var total, inShard int64
	for _, t := range tensors {
		if t.DType == "" {
			t.DType = F32
		}
		size, ok := byteSize(t.DType, t.Shape)
		if !ok || size > 1<<62-total {
			return fmt.Errorf("write model %s: tensor %q: shape %v is negative or too large", dir, t.Name, t.Shape)
		}
		if len(shards) == 0 || inShard > 0 && inShard+size > maxShard {
			shards, inShard = append(shards, nil), 0
		}
		shards[len(shards)-1] = append(shards[len(shards)-1], t)
		inShard += size
		total += size
	}
	if len(shards) <= 1 {
		return Write(filepath.Join(dir, singleName), tensors, metadata)
	}
	where := make(map[string]string, len(tensors))
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		for _, t := range shard {
			if _, twice := where[t.Name]; twice {
				return fmt.Errorf("write model %s: tensor %q is given twice", dir, t.Name)
			}
			where[t.Name] = name
		}
		if err := Write(filepath.Join(dir, name), shard, metadata); err != nil {
			return err
		}
	}
	index, err := json.MarshalIndent(map[string]any{
		"metadata": map[string]int64{"total_size": total}, "weight_map": where,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("write model %s: %w", dir, err)
	}
	return atomicfile.WriteFile(filepath.Join(dir, indexName), 0o644, func(w io.Writer) error {
		_, err := w.Write(index)
		_, end := io.WriteString(w, "\n")
		return errors.Join(err, end)
	})
}
