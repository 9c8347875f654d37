package powercut

import (
	"crypto/sha256"
	"encoding/binary"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// loss is what a cut makes of the writes to a file that were not synced.
type loss int

const (
	none     loss = iota // all of it is there
	all                  // none of it is there
	zeroed               // the length is there, the bytes are not: delayed allocation
	cutShort             // the first half of the bytes
	lastOnly             // the last write
	emptied              // truncations are there, bytes are not
	losses
)

func (l loss) of(n *node) []byte {
	if len(n.writes) == 0 || l == none {
		return n.data
	}
	b := slices.Clone(n.stored)
	switch l {
	case all:
		return b
	case lastOnly:
		return n.writes[len(n.writes)-1].on(b)
	case emptied:
		for _, w := range n.writes {
			if w.size >= 0 {
				b = w.on(b)
			}
		}
		return b
	}
	total := 0
	for _, w := range n.writes {
		total += len(w.data)
	}
	left := total / 2
	for _, w := range n.writes {
		if l == zeroed {
			w.data = make([]byte, len(w.data))
		} else {
			w.data = w.data[:min(len(w.data), left)]
			left -= len(w.data)
		}
		b = w.on(b)
	}
	return b
}

// outcome is one state that a cut can leave.
type outcome struct {
	kept []bool // of the tree's pending changes
	lost func(*node) loss
}

// allSubsets is the most pending changes of which every subset is tried.
const allSubsets = 7

// outcomes gives the states that a cut can leave of a tree: all of them where few changes are pending,
// otherwise every prefix, each change alone, all but each, and a fixed sample.
func (t *tree) outcomes() []outcome {
	var out []outcome
	for _, kept := range subsets(len(t.pending)) {
		for l := range losses {
			out = append(out, outcome{kept, func(*node) loss { return l }})
		}
		for seed := range uint64(8) { // files that fare differently
			r := rand.New(rand.NewPCG(seed, uint64(len(t.pending))))
			chosen := map[*node]loss{}
			out = append(out, outcome{kept, func(n *node) loss {
				l, ok := chosen[n]
				if !ok {
					l = loss(r.IntN(int(losses)))
					chosen[n] = l
				}
				return l
			}})
		}
	}
	return out
}

func subsets(n int) [][]bool {
	var out [][]bool
	add := func(keep func(i int) bool) {
		s := make([]bool, n)
		for i := range s {
			s[i] = keep(i)
		}
		out = append(out, s)
	}
	if n <= allSubsets {
		for mask := range 1 << n {
			add(func(i int) bool { return mask>>i&1 == 1 })
		}
		return out
	}
	for k := range n + 1 {
		add(func(i int) bool { return i < k })
		add(func(i int) bool { return i == k })
		add(func(i int) bool { return i != k })
	}
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for range 64 {
		add(func(int) bool { return r.IntN(2) == 1 })
	}
	return out
}

// image is a folder as a cut left it: each path with what is there.
type image map[string]*node

// image works an outcome out. The nodes in it hold what is left in data.
func (t *tree) image(o outcome) image {
	names := map[*node]map[string]*node{}
	for i, c := range t.pending {
		if !o.kept[i] {
			continue
		}
		if names[c.dir] == nil {
			names[c.dir] = maps.Clone(c.dir.stable)
		}
		for name, n := range c.set {
			if n == nil {
				delete(names[c.dir], name)
			} else {
				names[c.dir][name] = n
			}
		}
	}
	im := image{}
	var walk func(path string, dir *node)
	walk = func(path string, dir *node) {
		entries, ok := names[dir]
		if !ok {
			entries = dir.stable
		}
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			n, p := entries[name], filepath.Join(path, name)
			if n.kind == 0 {
				im[p] = &node{data: o.lost(n).of(n)}
				continue
			}
			im[p] = n
			if n.kind.IsDir() {
				walk(p, n)
			}
		}
	}
	walk("", t.top)
	return im
}

// digest tells images apart.
func (im image) digest() (sum [sha256.Size]byte) {
	h := sha256.New()
	text := func(b []byte) {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	for _, path := range slices.Sorted(maps.Keys(im)) {
		n := im[path]
		text([]byte(path))
		text([]byte(n.kind.String()))
		text([]byte(n.target))
		text(n.data)
	}
	h.Sum(sum[:0])
	return sum
}

// write makes an image real in an empty folder.
func (im image) write(dir string) error {
	for _, path := range slices.Sorted(maps.Keys(im)) { // a folder sorts before what is in it
		n, at := im[path], filepath.Join(dir, path)
		var err error
		switch n.kind {
		case fs.ModeDir:
			err = os.Mkdir(at, 0o755)
		case fs.ModeSymlink:
			err = os.Symlink(n.target, at)
		default:
			err = os.WriteFile(at, n.data, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
