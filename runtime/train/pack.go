package train

import "slices"

// packMultiple is what the length of a packed batch is rounded up to, so that few lengths, hence
// few compiled graphs, occur.
const packMultiple = 32

// Packed is a micro-batch: sequences laid end to end, none of which sees another. All slices have
// T elements. Token t attends to the tokens Lo[t] ≤ j < Hi[t]; Labels[t] is the id that follows
// token t where it is trained on, Masked elsewhere. The rest, up to a multiple of 32, is sequences
// of one token without a label.
type Packed struct {
	Examples         []int // index of each sequence in its set
	Starts           []int // row of each sequence's first token
	IDs, Pos, Lo, Hi []int32
	Labels           []int32
	Trained          int       // tokens with a label
	Weights          []float64 // of each sequence in the loss
	Weight           float64   // of all tokens with a label
	Tokens           int       // tokens that are not padding
}

// T is the number of rows.
func (p *Packed) T() int { return len(p.IDs) }

// pack lays the examples of set at the given indices end to end.
func pack(set []Example, indices []int) *Packed {
	n := 0
	for _, i := range indices {
		n += len(set[i].IDs)
	}
	T := (n + packMultiple - 1) / packMultiple * packMultiple
	p := &Packed{Examples: indices, Tokens: n}
	for _, f := range []*[]int32{&p.IDs, &p.Pos, &p.Lo, &p.Hi, &p.Labels} {
		*f = make([]int32, 0, T)
	}
	for _, i := range indices {
		e, start := set[i], len(p.IDs)
		p.Starts, p.Weights = append(p.Starts, start), append(p.Weights, e.weight())
		for j, id := range e.IDs {
			label := int32(Masked)
			if j+1 < len(e.IDs) && e.Labels[j+1] >= 0 {
				label = e.Labels[j+1]
				p.Trained++
				p.Weight += e.weight()
			}
			p.append(id, int32(j), int32(start), label)
		}
	}
	for len(p.IDs) < T {
		p.append(0, 0, int32(len(p.IDs)), Masked)
	}
	return p
}

// Longest is the number of tokens of the longest sequence.
func (p *Packed) Longest() int { return int(slices.Max(p.Pos)) + 1 }

func (p *Packed) append(id, pos, lo, label int32) {
	p.IDs = append(p.IDs, id)
	p.Pos = append(p.Pos, pos)
	p.Lo = append(p.Lo, lo)
	p.Hi = append(p.Hi, int32(len(p.IDs)))
	p.Labels = append(p.Labels, label)
}
