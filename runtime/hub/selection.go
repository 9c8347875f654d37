package hub

import (
	"path"
	"slices"
	"strings"

	"triality/runtime/modelfiles"
)

// TokenizerFiles are the patterns of what a tokenizer needs, and of all else that goes with a model.
var TokenizerFiles = append([]string{"config.json"}, modelfiles.Patterns...)

// ModelFiles are the patterns of what a model needs: its configuration, weights and tokenizer. Weights
// are read from safetensors alone: pickles (.bin, .pt) can run code.
var ModelFiles = append([]string{
	weightsPattern, "*.safetensors.index.json", "adapter_config.json", "replacement.json",
}, TokenizerFiles...)

const weightsPattern = "*.safetensors"

// pickles are never downloaded, whatever the patterns say.
var pickles = []string{".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}

// choose gives the files that the patterns name; a * stops at a slash, so that repositories with other
// forms of the model in subfolders cost nothing more.
func choose(files []File, patterns []string) []File {
	out := slices.DeleteFunc(slices.Clone(files), func(f File) bool {
		return slices.Contains(pickles, strings.ToLower(path.Ext(f.Path))) || !matches(f.Path, patterns)
	})
	// The same weights once more in their maker's own names, as Mistral's repositories have them.
	transformers := func(f File) bool {
		return strings.HasPrefix(f.Path, "model") && strings.HasSuffix(f.Path, ".safetensors")
	}
	if slices.ContainsFunc(out, transformers) && !slices.Contains(patterns, "consolidated*.safetensors") {
		out = slices.DeleteFunc(out, func(f File) bool {
			ok, _ := path.Match("consolidated*.safetensors", f.Path)
			return ok
		})
	}
	return out
}

func matches(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, name)
		return ok
	})
}

// checkChoice says what a repository lacks for the patterns.
func checkChoice(ref Ref, all, chosen []File, patterns []string) error {
	if len(chosen) == 0 {
		return failf(ErrNotFound, "%s has no file that matches %s", ref.Repo, strings.Join(patterns, ", "))
	}
	weights := func(f File) bool { return strings.HasSuffix(f.Path, ".safetensors") }
	if !slices.Contains(patterns, weightsPattern) || slices.ContainsFunc(chosen, weights) {
		return nil
	}
	for _, f := range all {
		if slices.Contains(pickles, strings.ToLower(path.Ext(f.Path))) {
			return failf(ErrNotFound, "%s has its weights only as %s, a pickle, which can run code and is not read; choose a repository or revision with .safetensors", ref.Repo, f.Path)
		}
	}
	return failf(ErrNotFound, "%s has no .safetensors weights", ref.Repo)
}
