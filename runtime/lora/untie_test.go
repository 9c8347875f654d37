package lora

import (
	"testing"

	"triality/runtime/model"
)

func TestAModelIsUntiedWhereAnEndOfItChanges(t *testing.T) {
	list := []string{"q_proj"}
	for name, tt := range map[string]struct {
		c    Config
		tied bool
	}{
		"an adapter of another module":  {Config{TargetModules: list}, true},
		"a norm that is trained":        {Config{TargetModules: list, SaveModules: []string{"model.norm"}}, true},
		"the embedding that is trained": {Config{TargetModules: list, SaveModules: []string{"embed_tokens"}}, false},
		"the head that is trained":      {Config{TargetModules: list, SaveModules: []string{"lm_head"}}, false},
		"an adapter of the embedding":   {Config{TargetModules: []string{"embed_tokens"}}, false},
		"an adapter of the head":        {Config{TargetModules: []string{"lm_head"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tt.c.R, tt.c.Alpha = 2, 4
			cfg, p := smallModel(t, "llama") // tied
			a, err := Empty(tt.c, cfg)
			if err != nil {
				t.Fatal(err)
			}
			got, base := a.Model(cfg, p)
			if got.TieEmbeddings != tt.tied {
				t.Errorf("tied: %v", got.TieEmbeddings)
			}
			if same := base == model.Source(p); same != tt.tied {
				t.Errorf("the weights are the model's own: %v", same)
			}
		})
	}
}
