package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
)

const chatML = `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// trainedFiles writes a trained vocabulary in Hugging Face's formats.
func trainedFiles(tokens []string, merges []pair, special []string) (files, error) {
	var f files
	// By hand, so that the vocabulary is in the order of its ids.
	var vocab, list bytes.Buffer
	vocab.WriteByte('{')
	for id, tok := range tokens {
		if id > 0 {
			vocab.WriteByte(',')
		}
		fmt.Fprintf(&vocab, "%s:%d", quote(tok), id)
	}
	vocab.WriteByte('}')
	list.WriteByte('[')
	for i, m := range merges {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, "[%s,%s]", quote(tokens[m.left]), quote(tokens[m.right]))
	}
	list.WriteByte(']')

	added := make([]addedToken, len(special))
	for i, s := range special {
		added[i] = addedToken{ID: len(tokens) + i, Content: s, Special: true}
	}
	type object = map[string]any
	byteLevel := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}
	var err error
	f.tokenizer, err = indent(object{
		"version": "1.0", "truncation": nil, "padding": nil,
		"added_tokens": added,
		"normalizer":   object{"type": "NFC"},
		"pre_tokenizer": object{"type": "Sequence", "pretokenizers": []object{
			{"type": "Split", "pattern": object{"Regex": Qwen2Pattern}, "behavior": "Isolated", "invert": false},
			byteLevel,
		}},
		"post_processor": byteLevel,
		"decoder":        byteLevel,
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": nil,
			"continuing_subword_prefix": "", "end_of_word_suffix": "",
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
			"vocab": json.RawMessage(vocab.Bytes()), "merges": json.RawMessage(list.Bytes()),
		},
	})
	if err != nil {
		return f, err
	}
	has := func(names ...string) any {
		for _, n := range names {
			for _, s := range special {
				if n == s {
					return n
				}
			}
		}
		return nil
	}
	eos := has("<|im_end|>", "</s>", "<|endoftext|>", "<|eot_id|>")
	pad := has("<|endoftext|>", "<pad>")
	if pad == nil {
		pad = eos
	}
	cfg := object{
		"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false,
		"bos_token": has("<s>", "<|begin_of_text|>"), "eos_token": eos, "pad_token": pad, "unk_token": nil,
	}
	if has("<|im_start|>") != nil && has("<|im_end|>") != nil {
		cfg["chat_template"] = chatML
	}
	f.config, err = indent(cfg)
	return f, err
}

func indent(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}

// quote is s as a JSON string, with < > & as they are.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(s) // a string always marshals
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
