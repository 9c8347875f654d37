// Package tokenizer turns text into token ids and back as Hugging Face's
// tokenizers library does, from the same tokenizer.json: byte-level BPE
// (GPT-2, Llama 3, Qwen) and SentencePiece-style BPE with byte fallback (Llama 2,
// Mistral, Phi-3). It also trains small byte-level tokenizers.
package tokenizer

import (
	"maps"
	"strings"
)

// Tokenizer is immutable and safe for concurrent use.
type Tokenizer struct {
	files     files // what it was loaded from, for Save
	normalize normalizer
	pre       preTokenizer
	model     bpe
	post      template
	decode    stage

	verbatim   finder // added tokens looked for in the text as given
	normalized finder // added tokens looked for in the normalized text
	added      map[string]int
	special    map[int]bool
	names      []string // by id
	have       []bool   // which of names are tokens
	config     config
}

// Encode returns the ids of text. With addSpecial the tokenizer's template is
// applied (such as a BOS token in front). Special tokens written out in text
// become their ids either way. Bytes that are no UTF-8 are read as U+FFFD, one
// for each run of them. Truncation and padding set in the file are not applied.
func (t *Tokenizer) Encode(text string, addSpecial bool) []int {
	if !addSpecial {
		return t.encode(nil, text)
	}
	return append(t.EncodePrompt(text), t.post.after...)
}

// EncodePrompt returns the ids of text as the beginning of a sequence that goes on: what the template puts
// in front of a text is there, what it puts behind one (such as an EOS token) is not.
func (t *Tokenizer) EncodePrompt(text string) []int {
	return t.encode(t.post.before, text)
}

func (t *Tokenizer) encode(before []int, text string) []int {
	text = strings.ToValidUTF8(text, "\ufffd")
	ids := append(make([]int, 0, len(text)/3+4), before...)
	word := func(w string) { ids = t.model.encode(ids, w, t.pre.byteLevel) }
	t.verbatim.cut(text, func(piece string, at, id int) {
		if id >= 0 {
			ids = append(ids, id)
			return
		}
		if t.normalize != nil {
			piece = t.normalize(piece)
		}
		t.normalized.cut(piece, func(piece string, inner, id int) {
			if id >= 0 {
				ids = append(ids, id)
				return
			}
			t.pre.words(piece, at == 0 && inner == 0, word)
		})
	})
	return ids
}

// Decode returns the text of ids; skipSpecial leaves special tokens out. Ids that
// no token has are left out. The text is always valid UTF-8: bytes that are not,
// such as a character cut in the middle, become U+FFFD.
func (t *Tokenizer) Decode(ids []int, skipSpecial bool) string {
	d := t.NewDecoder(skipSpecial)
	for _, id := range ids {
		d.add(id)
	}
	return d.Flush()
}

// TokenID is the id of the token spelled s, as in the vocabulary (a space is
// spelled Ġ or ▁ there).
func (t *Tokenizer) TokenID(s string) (int, bool) {
	if id, ok := t.added[s]; ok {
		return id, true
	}
	id, ok := t.model.vocab[s]
	return int(id), ok
}

// Token is the token of id as spelled in the vocabulary, empty where there is
// none.
func (t *Tokenizer) Token(id int) string {
	if !t.known(id) {
		return ""
	}
	return t.names[id]
}

// IsSpecial reports whether Decode leaves id out with skipSpecial.
func (t *Tokenizer) IsSpecial(id int) bool { return t.special[id] }

// Size is one more than the largest id: the fewest rows an embedding needs.
func (t *Tokenizer) Size() int { return len(t.names) }

// BOS is the id of the beginning-of-sequence token, -1 where
// tokenizer_config.json names none. EOS, PAD and UNK are alike.
func (t *Tokenizer) BOS() int { return t.config.bos }

// EOS is the id of the end-of-sequence token, or -1.
func (t *Tokenizer) EOS() int { return t.config.eos }

// PAD is the id of the padding token, or -1.
func (t *Tokenizer) PAD() int { return t.config.pad }

// UNK is the id of the unknown token, or -1.
func (t *Tokenizer) UNK() int { return t.config.unk }

// ChatTemplate is the Jinja chat template from chat_template.jinja or
// tokenizer_config.json, of several the one named default; empty where there is none.
func (t *Tokenizer) ChatTemplate() string { return t.config.templates["default"] }

// ChatTemplates are the Jinja chat templates by name; one without a name is default.
func (t *Tokenizer) ChatTemplates() map[string]string { return maps.Clone(t.config.templates) }

// SpecialTokens are the spellings of the special tokens that tokenizer_config.json names, by its
// names: bos_token, eos_token, pad_token, unk_token.
func (t *Tokenizer) SpecialTokens() map[string]string { return maps.Clone(t.config.special) }

// Hash is the SHA-256 of tokenizer.json in hexadecimal.
func (t *Tokenizer) Hash() string { return t.files.hash }

func (t *Tokenizer) known(id int) bool { return id >= 0 && id < len(t.names) && t.have[id] }
