package dataset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/runtime/hfdataset"
	"triality/runtime/tokenizer"
)

// jsonl makes n rows as a file's text: two rows a group, the four labels in turn, two extra fields.
func jsonl(n int) string {
	var b strings.Builder
	for i := range n {
		label := experiments.Labels[i/2%4]
		fmt.Fprintf(&b, `{"instruction":"Classify.","input":"question %d about %s number %d","output":%q,"four_class_label":%q,"domain_label":"d%d","source_sample":"s%d","style":"plain","text":"own %d"}`+"\n",
			i, strings.Repeat(string(rune('a'+i%26)), 12), i*i, label, label, i%2, i/2, i)
	}
	return b.String()
}

// teller hears what is told.
type teller struct {
	progress func(experiments.Progress)
	notes    *[]string
}

func (l teller) Progress(p experiments.Progress) {
	if l.progress != nil {
		l.progress(p)
	}
}

func (l teller) Note(text string) {
	if l.notes != nil {
		*l.notes = append(*l.notes, text)
	}
}

func prepare(t *testing.T, text string, change func(*Options)) (*Prepared, Options) {
	t.Helper()
	o := Options{InputPath: filepath.Join(files(t, map[string]string{"a.jsonl": text}), "a.jsonl"), Format: "instruction", MaxLength: 120, ValRatio: 0.1, TestRatio: 0.2, Seed: 1}
	if change != nil {
		change(&o)
	}
	p, err := Prepare(context.Background(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p, o
}

func TestWhatConvertWritesOpensAsItWas(t *testing.T) {
	p, o := prepare(t, jsonl(80)+"bad line\n", nil)
	tok, err := tokenizer.Train(slices.Values([]string{jsonl(80)}), 400, []string{"<|endoftext|>"})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "dataset")
	done := 0 // of three comparisons of leaks too
	sum, err := p.Convert(context.Background(), dir, tok, o, teller{progress: func(p experiments.Progress) { done = max(done, int(p.Done)) }})
	if err != nil {
		t.Fatal(err)
	}
	if sum.Rows != 80 || sum.Skipped != 1 || len(sum.Problems) != 1 || sum.Groups != 40 || sum.Dropped != 0 || sum.Leaks != 0 || len(sum.Splits) != 3 || done != 80 {
		t.Errorf("summary %+v, progress %d", sum, done)
	}
	splits, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	format, err := NewFormat(o.Format, tok)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for s, name := range SplitNames {
		want, got := p.Of(s), splits[name]
		if got == nil || len(got.Rows) != len(want) || sum.Splits[s].Rows != len(want) {
			t.Fatalf("%s has %v, want %d rows, summary %+v", name, got, len(want), sum.Splits[s])
		}
		rows += len(want)
		for i, r := range want {
			had := *r
			had.File, had.Line = "", 0 // where a row came from is not kept
			own, _ := r.Get("text")
			had.Extra = []Field{{"extra_text", own}, {"style", Value{String, "plain"}}}
			if !reflect.DeepEqual(got.Rows[i], had) {
				t.Errorf("%s %d: %+v, want %+v", name, i, got.Rows[i], had)
			}
			text, err := format.Prompt(r)
			if err != nil {
				t.Fatal(err)
			}
			prompt := len(tok.EncodePrompt(text))
			answer := append(tok.Encode(r.Output, false), tok.EOS())
			if len(got.IDs[i]) != prompt+len(answer) {
				t.Fatalf("%s %d: %d ids, want %d + %d", name, i, len(got.IDs[i]), prompt, len(answer))
			}
			for k, label := range got.Labels[i] {
				wanted := int32(-100)
				if k >= prompt {
					wanted = int32(answer[k-prompt])
				}
				if label != wanted {
					t.Errorf("%s %d: label %d is %d, want %d", name, i, k, label, wanted)
				}
			}
		}
	}
	if rows != 80 {
		t.Errorf("%d rows in the splits", rows)
	}
	raw, err := hfdataset.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range raw[0].Column("text").Strings {
		r := p.Of(0)[i]
		if want, err := format.Text(r); err != nil || v != want || !strings.HasSuffix(v, r.Output) {
			t.Errorf("text %d is %q", i, v)
		}
	}
}

func TestTheSameInputConvertsToTheSameBytes(t *testing.T) {
	p, o := prepare(t, jsonl(40), nil)
	first, second := filepath.Join(t.TempDir(), "d"), filepath.Join(t.TempDir(), "d")
	for _, dir := range []string{first, second} {
		if _, err := p.Convert(context.Background(), dir, runes{eos: -1}, o, nil); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(first, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(first, path)
		a, errA := os.ReadFile(path)
		b, errB := os.ReadFile(filepath.Join(second, rel))
		if string(a) != string(b) {
			t.Errorf("%s differs", rel)
		}
		return errors.Join(errA, errB)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConvertWithoutATokenizerWritesTextOnlyAndWithoutASplitTrainOnly(t *testing.T) {
	p, o := prepare(t, jsonl(10), func(o *Options) { o.NoSplit = true })
	dir := filepath.Join(t.TempDir(), "dataset")
	sum, err := p.Convert(context.Background(), dir, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	splits, err := Open(dir)
	if err != nil || len(splits) != 1 || len(splits["train"].Rows) != 10 || splits["train"].IDs != nil || sum.Splits[0].Tokens != 0 {
		t.Errorf("%+v %v %+v", splits, err, sum)
	}
}

func TestConvertWritesEveryRowOfAnyNumberOfBatches(t *testing.T) {
	for _, n := range []int{1, batchRows - 1, batchRows, batchRows + 1, 2*batchRows - 1} {
		p, o := prepare(t, jsonl(n), func(o *Options) { o.NoSplit = true })
		dir := filepath.Join(t.TempDir(), "d")
		sum, err := p.Convert(context.Background(), dir, nil, o, nil)
		if err != nil || sum.Splits[0].Rows != n {
			t.Errorf("%d rows: %+v, %v", n, sum.Splits, err)
		}
		if splits, err := Open(dir); err != nil || len(splits["train"].Rows) != n {
			t.Errorf("%d rows: read %d, %v", n, len(splits["train"].Rows), err)
		}
	}
}

func TestConvertDropsRowsWhoseAnswerDoesNotFitAndSaysSo(t *testing.T) {
	text := jsonl(80) + `{"instruction":"Classify.","input":"x","output":"` + strings.Repeat("long ", 40) + `","four_class_label":"DENY","source_sample":"z"}` + "\n"
	p, o := prepare(t, text, func(o *Options) { o.NoSplit = true })
	sum, err := p.Convert(context.Background(), filepath.Join(t.TempDir(), "d"), runes{eos: -1}, o, nil)
	if err != nil || sum.Dropped != 1 || sum.Splits[0].Rows != 80 {
		t.Errorf("dropped %d, rows %d, %v", sum.Dropped, sum.Splits[0].Rows, err)
	}
	dir := filepath.Join(t.TempDir(), "d")
	o.MaxLength = 20
	_, err = p.Convert(context.Background(), dir, runes{eos: -1}, o, nil)
	if err == nil || !strings.Contains(err.Error(), "data.max_length") || !strings.Contains(err.Error(), "train split") || experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a refused conversion left a folder")
	}
}

func TestConvertStopsWhenTheContextEnds(t *testing.T) {
	p, o := prepare(t, jsonl(40), nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := filepath.Join(t.TempDir(), "d")
	if _, err := p.Convert(ctx, dir, nil, o, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("an interrupted conversion left a folder")
	}
}

func TestOpenNamesWhatIsWrongWithADataset(t *testing.T) {
	label := hfdataset.Strings("four_class_label", []string{"DENY"})
	tests := []struct {
		name    string
		columns []hfdataset.Column
		want    string
	}{
		{"an unknown label", []hfdataset.Column{hfdataset.Strings("four_class_label", []string{"X"})}, `unknown label "X"`},
		{"a label that is a number", []hfdataset.Column{hfdataset.Ints("four_class_label", []int64{1})}, "column four_class_label is"},
		{"no labels at all", []hfdataset.Column{hfdataset.Strings("input", []string{"a"})}, `unknown label ""`},
		{"token ids that are text", []hfdataset.Column{label, hfdataset.Strings("input_ids", []string{"1"}), hfdataset.Lists("labels", [][]int32{{1}})}, "lists of integers"},
		{"more ids than labels", []hfdataset.Column{label, hfdataset.Lists("input_ids", [][]int32{{1, 2}}), hfdataset.Lists("labels", [][]int32{{1}})}, "row 0: input_ids has 2 values, labels has 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			if err := hfdataset.Write(dir, []hfdataset.Split{{Name: "train", Columns: tt.columns}}); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "split train") || experiments.CodeOf(err) != experiments.CodeInvalid {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil || experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("a missing dataset: %v", err)
	}
}
