package tokenizer

import (
	"errors"
	"strings"
	"testing"

	"triality/runtime/allocation"
)

func TestAHostileFileCannotMakeItsReaderAllocate(t *testing.T) {
	nested := func(key string, depth int) string {
		return strings.Repeat(`{"type":"Sequence","`+key+`":[`, depth) + strings.Repeat(`]}`, depth)
	}
	double := `{"type":"Replace","pattern":{"String":"a"},"content":"aa"}`
	for name, tt := range map[string]struct{ from, to, says string }{
		"steps that double forty times": {`"normalizer":null`,
			`"normalizer":{"type":"Sequence","normalizers":[` + double + strings.Repeat(","+double, 39) + `]}`, "256 times"},
		"one long replacement": {`"normalizer":null`,
			`"normalizer":{"type":"Replace","pattern":{"String":"a"},"content":"` + strings.Repeat("x", 1000) + `"}`, "256 times"},
		"the same in the decoder": {`"decoder":{"type":"ByteLevel"}`,
			`"decoder":{"type":"Sequence","decoders":[` + double + strings.Repeat(","+double, 39) + `]}`, "decoder: "},
		"a long prefix":               {`"normalizer":null`, `"normalizer":{"type":"Prepend","prepend":"` + strings.Repeat("x", 1000) + `"}`, "Prepend"},
		"normalizers nested":          {`"normalizer":null`, `"normalizer":` + nested("normalizers", 3000), "deep"},
		"pre-tokenizers nested":       {`"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false}`, `"pre_tokenizer":` + nested("pretokenizers", 3000), "deep"},
		"post-processors nested":      {`"post_processor":null`, `"post_processor":` + nested("processors", 3000), "deep"},
		"decoders nested":             {`"decoder":{"type":"ByteLevel"}`, `"decoder":` + nested("decoders", 3000), "deep"},
		"an id far beyond the tokens": {`"id":3`, `"id":2147483647`, "too far"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(small, tt.from, tt.to, 1)
			if text == small {
				t.Fatal("nothing was changed")
			}
			var err error
			if got := allocation.Bytes(func() { _, err = parse([]byte(text)) }); got > allocation.Bound(len(text)) {
				t.Errorf("%d bytes of text made %d bytes of memory", len(text), got)
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
			if !strings.Contains(name, "id") && !errors.Is(err, ErrUnsupported) {
				t.Errorf("%v is not ErrUnsupported", err)
			}
		})
	}
}

func FuzzReadSettings(f *testing.F) {
	f.Add([]byte(`{"bos_token":"<s>","eos_token":{"content":"b"},"pad_token":null,"chat_template":"T"}`), []byte(`{}`), []byte(`{}`))
	f.Add([]byte(`{"chat_template":[{"name":"tool","template":"X"},{"name":"default","template":"D"}]}`), []byte(`{"eos_token":"<x>"}`), []byte(`{"<x>":4}`))
	f.Add([]byte(`{"added_tokens_decoder":{"4":{"content":"<x>","special":true}},"add_eos_token":true,"eos_token":"<x>","additional_special_tokens":["a"]}`), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, config, special, added []byte) {
		var tok *Tokenizer
		var err error
		n := len(config) + len(special) + len(added) + len(small)
		if got := allocation.Bytes(func() {
			tok, err = build(files{tokenizer: []byte(small), config: config, special: special, added: added}, "tokenizer.json")
		}); got > allocation.Bound(n) {
			t.Fatalf("%d bytes made %d bytes of memory", n, got)
		}
		if err != nil {
			return
		}
		for _, id := range append(tok.Encode("ab<x>", true), tok.BOS(), tok.EOS(), tok.PAD(), tok.UNK()) {
			if id != -1 && !tok.known(id) {
				t.Fatalf("id %d is no token's", id)
			}
		}
	})
}
