package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// minPairs is how often a pair must occur to be merged: a pair seen once saves
// nothing and would only memorise its text.
const minPairs = 2

// Train learns a byte-level BPE tokenizer (NFC, the Qwen2.5 words) of at most
// vocabSize tokens, special ones included: the 256 bytes first, then the merges
// in the order they were learned, then special, which must not be empty strings
// or repeat. It has fewer tokens where texts runs out of pairs that occur twice.
//
// Merges are chosen by count, among equals by the left token's bytes and then the
// right one's, so the result depends on the texts alone and not on their order.
// Special tokens written out in texts are not learned from.
//
// The special tokens get their roles by their usual names: EOS is the first of
// <|im_end|>, </s>, <|endoftext|>, <|eot_id|> that is there; PAD of <|endoftext|>,
// <pad>, or else EOS; BOS of <s>, <|begin_of_text|>. Nothing is put before or
// after a text. With <|im_start|> and <|im_end|> it has the ChatML chat template.
func Train(texts iter.Seq[string], vocabSize int, special []string) (*Tokenizer, error) {
	if least := 256 + len(special); vocabSize < least {
		return nil, fmt.Errorf("train tokenizer: vocabulary size %d, the bytes and special tokens alone take %d", vocabSize, least)
	}
	var specials finder
	seen := map[string]bool{}
	for _, s := range special {
		if s == "" || seen[s] {
			return nil, fmt.Errorf("train tokenizer: special token %q is empty or given twice", s)
		}
		seen[s] = true
		specials.add(s, addedToken{Content: s})
	}
	counts := map[string]int{}
	nfc := form(norm.NFC)
	for text := range texts {
		specials.cut(strings.ToValidUTF8(text, "\ufffd"), func(piece string, _, id int) {
			if id >= 0 {
				return
			}
			splitters[Qwen2Pattern].cut(nfc(piece), false, func(w string, _ bool) {
				if _, ok := counts[w]; ok {
					counts[w]++
				} else {
					counts[strings.Clone(w)] = 1
				}
			})
		})
	}
	if len(counts) == 0 {
		return nil, errors.New("train tokenizer: the texts are empty")
	}
	l := newLearner(counts)
	l.learn(vocabSize - 256 - len(special))
	tokens := make([]string, len(l.bytes))
	for i, b := range l.bytes {
		tokens[i] = mapBytes(b)
		if seen[tokens[i]] {
			return nil, fmt.Errorf("train tokenizer: special token %q is also a learned token", tokens[i])
		}
	}
	f, err := trainedFiles(tokens, l.merges, special)
	if err != nil {
		return nil, fmt.Errorf("train tokenizer: %w", err)
	}
	return build(f, filepath.Join("trained", tokenizerName))
}

// learner holds the words of the texts as tokens, and for each pair of
// neighbouring tokens how often and where it occurs.
type learner struct {
	words  []trainWord
	counts map[pair]int
	where  map[pair][]int32 // words that had the pair; may repeat or be out of date
	queue  heap[vote]
	bytes  []string // by token: what it stands for
	merges []pair
}

type trainWord struct {
	ids   []int32
	count int
}

// vote is a pair with its count when it was queued, and its tokens' bytes.
type vote struct {
	pair
	count       int
	left, right string
}

//lint:ignore U1000 heap calls it through its constraint
func (v vote) before(w vote) bool {
	if v.count != w.count {
		return v.count > w.count
	}
	return cmp.Or(strings.Compare(v.left, w.left), strings.Compare(v.right, w.right)) < 0
}

func newLearner(counts map[string]int) *learner {
	l := &learner{counts: map[pair]int{}, where: map[pair][]int32{}}
	for b := range 256 {
		l.bytes = append(l.bytes, string([]byte{byte(b)}))
	}
	for _, w := range slices.Sorted(maps.Keys(counts)) {
		ids := make([]int32, len(w))
		for i := range len(w) {
			ids[i] = int32(w[i])
		}
		at := int32(len(l.words))
		l.words = append(l.words, trainWord{ids, counts[w]})
		for i := range len(ids) - 1 {
			l.count(pair{ids[i], ids[i+1]}, counts[w], at)
		}
	}
	for p := range l.counts {
		l.enqueue(p)
	}
	return l
}

// count adds n to the pair's count in word at.
func (l *learner) count(p pair, n int, at int32) {
	l.counts[p] += n
	if n > 0 {
		if w := l.where[p]; len(w) == 0 || w[len(w)-1] != at {
			l.where[p] = append(w, at)
		}
	}
}

func (l *learner) enqueue(p pair) {
	if n := l.counts[p]; n >= minPairs {
		l.queue.push(vote{p, n, l.bytes[p.left], l.bytes[p.right]})
	}
}

// learn makes up to n merges.
func (l *learner) learn(n int) {
	made := map[string]bool{}
	for len(l.merges) < n && len(l.queue) > 0 {
		top := l.queue.pop()
		if now := l.counts[top.pair]; now != top.count {
			l.enqueue(top.pair) // its count fell since
			continue
		}
		// Two pairs can make the same bytes; a vocabulary has them once.
		whole := top.left + top.right
		if made[whole] {
			continue
		}
		made[whole] = true
		into := int32(len(l.bytes))
		l.bytes = append(l.bytes, whole)
		l.merges = append(l.merges, top.pair)
		l.apply(top.pair, into)
	}
}

// apply replaces the pair by the token into in every word that has it.
func (l *learner) apply(p pair, into int32) {
	fresh := map[pair]bool{}
	for _, at := range l.where[p] {
		w := &l.words[at]
		out := w.ids[:0]
		for i := 0; i < len(w.ids); i++ {
			if i+1 >= len(w.ids) || w.ids[i] != p.left || w.ids[i+1] != p.right {
				out = append(out, w.ids[i])
				continue
			}
			// The token before is out's last: it may itself be a merged one.
			if n := len(out); n > 0 {
				l.count(pair{out[n-1], p.left}, -w.count, at)
				l.count(pair{out[n-1], into}, w.count, at)
				fresh[pair{out[n-1], into}] = true
			}
			if i+2 < len(w.ids) {
				l.count(pair{p.right, w.ids[i+2]}, -w.count, at)
				l.count(pair{into, w.ids[i+2]}, w.count, at)
				fresh[pair{into, w.ids[i+2]}] = true
			}
			out = append(out, into)
			i++
		}
		w.ids = out
	}
	delete(l.where, p)
	delete(l.counts, p)
	for f := range fresh {
		l.enqueue(f)
	}
}
