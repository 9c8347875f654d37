//go:build ignore

// Extract makes testdata out of the whole files of ../shared. A tokenizer's extract keeps the tokens and
// merges that can take part in the texts below: a merge whose result is in none of them never happens
// there, so the ids of these texts are those of the whole tokenizer.
package main

import (
	"encoding/json"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	shared = "../../../shared"
	first  = 22_000 // the tokens that Qwen3 keeps at least: package tokenizer takes no file with more gaps
	rows   = 40     // of each language; the same questions, since both files have the same order
)

func main() {
	must(os.RemoveAll("testdata"))
	if err := os.CopyFS("testdata/models/stories260K", os.DirFS(filepath.Join(shared, "models/stories260K"))); err != nil {
		log.Fatal(err)
	}
	var texts []string
	for _, lang := range []string{"en", "ja"} {
		name := "data/xsafety/four_class_xsafety_" + lang + ".jsonl"
		lines := strings.SplitAfter(string(read(filepath.Join(shared, name))), "\n")[:rows]
		write(filepath.Join("testdata", name), []byte(strings.Join(lines, "")))
		texts = append(texts, lines...)
	}
	texts = append(texts, "<|im_start|>system\nJudge.<|im_end|>\n<|im_start|>user\nHow?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nDENY<|im_end|>\n", "user\nHi", "assistant\n")
	for name, kept := range map[string]int{"qwen3": first, "phi35": 0} {
		extract(name, kept, texts)
	}
}

func extract(name string, first int, texts []string) {
	dir := filepath.Join("tokenizers", name)
	var fixture struct {
		Cases []struct {
			Text *string
			IDs  []int
		}
	}
	unmarshal(filepath.Join("../tokenizer/testdata", "real-"+name+".json"), &fixture)
	ids := map[int]bool{}
	for _, c := range fixture.Cases {
		if c.Text != nil {
			texts = append(texts, *c.Text)
		}
		for _, id := range c.IDs {
			ids[id] = true
		}
	}
	var file map[string]json.RawMessage
	var model map[string]json.RawMessage
	var vocab map[string]int
	var merges []json.RawMessage
	unmarshal(filepath.Join(shared, dir, "tokenizer.json"), &file)
	must(json.Unmarshal(file["model"], &model))
	must(json.Unmarshal(model["vocab"], &vocab))
	must(json.Unmarshal(model["merges"], &merges))
	var added []struct {
		ID      int
		Content string
	}
	must(json.Unmarshal(file["added_tokens"], &added))
	all := strings.Join(texts, "\x00")
	between := all // what stands between added tokens is a text too
	for _, a := range added {
		ids[a.ID] = true
		between = strings.ReplaceAll(between, a.Content, "\x00")
	}
	all += "\x00" + between
	if name == "qwen3" {
		all = byteLevel(norm.NFC.String(all))
	} else {
		all = "▁" + strings.ReplaceAll(strings.ReplaceAll(all, "\x00", "\x00 "), " ", "▁")
	}
	maps.DeleteFunc(vocab, func(token string, id int) bool {
		hex := strings.HasPrefix(token, "<0x")
		return id >= first && !ids[id] && !hex && !strings.Contains(all, token) && !(name == "qwen3" && utf8.RuneCountInString(token) == 1)
	})
	merges = slices.DeleteFunc(merges, func(raw json.RawMessage) bool {
		var pair [2]string
		if json.Unmarshal(raw, &pair) != nil {
			var text string
			must(json.Unmarshal(raw, &text))
			left, right, _ := strings.Cut(text, " ")
			pair = [2]string{left, right}
		}
		_, left := vocab[pair[0]]
		_, right := vocab[pair[1]]
		return !left || !right || !strings.Contains(all, pair[0]+pair[1])
	})
	model["vocab"], model["merges"] = marshal(vocab), marshal(merges)
	file["model"] = marshal(model)
	write(filepath.Join("testdata", dir, "tokenizer.json"), append(marshal(file), '\n'))
	write(filepath.Join("testdata", dir, "tokenizer_config.json"), read(filepath.Join(shared, dir, "tokenizer_config.json")))
	log.Printf("%s: %d tokens, %d merges", name, len(vocab), len(merges))
}

// byteLevel spells each byte as byte-level BPE does: printable ones as themselves, the others from U+0100 on.
func byteLevel(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		r, next := rune(0), rune(0x100)
		for i := range 256 {
			r = rune(i)
			if !(i >= '!' && i <= '~' || i >= 0xa1 && i <= 0xac || i >= 0xae) {
				r = next
				next++
			}
			if i == int(c) {
				break
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

func read(path string) []byte {
	raw, err := os.ReadFile(path)
	must(err)
	return raw
}

func unmarshal(path string, v any) { must(json.Unmarshal(read(path), v)) }

func marshal(v any) []byte {
	raw, err := json.Marshal(v)
	must(err)
	return raw
}

func write(path string, text []byte) {
	must(os.MkdirAll(filepath.Dir(path), 0o755))
	must(os.WriteFile(path, text, 0o644))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
