package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// EngineVersion is part of every step's key: it changes when the same inputs would give other results.
const EngineVersion = "3"

// Key hashes a step's kind, the engine version and whatever decides its result.
func Key(kind string, parts ...any) (string, error) {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, p := range append([]any{kind, EngineVersion}, parts...) {
		if err := enc.Encode(p); err != nil {
			return "", fmt.Errorf("key of %s: %w", kind, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// short is the start of a key, for folder names.
func short(key string) string { return key[:min(12, len(key))] }
