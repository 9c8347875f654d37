package finetunebench

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
)

//go:embed peer.py
var peerScript string

// PeerResult is what transformers and peft showed.
type PeerResult struct {
	Peer            string    `json:"peer"` // names and versions
	TokensPerSecond float64   `json:"tokens_per_second"`
	PeakMemory      int64     `json:"peak_memory_bytes"` // PyTorch's max_memory_allocated
	Losses          []float64 `json:"losses"`
}

// RunPeer trains the same shape on the same sequences with transformers and peft: bfloat16 weights
// of their own, gradient checkpointing, float32 adapters, PyTorch's AdamW. python has them, and a GPU.
func RunPeer(ctx context.Context, python string, o Options) (*PeerResult, error) {
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
	return &r, nil
}
