package tokenizer

import "strings"

// spaceMark stands for a space in the vocabularies of SentencePiece.
const spaceMark = "\u2581"

// setSpaceCuts finds out whether a text may be cut before each U+2581 that follows something else
// without changing an id. It may where no merge joins a token that ends with something else and one that
// begins with a U+2581: then no token ever lies across such a place. SentencePiece's vocabularies are
// so. Their tokenizers have no pre-tokenizer, and uncut a whole text is one word, which no cache knows.
func (m *bpe) setSpaceCuts(merges [][2]string) {
	_, known := m.vocab[spaceMark] // else it might become part of a run of unknown characters
	m.cutsAtSpace = known && !m.ignoreMerges
	for _, mg := range merges {
		if strings.HasPrefix(mg[1], spaceMark) && !strings.HasSuffix(mg[0], spaceMark) {
			m.cutsAtSpace = false
		}
	}
}

// spaceCut is where the first such place of a text is, or its length.
func spaceCut(text string) int {
	for at := 0; ; {
		i := strings.Index(text[at:], spaceMark)
		if i < 0 {
			return len(text)
		}
		if i > 0 {
			return at + i
		}
		at += len(spaceMark) // of the run that the text begins with
	}
}
