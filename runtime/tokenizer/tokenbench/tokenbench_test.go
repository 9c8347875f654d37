package tokenbench

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Each byte is a token of the vocabulary, "ab" is merged.
const byteLetters = `{"added_tokens":[],"normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":{"type":"Fuse"},` +
	`"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`

func tokenizerFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := os.WriteFile(path, []byte(byteLetters), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheTextIsMixedAndRepeatsWithItsSeed(t *testing.T) {
	docs := Text(7, 400_000)
	if !slices.Equal(docs, Text(7, 400_000)) || slices.Equal(docs, Text(8, 400_000)) {
		t.Error("the seed does not decide the text")
	}
	all := strings.Join(docs, "")
	if len(all) < 400_000 || !utf8.ValidString(all) {
		t.Errorf("%d bytes, valid %t", len(all), utf8.ValidString(all))
	}
	for _, want := range []string{"transformer", "東京", "func ", "\u200d👩", "🇦", strings.Repeat(" ", 100), "\x00", "\u0085", "\u0301", "<|im_start|>", strings.Repeat("a", 20), "\r\n", "\ufeff"} {
		if !strings.Contains(all, want) {
			t.Errorf("%+q is nowhere in it", want)
		}
	}
	for _, block := range [][2]rune{{0x0600, 0x06ff}, {0x13000, 0x143ff}, {0xe000, 0xf8ff}, {0x20000, 0x2fa1f}, {0x30000, 0x3ffff}} {
		if !strings.ContainsFunc(all, func(r rune) bool { return r >= block[0] && r <= block[1] }) {
			t.Errorf("nothing of %x", block)
		}
	}
}

func TestWithoutAPeerTheTokenizerIsMeasuredAlone(t *testing.T) {
	rep, err := Run(t.Context(), Options{Tokenizer: tokenizerFile(t), Documents: []string{"abab", "ba", ""}, Rounds: 2})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Bytes != 6 || rep.Tokens != 4 || rep.RoundTrips != 3 || rep.Peer != nil || !(rep.Speed.Cold.Best > 0) || !(rep.Speed.Warm.Median > 0) {
		t.Errorf("%+v", rep)
	}
}

// A package that has the interface of the real one, and gives the ids that the test writes into it.
const fakePackage = `
const ids = JSON.parse(require('fs').readFileSync(__dirname + '/ids.json'))
class Encoding { constructor(list) { this.list = list } getIds() { return this.list } }
exports.Tokenizer = class {
  static fromFile() { return new exports.Tokenizer() }
  disableTruncation() {}
  disablePadding() {}
  async encode(text) { return new Encoding(ids[text].ids) }
  async encodeBatch(texts) { return texts.map((t) => new Encoding(ids[t].ids)) }
  async decode(list) { return Object.keys(ids).find((t) => ids[t].ids === list) && Object.keys(ids).map((t) => ids[t]).find((v) => v.ids === list).text }
}
`

func TestDifferencesToThePeerAreCounted(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("needs Node: ", err)
	}
	folder := t.TempDir()
	dir := filepath.Join(folder, "node_modules", "tokenizers")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"package.json": `{"name":"tokenizers","version":"0.0.0","main":"index.js"}`, "index.js": fakePackage,
		"ids.json": `{"ab":{"ids":[2],"text":"ab"},"ba é":{"ids":[1,0],"text":"ba"},"bb":{"ids":[1,2],"text":"bb"},"aa":{"ids":[0,0],"text":"ax"}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rep, err := Run(t.Context(), Options{Tokenizer: tokenizerFile(t), Documents: []string{"ab", "ba é", "bb", "aa"}, Rounds: 1, Peer: folder})
	if err != nil {
		t.Fatal(err)
	}
	p := rep.Peer
	if p == nil || p.Differences != 2 || p.RoundTrips != 2 || !(p.Ratio.Warm.Best > 0) || !strings.Contains(p.Name, "0.0.0") {
		t.Fatalf("peer %+v", p)
	}
	if want := "document 2, id 1: [1], the peer has [2]"; p.First != want {
		t.Errorf("first difference %q, want %q", p.First, want)
	}
}

func TestABrokenPeerIsAnError(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("needs Node: ", err)
	}
	folder := t.TempDir()
	dir := filepath.Join(folder, "node_modules", "tokenizers")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"version":"0.0.0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Run(t.Context(), Options{Tokenizer: tokenizerFile(t), Documents: []string{"ab"}, Rounds: 1, Peer: folder})
	if err == nil || !strings.Contains(err.Error(), "tokenizers") {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotBeMeasuredIsRefused(t *testing.T) {
	if _, err := Run(t.Context(), Options{Tokenizer: tokenizerFile(t)}); err == nil || !strings.Contains(err.Error(), "no text") {
		t.Errorf("no documents: %v", err)
	}
	if _, err := Run(t.Context(), Options{Tokenizer: t.TempDir(), Documents: []string{"a"}}); err == nil {
		t.Error("a folder without a tokenizer was taken")
	}
	r := &reader{b: []byte{255, 255, 255, 255}}
	if ids := r.ids(); len(ids) != 0 || !r.short {
		t.Errorf("a short answer gave %v", ids)
	}
}
