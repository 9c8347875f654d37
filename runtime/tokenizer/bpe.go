package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// bpe is the byte-pair model: a vocabulary and ranked merges of two tokens.
type bpe struct {
	vocab  map[string]int32
	merges map[pair]merge

	byteFallback bool
	fuseUnk      bool
	ignoreMerges bool
	unk          int32 // -1: characters outside the vocabulary are dropped
	// hex is the id of <0xNN> for each byte, -1 where the vocabulary lacks it.
	hex [256]int32

	cutsAtSpace bool // see setSpaceCuts
	words       cache
}

type pair struct{ left, right int32 }

type merge struct {
	rank int32 // lower merges first
	into int32
}

// symbol is a token of a word being merged; the symbols form a linked list.
type symbol struct {
	id         int32
	prev, next int32 // -1 at the ends
	dead       bool  // merged into the one on its left
}

// candidate is a merge of the symbol at pos with the next one.
type candidate struct{ rank, pos, into int32 }

//lint:ignore U1000 heap calls it through its constraint
func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.pos < d.pos
}

func (m *bpe) setFallback() {
	for b := range m.hex {
		m.hex[b] = -1
		if id, ok := m.vocab[fmt.Sprintf("<0x%02X>", b)]; ok {
			m.hex[b] = id
		}
	}
}

// encode appends the ids of one word. Where mapped is set the word is first
// written in the byte-level alphabet. It is safe for concurrent use.
func (m *bpe) encode(dst []int, word string, mapped bool) []int {
	for m.cutsAtSpace && !mapped {
		n := spaceCut(word)
		if n == len(word) {
			break
		}
		dst = m.encodePart(dst, word[:n], false)
		word = word[n:]
	}
	return m.encodePart(dst, word, mapped)
}

func (m *bpe) encodePart(dst []int, word string, mapped bool) []int {
	if ids, ok := m.words.get(word); ok {
		return appendIDs(dst, ids)
	}
	text := word
	if mapped {
		text = mapBytes(word)
	}
	if m.ignoreMerges {
		if id, ok := m.vocab[text]; ok {
			return append(dst, int(id))
		}
	}
	ids := m.mergeAll(m.symbols(text))
	m.words.put(word, ids)
	return appendIDs(dst, ids)
}

func appendIDs(dst []int, ids []int32) []int {
	for _, id := range ids {
		dst = append(dst, int(id))
	}
	return dst
}

// symbols looks each character of word up. A character outside the vocabulary
// becomes its bytes' <0xNN> tokens, else the unknown token (one for a run of them
// where fuseUnk is set), else nothing.
func (m *bpe) symbols(word string) []symbol {
	syms := make([]symbol, 0, len(word))
	unk := false // an unknown token is due
	for i := 0; i < len(word); {
		_, n := utf8.DecodeRuneInString(word[i:])
		ch := word[i : i+n]
		i += n
		if id, ok := m.vocab[ch]; ok {
			if unk {
				syms, unk = append(syms, symbol{id: m.unk}), false
			}
			syms = append(syms, symbol{id: id})
			continue
		}
		if m.byteFallback && m.hasHex(ch) {
			for j := range len(ch) {
				syms = append(syms, symbol{id: m.hex[ch[j]]})
			}
			continue
		}
		if m.unk >= 0 {
			if unk && !m.fuseUnk {
				syms = append(syms, symbol{id: m.unk})
			}
			unk = true
		}
	}
	if unk {
		syms = append(syms, symbol{id: m.unk})
	}
	for i := range syms {
		syms[i].prev, syms[i].next = int32(i-1), int32(i+1)
	}
	if len(syms) > 0 {
		syms[len(syms)-1].next = -1
	}
	return syms
}

func (m *bpe) hasHex(ch string) bool {
	for i := range len(ch) {
		if m.hex[ch[i]] < 0 {
			return false
		}
	}
	return true
}

// mergeAll applies the merges, lowest rank first and leftmost among equals, in
// O(n log n), and returns what is left.
func (m *bpe) mergeAll(syms []symbol) []int32 {
	var queue heap[candidate]
	propose := func(pos int32) {
		next := syms[pos].next
		if next < 0 {
			return
		}
		if mg, ok := m.merges[pair{syms[pos].id, syms[next].id}]; ok {
			queue.push(candidate{mg.rank, pos, mg.into})
		}
	}
	for i := range syms {
		propose(int32(i))
	}
	for len(queue) > 0 {
		top := queue.pop()
		left := &syms[top.pos]
		if left.dead || left.next < 0 {
			continue
		}
		right := &syms[left.next]
		// A stale candidate is known by what the pair makes now. (Two pairs can
		// make the same token; the reference compares the token as well.)
		if mg, ok := m.merges[pair{left.id, right.id}]; !ok || mg.into != top.into {
			continue
		}
		left.id, right.dead = top.into, true
		left.next = right.next
		if left.next >= 0 {
			syms[left.next].prev = top.pos
		}
		if left.prev >= 0 {
			propose(left.prev)
		}
		propose(top.pos)
	}
	ids := make([]int32, 0, 8)
	for i := range syms {
		if !syms[i].dead {
			ids = append(ids, syms[i].id)
		}
	}
	return ids
}
