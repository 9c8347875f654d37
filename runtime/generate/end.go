package generate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"triality/runtime/disk"
	"triality/runtime/model"
)

// EndTokens are the ids that end a model's text, as transformers has them: those of the folder's
// generation_config.json, or else config.json's.
func EndTokens(dir string, cfg model.Config) ([]int32, error) {
	path := filepath.Join(dir, "generation_config.json")
	raw, err := disk.ReadRegular(path, disk.MaxText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("generate: %w", err)
	}
	ids := cfg.EOS
	if err == nil {
		var c struct {
			EOS json.RawMessage `json:"eos_token_id"`
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(c.EOS) > 0 && string(c.EOS) != "null" {
			var one int
			if json.Unmarshal(c.EOS, &one) == nil {
				ids = []int{one}
			} else if err := json.Unmarshal(c.EOS, &ids); err != nil {
				return nil, fmt.Errorf("%s: eos_token_id: %w", path, err)
			}
		}
	}
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out, nil
}
