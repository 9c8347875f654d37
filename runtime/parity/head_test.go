package parity

import (
	"path/filepath"
	"testing"

	"triality/runtime/safetensors"
	"triality/runtime/so8t"
)

// What is made of a model keeps a head that is not the embedding although config.json ties the two: the
// logits stay those of transformers.
func TestAHeadOfItsOwnGoesThroughReplacementAndBurnIn(t *testing.T) {
	f := load(t, "qwen2-head")
	dev := newDevice(t)
	replaced, burned := filepath.Join(t.TempDir(), "so8t"), filepath.Join(t.TempDir(), "burned")
	_, err := so8t.Replace(t.Context(), dev, f.dir, replaced, so8t.DefaultConfig(), [][]int32{f.data.Single}, nil)
	must(t, err)
	must(t, so8t.BurnIn(t.Context(), replaced, burned, safetensors.F32))
	closeTo(t, "burned in", logits(t, f.read(t, burned), f.data.Single), f.want(t, "single"), 1e-5)
}
