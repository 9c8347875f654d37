package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/chat"
	"triality/runtime/tokenizer"
)

func TestAPromptEndsWhereItsAnswerBegins(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"tokenizer.json": `{"added_tokens":[{"id":3,"content":"<s>","special":true},{"id":4,"content":"</s>","special":true}],"normalizer":null,` +
			`"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"},` +
			`"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"</s>"}}],` +
			`"special_tokens":{"<s>":{"ids":[3]},"</s>":{"ids":[4]}}},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`,
		"tokenizer_config.json": `{"eos_token":"</s>","chat_template":"<s>{{ messages[0].content }}"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := &prompter{tok: tok}
	if got := p.plain("ab").Prompt; !slices.Equal(got, []int32{3, 2}) {
		t.Errorf("plain: %v", got)
	}
	if r, err := p.turns(chat.NewMessages(chat.Message{Role: "user", Content: "ab"})); err != nil || !slices.Equal(r.Prompt, []int32{3, 2}) {
		t.Errorf("chat: %v, %v", r.Prompt, err)
	}
	for _, line := range []string{`{"prompt":"ab"}`, `{"messages":[{"role":"user","content":"ab"}]}`} {
		if r, err := (generation{}).line(p, []byte(line)); err != nil || !slices.Equal(r.Prompt, []int32{3, 2}) {
			t.Errorf("%s: %v, %v", line, r.Prompt, err)
		}
	}
	if got := tok.Encode(strings.Repeat("a", 2), true); !slices.Equal(got, []int{3, 0, 0, 4}) {
		t.Errorf("a whole text is %v", got)
	}
}
