package pipeline

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/lora"
	"triality/runtime/model"
	"triality/runtime/modelfolder"
)

func TestAnAdapterOfHeadAndEmbeddingIsMergedUntied(t *testing.T) {
	ctx := context.Background()
	dir, r, _ := afterOneRun(t)
	base := firstBase(t, dir)
	for name, set := range map[string][]string{
		"adapters": {"training.lora_target_modules=[q_proj, lm_head, embed_tokens]"},
		"outright": {"training.lora_target_modules=[q_proj, nothing_of_that_name]", "training.lora_modules_to_save=[lm_head, embed_tokens]"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := smallConfig(t, dir, append(set, "training.num_train_epochs=0.5")...)
			out := t.TempDir()
			notes := &listener{}
			o := FinetuneOptions{BaseModel: base, Dataset: filepath.Join(inCopy(t, dir, firstRun(t).Steps[1].Output), "dataset"), OutDir: out, Training: cfg.Training, MaxLength: 96}
			if err := r.Engine.Finetune(ctx, o, notes); err != nil {
				t.Fatal(err)
			}
			var missing []string
			for _, n := range notes.notes {
				if strings.HasPrefix(n, "the model has no module called") {
					missing = append(missing, n)
				}
			}
			want := map[string][]string{"outright": {"the model has no module called nothing_of_that_name"}}[name]
			if !slices.Equal(missing, want) {
				t.Errorf("notes: %q", notes.notes)
			}
			merged := filepath.Join(out, "merged")
			was, err := model.LoadConfig(base)
			if err != nil {
				t.Fatal(err)
			}
			now, err := model.LoadConfig(merged)
			if err != nil || !was.TieEmbeddings || now.TieEmbeddings {
				t.Errorf("tied %v, then %v: %v", was.TieEmbeddings, now.TieEmbeddings, err)
			}
			if err := modelfolder.Failed(modelfolder.Verify(ctx, merged)); err != nil {
				t.Error(err)
			}
			p, err := model.LoadParams(merged, now)
			if err != nil {
				t.Fatal(err)
			}
			embedding, _ := p.Get("model.embed_tokens.weight")
			if head, ok := p.Get("lm_head.weight"); !ok || slices.Equal(head.Data, embedding.Data) {
				t.Error("the head is the embedding, still")
			}
			again := filepath.Join(out, "again")
			if err := Merge(ctx, base, filepath.Join(out, "adapter"), again); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(weights(t, merged), weights(t, again)) {
				t.Error("model merge gives other weights than finetune")
			}
			a, err := lora.Read(filepath.Join(out, "adapter"), was)
			if err != nil || a.R != 2 {
				t.Errorf("the adapter does not read back: %v", err)
			}
			if err := r.Engine.Replace(ctx, ReplaceOptions{Model: merged, OutDir: filepath.Join(out, "so8t"), SO8T: cfg.SO8T, Dataset: o.Dataset, MaxLength: 96}, silent{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// listener keeps what it is told.
type listener struct {
	silent
	notes []string
}

func (l *listener) Note(text string) { l.notes = append(l.notes, text) }
