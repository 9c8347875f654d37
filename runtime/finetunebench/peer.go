package finetunebench

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"

	"triality/runtime/train"
)

//go:embed peer.py
var peerScript string

// Peer says how transformers and peft train: with gradient checkpointing where Options.Recompute is not
// none, in bfloat16, and
type Peer struct {
	NarrowAdapters bool // the adapters in bfloat16 too, where peft's default is float32
	Compiled       bool // the model through torch.compile
}

// String names it.
func (p Peer) String() string {
	name := "eager"
	if p.Compiled {
		name = "compiled"
	}
	if p.NarrowAdapters {
		name += " with bfloat16 adapters"
	}
	return name
}

// PeerResult is what transformers and peft showed.
type PeerResult struct {
	Peer            string    `json:"peer"` // names and versions
	Setup           string    `json:"setup"`
	TokensPerSecond float64   `json:"tokens_per_second"`
	PeakMemory      int64     `json:"peak_memory_bytes"` // PyTorch's max_memory_allocated
	Losses          []float64 `json:"losses"`
}

// RunPeer trains the same shape on the same sequences with transformers and peft: bfloat16 weights of their
// own, PyTorch's AdamW. python has them, and a GPU.
func RunPeer(ctx context.Context, python string, o Options, p Peer) (*PeerResult, error) {
	cfg, err := o.Shape.config()
	if err != nil {
		return nil, fmt.Errorf("bench finetune: %w", err)
	}
	var ids [][]int32
	for _, e := range o.sequences(cfg.VocabSize) {
		ids = append(ids, e.IDs)
	}
	job, err := json.Marshal(map[string]any{
		"shape": o.Shape, "r": o.R, "micro_batch": o.MicroBatch, "steps": o.Steps, "learning_rate": o.LearningRate, "seed": o.Seed, "ids": ids,
		"checkpointing": o.Recompute != train.RecomputeNone, "narrow_adapters": p.NarrowAdapters, "compile": p.Compiled,
	})
	if err != nil {
		return nil, fmt.Errorf("bench finetune: %w", err)
	}
	cmd := exec.CommandContext(ctx, python, "-c", peerScript)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(job), &out, &said
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		return nil, fmt.Errorf("bench finetune: transformers and peft through %s: %w: %s", python, err, lines[len(lines)-1])
	}
	var r PeerResult
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return nil, fmt.Errorf("bench finetune: the answer of %s: %w", python, err)
	}
	r.Setup = p.String()
	return &r, nil
}
