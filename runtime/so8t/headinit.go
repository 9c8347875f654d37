package so8t

import "fmt"

// HeadsFromWords sets the safety and authority heads from the language-model head: each row is the mean
// of the rows of the two words whose classes it stands for, so that the heads begin with what the
// model already says of a prompt. words[c] is the first token of class c's name, in the order of Class.
//
// With logits a, e, d, r of the four words the product of the heads ranks the classes as the words
// themselves wherever a+r = e+d; training does the rest.
func (m *Model) HeadsFromWords(words [4]int32) error {
	name := m.Source.HeadName()
	d := m.Source.HiddenSize
	for c, w := range words {
		if w < 0 || int(w) >= m.Source.VocabSize {
			return fmt.Errorf("so8t: token %d of class %v is not in the vocabulary of %d", w, Class(c), m.Source.VocabSize)
		}
	}
	var rows [4][]float32
	for c, w := range words {
		rows[c] = make([]float32, d)
		if err := m.Base.ReadAt(name, rows[c], int(w)*d); err != nil {
			return fmt.Errorf("so8t: the head to take the safety and authority heads from: %w", err)
		}
	}
	mean := func(dst []float32, a, b Class) {
		for i := range dst {
			dst[i] = (rows[a][i] + rows[b][i]) / 2
		}
	}
	mean(m.Safety[:d], Allow, Escalation)
	mean(m.Safety[d:], Deny, Refuse)
	mean(m.Authority[:d], Allow, Deny)
	mean(m.Authority[d:], Escalation, Refuse)
	return nil
}
