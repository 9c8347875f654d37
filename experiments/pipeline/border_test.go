package pipeline

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"triality/experiments/dataset"
	"triality/experiments/graph"
	"triality/runtime/model"
	"triality/runtime/so8t"
)

// endsTexts makes a model folder's tokenizer put <|endoftext|> before and after every text.
func endsTexts(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "tokenizer.json")
	var doc map[string]any
	if err := graph.ReadJSON(path, &doc); err != nil {
		t.Fatal(err)
	}
	id := doc["added_tokens"].([]any)[0].(map[string]any)["id"]
	special := map[string]any{"SpecialToken": map[string]any{"id": endOfText, "type_id": 0}}
	doc["post_processor"] = map[string]any{
		"type": "TemplateProcessing", "single": []any{special, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}, special},
		"special_tokens": map[string]any{endOfText: map[string]any{"id": endOfText, "ids": []any{id}}},
	}
	text, err := json.Marshal(doc)
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestATokenizerThatEndsTextsDoesNotEndPrompts(t *testing.T) {
	ctx := context.Background()
	r, _ := newRunner(t)
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	chatBase(t, base)
	endsTexts(t, base)
	writeRows(t, filepath.Join(dir, "rows.jsonl"), 48)
	tok, err := loadTokenizer(base)
	if err != nil {
		t.Fatal(err)
	}
	eos := int32(tok.EOS())
	if whole := tok.Encode("a", true); len(whole) < 3 || int32(whole[len(whole)-1]) != eos {
		t.Fatalf("the tokenizer does not end its texts: %v", whole)
	}
	rows, err := dataset.Read(t.Context(), filepath.Join(dir, "rows.jsonl"), true, nil)
	if err != nil {
		t.Fatal(err)
	}
	// check holds a prompt: at most one such token, in front.
	check := func(t *testing.T, what string, ids []int32, front bool) {
		t.Helper()
		if (ids[0] == eos) != front || slices.Contains(ids[1:], eos) {
			t.Errorf("%s: %v", what, ids)
		}
	}
	for _, format := range []string{"instruction", "completion", "chat"} {
		t.Run(format, func(t *testing.T) {
			front := format != "chat" // whose template writes what stands around its text
			o := ConvertOptions{BaseModel: base, OutDir: t.TempDir(), Options: dataset.Options{InputPath: filepath.Join(dir, "rows.jsonl"), Format: format, MaxLength: 160, NoSplit: true}}
			if err := r.Engine.Convert(ctx, o, silent{}); err != nil {
				t.Fatal(err)
			}
			splits, err := dataset.Open(filepath.Join(o.OutDir, "dataset"))
			if err != nil {
				t.Fatal(err)
			}
			a, err := openArm(r.Engine.Device, model.Storage{}, Source{Name: base, Dir: base}, format, 160)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := a.close(); err != nil {
					t.Error(err)
				}
			}()
			set, err := classExamples(splits, "train", "x")
			if err != nil || len(set) != len(rows.Rows) {
				t.Fatalf("%d examples, %v", len(set), err)
			}
			for i := range set {
				trained := set[i].IDs[:set[i].Prompt]
				check(t, "trained on", trained, front)
				if last := set[i].IDs[len(set[i].IDs)-1]; last != eos {
					t.Errorf("the answer ends with %d", last)
				}
				asked, err := a.prompt(&rows.Rows[i]) // what labels, heads and latency are measured on
				if err != nil || !slices.Equal(asked, trained) {
					t.Fatalf("asked %v, trained on %v: %v", asked, trained, err)
				}
			}
			for i, ids := range a.answers {
				if slices.Contains(ids, eos) {
					t.Errorf("label %d is scored as %v", i, ids)
				}
			}
		})
	}
	for _, ex := range documents(tok, []string{"open the window"}, 64) {
		check(t, "a document without its end", ex.IDs[:len(ex.IDs)-1], true)
		if ex.IDs[len(ex.IDs)-1] != eos {
			t.Errorf("a document does not end: %v", ex.IDs)
		}
	}
	for _, ids := range textProbes(tok) {
		check(t, "a probe", ids, true)
	}
	words, err := labelWords(base)
	if err != nil || slices.Contains(words[:], eos) || len(words) != int(so8t.Refuse)+1 {
		t.Errorf("label words %v, %v", words, err)
	}
}
