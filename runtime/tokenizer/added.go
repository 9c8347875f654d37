package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in the text before anything is cut.
type addedToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only between characters that are no word's
	LStrip     bool   `json:"lstrip"`      // takes the white space before it
	RStrip     bool   `json:"rstrip"`      // takes the white space after it
	Normalized bool   `json:"normalized"`  // looked for in the normalized text
	Special    bool   `json:"special"`     // left out by Decode with skipSpecial
}

// AddedToken is a token that is found in a text before anything is cut.
type AddedToken struct {
	ID      int
	Content string
	Special bool // Decode leaves it out with skipSpecial
	RStrip  bool // it takes the white space after it
}

// AddedTokens lists the added tokens by their ids: tokenizer.json's and those of the files beside it.
func (t *Tokenizer) AddedTokens() []AddedToken {
	var out []AddedToken
	for _, f := range []*finder{&t.verbatim, &t.normalized} {
		for _, tok := range f.tokens {
			out = append(out, AddedToken{tok.ID, tok.Content, tok.Special, tok.RStrip})
		}
	}
	slices.SortStableFunc(out, func(a, b AddedToken) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// finder finds added tokens in text, the longest at the leftmost place first.
type finder struct {
	tokens []addedToken
	root   trieNode
}

type trieNode struct {
	next  map[byte]*trieNode
	token int // index into finder.tokens plus one; 0 where none ends here
}

// add makes the finder look for pattern and report it as tok.
func (f *finder) add(pattern string, tok addedToken) {
	f.tokens = append(f.tokens, tok)
	n := &f.root
	for i := range len(pattern) {
		if n.next == nil {
			n.next = map[byte]*trieNode{}
		}
		child := n.next[pattern[i]]
		if child == nil {
			child = &trieNode{}
			n.next[pattern[i]] = child
		}
		n = child
	}
	if n.token == 0 { // the first of two that look the same wins
		n.token = len(f.tokens)
	}
}

// match returns the longest token that s begins with and its length.
func (f *finder) match(s string) (tok *addedToken, length int) {
	n := &f.root
	for i := range len(s) {
		if n = n.next[s[i]]; n == nil {
			break
		}
		if n.token > 0 {
			tok, length = &f.tokens[n.token-1], i+1
		}
	}
	return tok, length
}

// cut hands s to emit in pieces: text with id -1, and added tokens by id alone.
// at is where a piece of text begins in s.
func (f *finder) cut(s string, emit func(text string, at, id int)) {
	done := 0 // everything before was emitted
	if len(f.tokens) > 0 {
		for i := 0; i < len(s); {
			if f.root.next[s[i]] == nil {
				i++
				continue
			}
			tok, n := f.match(s[i:])
			if tok == nil {
				i++
				continue
			}
			start, end := i, i+n
			i = end
			if tok.SingleWord && (endsWithWord(s[:start]) || startsWithWord(s[end:])) {
				continue
			}
			if tok.LStrip {
				start = max(len(strings.TrimRightFunc(s[:start], unicode.IsSpace)), done)
			}
			if tok.RStrip {
				end = len(s) - len(strings.TrimLeftFunc(s[end:], unicode.IsSpace))
			}
			if done < start {
				emit(s[done:start], done, -1)
			}
			emit("", start, tok.ID)
			done = end
		}
	}
	if done < len(s) {
		emit(s[done:], done, -1)
	}
}

func startsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}

func endsWithWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

// isWord is \w of UTS #18, annex C.
func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc,
		unicode.Other_Alphabetic, unicode.Join_Control, newLetters, newNumbers)
}

// checkAdded holds tokenizer.json's added tokens to each other.
func checkAdded(tokens []addedToken) error {
	ids := map[string]int{}
	for _, tok := range tokens {
		if tok.Content == "" {
			return fmt.Errorf("added token %d is empty", tok.ID)
		}
		if id, ok := ids[tok.Content]; ok && id != tok.ID {
			return fmt.Errorf("added token %q has two ids, %d and %d", tok.Content, id, tok.ID)
		}
		ids[tok.Content] = tok.ID
	}
	return nil
}

// addAll sorts the added tokens into those found in the text as given and those
// found in the normalized text.
func (t *Tokenizer) addAll(tokens []addedToken) error {
	t.special = map[int]bool{}
	t.added = map[string]int{}
	for _, tok := range tokens {
		if id, ok := t.model.vocab[tok.Content]; ok && int(id) != tok.ID {
			return fmt.Errorf("added token %q has id %d, the vocabulary gives it %d", tok.Content, tok.ID, id)
		}
		t.added[tok.Content] = tok.ID
		if err := t.name(tok.ID, tok.Content); err != nil {
			return err
		}
		if tok.Special {
			t.special[tok.ID] = true
		}
		if !tok.Normalized {
			t.verbatim.add(tok.Content, tok)
			continue
		}
		pattern := tok.Content
		if t.normalize != nil {
			pattern = t.normalize(pattern)
		}
		if pattern != "" {
			t.normalized.add(pattern, tok)
		}
	}
	return nil
}
