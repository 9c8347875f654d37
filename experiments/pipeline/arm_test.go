package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/graph"
	"triality/runtime/model"
	"triality/runtime/so8t"
	"triality/runtime/train"
)

// firstEnds gives the token that ends a text the id 0, and that which had it the token's.
func firstEnds(t *testing.T, dir string) {
	t.Helper()
	tok, err := loadTokenizer(dir)
	if err != nil {
		t.Fatal(err)
	}
	end := float64(tok.EOS())
	path := filepath.Join(dir, "tokenizer.json")
	var doc map[string]any
	if err := graph.ReadJSON(path, &doc); err != nil {
		t.Fatal(err)
	}
	for _, added := range doc["added_tokens"].([]any) {
		if a := added.(map[string]any); a["id"] == end {
			a["id"] = 0
		}
	}
	vocab := doc["model"].(map[string]any)["vocab"].(map[string]any)
	for text, id := range vocab {
		switch id {
		case 0.0:
			vocab[text] = end
		case end:
			vocab[text] = 0
		}
	}
	text, err := json.Marshal(doc)
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if tok, err = loadTokenizer(dir); err != nil || tok.EOS() != 0 {
		t.Fatalf("the end is %d, %v", tok.EOS(), err)
	}
}

func TestAnEndWhoseIDIs0EndsTextsToo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "base")
	chatBase(t, dir)
	firstEnds(t, dir)
	tok, err := loadTokenizer(dir)
	if err != nil {
		t.Fatal(err)
	}
	if docs := documents(tok, []string{"open the window"}, 64); len(docs) != 1 || docs[0].IDs[len(docs[0].IDs)-1] != 0 {
		t.Errorf("a document: %v", docs)
	}
	a, err := newArm(Source{Name: dir, Dir: dir}, "instruction", 96)
	if err != nil || a.end[len(a.end)-1] != 0 {
		t.Errorf("an arm stops at %v, %v", a.end, err)
	}
	if promptLength(train.Example{Labels: []int32{-100, -100, 0, 5}}) != 2 || promptLength(train.Example{Labels: []int32{-100, -100}}) != 2 {
		t.Error("the prompt ends where something is trained, if it has the id 0")
	}
}

func TestAPieceOfADocumentThatPredictsNothingIsLeftOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "base")
	chatBase(t, dir)
	tok, err := loadTokenizer(dir)
	if err != nil {
		t.Fatal(err)
	}
	whole := documents(tok, []string{"open the window"}, 64)[0].IDs
	pieces := documents(tok, []string{"open the window"}, len(whole)-1)
	if len(pieces) != 1 || !slices.Equal(pieces[0].IDs, whole[:len(whole)-1]) {
		t.Errorf("of %v: %v", whole, pieces)
	}
	if pieces := documents(tok, []string{"open the window"}, len(whole)-2); len(pieces) != 2 || len(pieces[1].IDs) != 2 {
		t.Errorf("of %v: %v", whole, pieces)
	}
}

func TestAPromptLeavesRoomForTheLongestLabel(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "base")
	chatBase(t, dir)
	a, err := newArm(Source{Name: dir, Dir: dir}, "instruction", 40)
	if err != nil {
		t.Fatal(err)
	}
	longest := 0
	for _, ids := range a.answers {
		longest = max(longest, len(ids))
	}
	if longest == 0 || a.limit+longest != 40 || len(a.specs) == 0 {
		t.Errorf("%d tokens and %d of a label, %d weights", a.limit, longest, len(a.specs))
	}
	words, err := labelWords(dir)
	if err != nil {
		t.Fatal(err)
	}
	for c := so8t.Allow; c <= so8t.Refuse; c++ {
		if want := a.tok.Encode(c.String(), false)[0]; int(words[c]) != want {
			t.Errorf("the word of %v is %d, want %d", c, words[c], want)
		}
	}
}

func TestProbesComeFromAllOverASplit(t *testing.T) {
	for n, want := range map[int][]int32{0: nil, 1: {0}, 3: {0, 1, 2}, 17: {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, 35: {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30}} {
		set := make([]so8t.Example, n)
		for i := range set {
			set[i].IDs = []int32{int32(i)}
		}
		var got []int32
		for _, ids := range rowProbes(set) {
			got = append(got, ids[0])
		}
		if !slices.Equal(got, want) {
			t.Errorf("of %d rows: %v, want %v", n, got, want)
		}
	}
}

func TestAModelThatCannotBeTrainedIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "base")
	chatBase(t, dir)
	path := filepath.Join(dir, model.ConfigFile)
	var doc map[string]any
	if err := graph.ReadJSON(path, &doc); err != nil {
		t.Fatal(err)
	}
	doc["attention_dropout"] = 0.1
	if err := graph.WriteJSON(path, doc); err != nil {
		t.Fatal(err)
	}
	e := &Engine{}
	for name, err := range map[string]error{
		"finetune": e.Finetune(t.Context(), FinetuneOptions{BaseModel: dir, OutDir: t.TempDir()}, silent{}),
		"pretrain": e.Pretrain(t.Context(), PretrainOptions{ModelDir: dir, WorkDir: t.TempDir()}, silent{}),
	} {
		if experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), "attention_dropout") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// armsOf are a plain model and an SO8T one made of it, on a device.
func armsOf(t *testing.T) (r *Runner, arms []*arm) {
	t.Helper()
	r, _ = newRunner(t)
	dir := t.TempDir()
	chatBase(t, filepath.Join(dir, "base"))
	if err := r.Engine.Replace(t.Context(), ReplaceOptions{Model: filepath.Join(dir, "base"), OutDir: dir, MaxLength: 96}, silent{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"base", "model"} {
		a, err := openArm(r.Engine.Device, model.Storage{}, Source{Name: name, Dir: filepath.Join(dir, name)}, "instruction", 96)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := a.close(); err != nil {
				t.Error(err)
			}
		})
		arms = append(arms, a)
	}
	return r, arms
}

func TestArmsArePlannedWarmedAndWriteWithinTheirPositions(t *testing.T) {
	r, arms := armsOf(t)
	rows := []dataset.Row{{Instruction: "Classify.", Input: "open the window please", Label: "ALLOW"}}
	for _, a := range arms {
		if err := a.tokenize(rows); err != nil {
			t.Fatal(err)
		}
		// The whole of it is planned, whatever comes last.
		need, err := r.Engine.planAnswers([]*arm{a}, rows, config.Generate{MaxNewTokens: 4})
		if err != nil {
			t.Fatal(err)
		}
		shares := map[string]int64{}
		for _, s := range append(need.Device.Shares, need.Host.Shares...) {
			shares[s.Name] += s.Bytes
		}
		for _, name := range []string{train.SharedWeights, train.SharedActivations, "texts", "answers"} {
			if shares[name] <= 0 {
				t.Errorf("%s: of %s nothing is planned: %v", a.name, name, shares)
			}
		}
		// Warming up answers as many prompts as it says: the second cannot be answered.
		prompts := a.prompts
		a.prompts = [][]int32{prompts[0], {1 << 30}}
		if err := a.prepare(t.Context(), 1); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
		if err := a.prepare(t.Context(), 2); err == nil {
			t.Errorf("%s: a prompt that is not warmed up with", a.name)
		}
		a.prompts = prompts
		ended, end := context.WithCancel(t.Context())
		end()
		if err := a.prepare(ended, 0); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	a := arms[0]
	long := len(a.prompts[0])
	for _, tt := range []struct {
		room int // beside what is written
		want string
	}{{long + 3, ""}, {long, ""}, {long - 1, ""}, {1, "do not fit in its"}, {0, "positions, the prompt's included"}} {
		a.positions = 4 + tt.room
		texts, err := a.write(t.Context(), rows, a.prompts, config.Generate{MaxNewTokens: 4}, 1, silent{})
		switch {
		case tt.want == "" && (err != nil || len(texts) != 1 || len(texts[0].logProbs) == 0):
			t.Errorf("room of %d: %+v, %v", tt.room, texts, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("room of %d: %v, want %q", tt.room, err, tt.want)
		}
	}
	whole, err := a.write(t.Context(), rows, a.prompts, config.Generate{MaxNewTokens: 4}, 1, silent{})
	if err == nil {
		t.Errorf("with no positions left: %+v", whole)
	}
	for batch, want := range map[int]int{0: textsAtOnce, 3: 3} {
		if got := textsAtOnceOf(config.Generate{BatchSize: batch}); got != want {
			t.Errorf("a batch of %d is %d", batch, got)
		}
	}
}
