package generate

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"triality/runtime/model"
)

func TestTheGenerationConfigurationNamesTheEndTokens(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want []int32 // nil for an error
	}{
		"none":            {"", []int32{7}},
		"one":             {`{"eos_token_id": 5}`, []int32{5}},
		"several":         {`{"eos_token_id": [5, 6]}`, []int32{5, 6}},
		"without":         {`{"temperature": 1}`, []int32{7}},
		"null":            {`{"eos_token_id": null}`, []int32{7}},
		"of words":        {`{"eos_token_id": "a"}`, nil},
		"that is no JSON": {`{`, nil},
	} {
		dir := t.TempDir()
		if c.file != "" {
			if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(c.file), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := EndTokens(dir, model.Config{EOS: []int{7}})
		if (err != nil) != (c.want == nil) || !slices.Equal(got, c.want) {
			t.Errorf("a file %s: %v, %v", name, got, err)
		}
	}
}
