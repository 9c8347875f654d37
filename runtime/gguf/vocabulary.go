package gguf

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"triality/runtime/disk"
	"triality/runtime/model"
	"triality/runtime/tokenizer"
)

// The kinds of tokens, numbered as llama_token_type is.
const (
	tokenNormal      int32 = 1
	tokenUnknown     int32 = 2
	tokenControl     int32 = 3
	tokenUserDefined int32 = 4
	tokenUnused      int32 = 5
	tokenByte        int32 = 6
)

// vocabulary is a tokenizer as GGUF has it.
type vocabulary struct {
	model  string // "gpt2": byte-level BPE; "llama": SentencePiece's BPE
	pre    string // which pattern cuts text into words
	prefix bool   // a space goes before the text
	tokens []string
	types  []int32
	scores []float32 // of SentencePiece's
	merges []string  // of byte-level ones
	rstrip bool      // an added token takes the white space after it
	notes  []string
}

// tokenizerFile is what a tokenizer.json says that runtime/tokenizer keeps to itself.
type tokenizerFile struct {
	Added        []tokenizer.AddedToken `json:"added_tokens"` // RStrip is spelled rstrip there: keys match in any case
	Normalizer   json.RawMessage        `json:"normalizer"`
	PreTokenizer json.RawMessage        `json:"pre_tokenizer"`
	Model        struct {
		ByteFallback bool              `json:"byte_fallback"`
		IgnoreMerges bool              `json:"ignore_merges"`
		Unknown      *string           `json:"unk_token"`
		Vocab        map[string]int    `json:"vocab"`
		Merges       []json.RawMessage `json:"merges"`
	} `json:"model"`
}

// readVocabulary reads dir/tokenizer.json, of which tok is made, for a model with size embedding rows.
func readVocabulary(dir string, tok *tokenizer.Tokenizer, size int) (*vocabulary, error) {
	path := filepath.Join(dir, "tokenizer.json")
	raw, err := disk.ReadRegular(path, disk.MaxText)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	var f tokenizerFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.Added = tok.AddedTokens() // with those of the files beside it
	v, err := f.vocabulary(size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

func (f *tokenizerFile) vocabulary(size int) (*vocabulary, error) {
	v := &vocabulary{}
	steps, err := f.steps()
	if err != nil {
		return nil, err
	}
	if err := v.setModel(f, steps); err != nil {
		return nil, err
	}
	merges, err := f.merges()
	if err != nil {
		return nil, err
	}
	if err := v.setTokens(f, size); err != nil {
		return nil, err
	}
	if v.model == "gpt2" {
		v.merges = make([]string, len(merges))
		for i, m := range merges {
			if strings.Contains(m[0]+m[1], " ") {
				return nil, fmt.Errorf("model.merges[%d]: %q holds a space, which no byte-level token does", i, m)
			}
			v.merges[i] = m[0] + " " + m[1]
		}
		return v, nil
	}
	return v, v.setScores(f, merges)
}

// setTokens lists the tokens by id. Rows of the embedding that no token has are named [PADn].
func (v *vocabulary) setTokens(f *tokenizerFile, size int) error {
	v.tokens, v.types = make([]string, size), make([]int32, size)
	put := func(id int, text string, kind int32) error {
		if id < 0 || id >= size {
			return fmt.Errorf("token %q has id %d, config.json's vocab_size is %d", text, id, size)
		}
		v.tokens[id], v.types[id] = text, kind
		return nil
	}
	for text, id := range f.Model.Vocab {
		kind := tokenNormal
		switch {
		case v.model == "llama" && isByte(text):
			kind = tokenByte
		case v.model == "llama" && f.Model.Unknown != nil && text == *f.Model.Unknown:
			kind = tokenUnknown
		}
		if err := put(id, text, kind); err != nil {
			return fmt.Errorf("model.vocab: %w", err)
		}
	}
	for i, a := range f.Added {
		kind, text := tokenUserDefined, a.Content
		if a.Special || looksSpecial(text) {
			kind = tokenControl
		} else if v.model == "llama" {
			text = strings.ReplaceAll(text, "▁", " ")
		}
		if err := put(a.ID, text, kind); err != nil {
			return fmt.Errorf("added_tokens[%d]: %w", i, err)
		}
		v.rstrip = v.rstrip || a.RStrip
	}
	seen := make(map[string]int, size)
	for id := range v.tokens {
		if v.types[id] == 0 {
			v.tokens[id], v.types[id] = fmt.Sprintf("[PAD%d]", id), tokenUnused
		}
		// llama.cpp aborts on two tokens that look the same.
		if other, twice := seen[v.tokens[id]]; twice {
			return fmt.Errorf("tokens %d and %d are both %q", other, id, v.tokens[id])
		}
		seen[v.tokens[id]] = id
	}
	return nil
}

// isByte says whether a token of SentencePiece stands for one byte: <0x0A>.
func isByte(s string) bool {
	const hex = "0123456789ABCDEFabcdef"
	return len(s) == 6 && s[:3] == "<0x" && s[5] == '>' && strings.IndexByte(hex, s[3]) >= 0 && strings.IndexByte(hex, s[4]) >= 0
}

// looksSpecial is llama.cpp's own rule for added tokens that are control tokens whatever their flag.
func looksSpecial(s string) bool {
	return strings.HasPrefix(s, "<|") && strings.HasSuffix(s, "|>") || strings.HasPrefix(s, "<｜") && strings.HasSuffix(s, "｜>")
}

// safeName is the model's name as llama.cpp may read it. By a name with "phi-3" or "phi3" in it
// llama.cpp knows that added tokens take the white space after them, and then it must find four
// tokens of Phi-3's, or it refuses the file.
func (v *vocabulary) safeName(name, arch string) string {
	marked := regexp.MustCompile(`(?i)phi-?3`)
	for _, token := range []string{"</s>", "<unk>", "<s>", "<|endoftext|>"} {
		if !slices.Contains(v.tokens, token) {
			return marked.ReplaceAllString(name, "phi 3")
		}
	}
	if arch == "phi3" && v.rstrip && !marked.MatchString(name) {
		return "Phi-3 " + name
	}
	return name
}

// longest bounds the tokens whose every division setScores looks up; SentencePiece's are far shorter.
const longest = 512

// setScores gives each token the negated place of its first merge: llama.cpp joins the neighbours
// whose result has the highest score, where Hugging Face takes the earliest merge. Both are the same
// where every way to make a token is a merge, as in tokenizers that came from SentencePiece.
func (v *vocabulary) setScores(f *tokenizerFile, merges [][2]string) error {
	made := make(map[string]int, len(merges))
	pairs := make(map[[2]string]bool, len(merges))
	last := ""
	for i, m := range merges {
		text := m[0] + m[1]
		if _, again := made[text]; again && text != last {
			return fmt.Errorf("model.merges[%d]: %q is made by merges apart from one another, which GGUF cannot hold", i, text)
		} else if !again {
			made[text] = i
		}
		pairs[m], last = true, text
	}
	for text := range made {
		if len(text) > longest {
			return fmt.Errorf("model.vocab has a token of %d bytes, at most %d are exported", len(text), longest)
		}
		for cut := range text {
			if cut == 0 {
				continue
			}
			m := [2]string{text[:cut], text[cut:]}
			_, left := f.Model.Vocab[m[0]]
			_, right := f.Model.Vocab[m[1]]
			if left && right && !pairs[m] {
				return fmt.Errorf("model.merges lacks %q for %q, which GGUF cannot express", m, text)
			}
		}
	}
	v.scores = make([]float32, len(v.tokens))
	for id, text := range v.tokens {
		at, ok := made[text]
		if !ok {
			at = len(merges) + 1
		}
		v.scores[id] = -float32(at)
	}
	return nil
}

// pairs is the metadata of the tokenizer; end are the tokens that end a text.
func (v *vocabulary) pairs(tok *tokenizer.Tokenizer, cfg model.Config, end []int32) ([]Pair, error) {
	list := []Pair{
		{"tokenizer.ggml.model", v.model}, {"tokenizer.ggml.pre", v.pre},
		{"tokenizer.ggml.tokens", v.tokens}, {"tokenizer.ggml.token_type", v.types},
	}
	if v.scores != nil {
		list = append(list, Pair{"tokenizer.ggml.scores", v.scores})
	}
	if v.merges != nil {
		list = append(list, Pair{"tokenizer.ggml.merges", v.merges})
	}
	bos, eos := tok.BOS(), tok.EOS()
	if bos < 0 {
		bos = cfg.BOS
	}
	if eos < 0 && len(end) > 0 {
		eos = int(end[0])
	}
	eot, eom := -1, -1 // llama.cpp stops at these too
	for _, id := range end {
		switch {
		case int(id) == eos:
		case eot < 0:
			eot = int(id)
		case eom < 0:
			eom = int(id)
		default:
			v.notes = append(v.notes, fmt.Sprintf("token %d ends a text, too; GGUF names three such tokens at most", id))
		}
	}
	for _, s := range []struct {
		key string
		id  int
	}{{"bos", bos}, {"eos", eos}, {"eot", eot}, {"eom", eom}, {"unknown", tok.UNK()}, {"padding", tok.PAD()}} {
		if s.id >= len(v.tokens) {
			return nil, fmt.Errorf("the %s token is %d, vocab_size is %d", s.key, s.id, len(v.tokens))
		}
		if s.id >= 0 {
			list = append(list, Pair{"tokenizer.ggml." + s.key + "_token_id", uint32(s.id)})
		}
	}
	if eos < 0 {
		v.notes = append(v.notes, "no end-of-sequence token is named: llama.cpp will take its default (2, or 11 for byte-level tokenizers)")
	}
	addBOS, addEOS := false, false
	switch around := tok.Encode("", true); {
	case len(around) == 0:
	case bos >= 0 && slices.Equal(around, []int{bos}):
		addBOS = true
	case eos >= 0 && slices.Equal(around, []int{eos}):
		addEOS = true
	case bos >= 0 && eos >= 0 && slices.Equal(around, []int{bos, eos}):
		addBOS, addEOS = true, true
	default:
		return nil, fmt.Errorf("the tokenizer puts tokens %v around a text; GGUF can only say the beginning (%d) and the end (%d) of a sequence", around, bos, eos)
	}
	list = append(list, Pair{"tokenizer.ggml.add_bos_token", addBOS}, Pair{"tokenizer.ggml.add_eos_token", addEOS})
	list = append(list, Pair{"tokenizer.ggml.add_space_prefix", v.prefix})
	if t := tok.ChatTemplate(); t != "" {
		list = append(list, Pair{"tokenizer.chat_template", t})
	} else {
		v.notes = append(v.notes, "the tokenizer has no chat template")
	}
	return list, nil
}
