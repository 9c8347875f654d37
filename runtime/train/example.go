package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
	"slices"
)

// Masked is the label of a token that is not trained on, as in Hugging Face data sets.
const Masked = -100

// Example is one training sequence. Labels has the length of IDs and Hugging Face's alignment:
// Labels[i] is the id of token i where it is trained on, Masked (or any negative number) elsewhere.
// Token i is predicted from the tokens before it, so Labels[0] is never trained on.
//
// Weight is what its tokens count in the loss of training, beside those of other examples; 0 stands for 1.
type Example struct {
	IDs, Labels []int32
	Weight      float64
}

// weight is what e counts.
func (e Example) weight() float64 {
	if e.Weight == 0 {
		return 1
	}
	return e.Weight
}

// trains says that a token of e, which is not empty, enters the loss.
func (e Example) trains() bool {
	return slices.ContainsFunc(e.Labels[1:], func(label int32) bool { return label >= 0 })
}

// checkExamples holds each example to the vocabulary and to the longest sequence the model takes
// (0 = any). name says which set it is in the errors: "train", "eval".
func checkExamples(name string, set []Example, vocab, longest int) error {
	for i, e := range set {
		at := func(format string, a ...any) error {
			return fmt.Errorf("%s example %d: %w", name, i, fmt.Errorf(format, a...))
		}
		switch {
		case !(e.Weight >= 0) || math.IsInf(e.Weight, 0):
			return at("its weight %v is no number from 0 on", e.Weight)
		case len(e.IDs) == 0:
			return at("no tokens")
		case len(e.Labels) != len(e.IDs):
			return at("%d tokens but %d labels", len(e.IDs), len(e.Labels))
		case longest > 0 && len(e.IDs) > longest:
			return at("%d tokens, the model takes %d; lower max_length", len(e.IDs), longest)
		}
		for j, id := range e.IDs {
			if id < 0 || int(id) >= vocab {
				return at("token %d has id %d, the vocabulary has %d", j, id, vocab)
			}
			if int(e.Labels[j]) >= vocab {
				return at("token %d has label %d, the vocabulary has %d", j, e.Labels[j], vocab)
			}
		}
	}
	return nil
}

// hashExamples is the SHA-256 of the sets, in order.
func hashExamples(sets ...[]Example) string {
	h := sha256.New()
	for _, set := range sets {
		hashInt(h, len(set))
		for _, e := range set {
			hashInts(h, e.IDs)
			hashInts(h, e.Labels)
			if e.weight() != 1 { // examples of before there were weights keep their hash
				hashInt(h, int(math.Float64bits(e.Weight)))
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func hashInt(h hash.Hash, n int) {
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

func hashInts(h hash.Hash, v []int32) {
	hashInt(h, len(v))
	b, _ := binary.Append(nil, binary.LittleEndian, v) // of numbers it cannot fail
	h.Write(b)
}
