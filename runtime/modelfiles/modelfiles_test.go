package modelfiles

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestAFileGoesWithItsModelOrStays(t *testing.T) {
	for name, want := range map[string]bool{
		"generation_config.json": true, "tokenizer.json": true, "tokenizer_config.json": true, "tokenizer.model": true, "tokenizer.model.v3": true,
		"vocab.json": true, "merges.txt": true, "vocab.txt": true, "special_tokens_map.json": true, "added_tokens.json": true,
		"spiece.model": true, "qwen.tiktoken": true, "chat_template.jinja": true, "chat_template.json": true,
		"additional_chat_templates/rag.jinja": true, "preprocessor_config.json": true, "processor_config.json": true,
		"modeling_phi3.py": true, "LICENSE": true, "license.txt": true, "Notice.md": true, "USE_POLICY.md": true,

		"config.json": false, "model.safetensors": false, "model.safetensors.index.json": false, "pytorch_model.bin": false, "README.md": false,
		"trainer_state.json": false, "training_args.bin": false, "optimizer.pt": false, "main.py": false, "adapter_config.json": false,
		"step.json": false, "additional_chat_templates/notes.txt": false, "other/tokenizer.json": false, ".gitattributes": false,
	} {
		if Belongs(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func TestCopyTakesFoldersAndLinksAndLeavesTheRest(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	put := func(name string) {
		t.Helper()
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"tokenizer.json", "additional_chat_templates/rag.jinja", "blob", "README.md", "modeling_so8t.py"} {
		put(name)
	}
	if err := os.Symlink("blob", filepath.Join(from, "generation_config.json")); err != nil {
		t.Skip("no links here: ", err)
	}
	if err := os.Mkdir(filepath.Join(from, "vocab.json"), 0o755); err != nil { // a folder of that name is not the file
		t.Fatal(err)
	}
	if err := Copy(from, to, "modeling_so8t.py"); err != nil {
		t.Fatal(err)
	}
	got, err := List(to)
	if want := []string{"generation_config.json", "tokenizer.json", "additional_chat_templates/rag.jinja"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if text, err := os.ReadFile(filepath.Join(to, "generation_config.json")); err != nil || string(text) != "blob" {
		t.Errorf("the link's file is %q, %v", text, err)
	}
	if entries, err := os.ReadDir(to); err != nil || len(entries) != 3 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := Copy(filepath.Join(from, "none"), to); !os.IsNotExist(err) {
		t.Errorf("no folder: %v", err)
	}
}
