package dataset

import (
	"cmp"
	"context"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// A signature is, for each of its bits, whether an odd number of a set's elements fall on it. Two sets differ
// in at least as many elements as their signatures in bits, so what that rules out is no near-duplicate. With
// four bits an element it tells 0.66 from 0.70.

// signatureWords is the length of a corpus's signatures in words of 64 bits, for sets of that many elements.
func signatureWords(size, sets int) int {
	const most = 64 << 20 / 8 // words in memory
	words := 16
	for 64*words < 4*size && 2*words*sets <= most {
		words *= 2
	}
	return words
}

// within says whether two sets of these signatures may differ in at most limit elements.
func within(a, b []uint64, limit int) bool {
	b = b[:len(a)]
	d := 0
	for i := 0; i+4 <= len(a); i += 4 {
		d += bits.OnesCount64(a[i]^b[i]) + bits.OnesCount64(a[i+1]^b[i+1]) + bits.OnesCount64(a[i+2]^b[i+2]) + bits.OnesCount64(a[i+3]^b[i+3])
		if d > limit {
			return false
		}
	}
	return true
}

// corpus is texts made ready to be joined by similarity. Texts with the same set of shingles are one
// class; classes are numbered by the size of their set.
//
// Elements are ordered from rare to common. Sets that are near share one among the first few of each
// (prefix filtering: Chaudhuri, Ganti & Kaushik 2006; Bayardo, Ma & Srikant 2007; Xiao et al. 2008), so an
// index of those finds every pair. The index is by bucket of the element's hash: a bucket that two elements share
// gives a candidate too many, never one too few.
type corpus struct {
	texts   []string
	member  []uint32 // texts, class by class
	first   []uint32 // where a class's texts begin in member; one more at the end
	size    []uint32 // of a class's set
	words   int      // of a signature
	sign    []uint64 // signatures, class by class
	rarity  []uint32 // how often a bucket's elements are in the texts
	posting []uint32 // classes, bucket by bucket, ascending
	bucket  []uint32 // where a bucket's begin in posting; one more at the end
}

func (c *corpus) classes() int { return len(c.size) }

// text is one text of a class.
func (c *corpus) text(class int) string { return c.texts[c.member[c.first[class]]] }

func (c *corpus) signature(class int) []uint64 { return c.sign[class*c.words : (class+1)*c.words] }

// members are the texts of a class, ascending.
func (c *corpus) members(class int) []uint32 {
	return c.member[c.first[class]:c.first[class+1]]
}

// print identifies a text's set.
type print struct {
	size   uint32
	text   uint32
	hi, lo uint64
}

// newCorpus makes texts ready; done counts them in two passes.
func newCorpus(ctx context.Context, texts []string, done func(int)) (*corpus, error) {
	buckets := 1 << min(21, max(8, bits.Len(uint(16*len(texts)))))
	c := &corpus{texts: texts, rarity: make([]uint32, buckets)}
	rankers := make([]ranker, runtime.GOMAXPROCS(0))
	prints := make([]print, len(texts))
	var ready atomic.Int64
	var telling sync.Mutex
	report := func() {
		if n := ready.Add(1); n%1024 == 0 && telling.TryLock() {
			done(int(n))
			telling.Unlock()
		}
	}
	err := each(ctx, len(texts), func(w, i int) error {
		r := &rankers[w]
		r.fill(r.of(texts[i]))
		p := print{size: uint32(r.size), text: uint32(i)}
		for _, k := range r.keys {
			if k != 0 {
				p.hi, p.lo = p.hi+mix(k), p.lo^mix(^k)
				atomic.AddUint32(&c.rarity[bucketOf(k, buckets)], 1)
			}
		}
		prints[i] = p
		report()
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.classify(prints)
	if c.classes() == 0 {
		return c, nil
	}
	return c, c.index(ctx, rankers, report)
}

// classify puts texts of the same set together.
func (c *corpus) classify(prints []print) {
	slices.SortFunc(prints, func(a, b print) int {
		return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo), cmp.Compare(a.text, b.text))
	})
	c.member = make([]uint32, len(prints))
	for i, p := range prints {
		c.member[i] = p.text
		if i == 0 || p.size != prints[i-1].size || p.hi != prints[i-1].hi || p.lo != prints[i-1].lo {
			c.first, c.size = append(c.first, uint32(i)), append(c.size, p.size)
		}
	}
	c.first = append(c.first, uint32(len(prints)))
}

// probed and indexed are how many of a set's rarest elements are looked up, and how many are in the index:
// partners are looked for among the sets that are not larger.
func probed(size int) int  { return size - least(size) + 1 }
func indexed(size int) int { return size - needed(size, size) + 1 }

// ranker orders sets from rare to common; each goroutine has its own.
type ranker struct {
	shingler
	set
	order []uint64
}

// rarityBits is how much of an element's rank is how often its bucket is in the texts; the rest is the highest bits
// of its key, of which the lowest are its bucket.
const rarityBits = 20

// bucketOf is the bucket of an element, and bucketAt that of its rank.
func bucketOf(key uint64, buckets int) uint32 {
	return uint32(key>>rarityBits) & uint32(buckets-1)
}
func bucketAt(rank uint64, buckets int) uint32 { return uint32(rank) & uint32(buckets-1) }

// rank lists a class's elements, the rarest first, as rarity and key in one number. Elements that share a rank share a
// bucket too, so to the index they are one.
func (r *ranker) rank(c *corpus, class int) []uint64 {
	r.fill(r.of(c.text(class)))
	r.order = r.order[:0]
	for _, key := range r.keys {
		if key != 0 {
			rarity := min(uint64(c.rarity[bucketOf(key, len(c.rarity))]), 1<<rarityBits-1)
			r.order = append(r.order, rarity<<(64-rarityBits)|key>>rarityBits)
		}
	}
	slices.Sort(r.order)
	return r.order
}

// index fills signatures and the index.
func (c *corpus) index(ctx context.Context, rankers []ranker, report func()) error {
	c.words = signatureWords(int(c.size[len(c.size)*19/20]), c.classes())
	c.sign = make([]uint64, c.classes()*c.words)
	at := make([]int, c.classes()+1) // where a class's buckets begin in those
	for k, size := range c.size {
		at[k+1] = at[k] + indexed(int(size))
	}
	buckets := make([]uint32, at[c.classes()])
	c.bucket = make([]uint32, len(c.rarity)+1)
	err := each(ctx, c.classes(), func(w, k int) error {
		order, sign := rankers[w].rank(c, k), c.signature(k)
		for i, e := range order {
			h := mix(e << rarityBits)
			sign[h>>6&uint64(c.words-1)] ^= 1 << (h & 63)
			if i < at[k+1]-at[k] {
				b := bucketAt(e, len(c.rarity))
				buckets[at[k]+i] = b
				atomic.AddUint32(&c.bucket[b+1], 1)
			}
		}
		report()
		return nil
	})
	if err != nil {
		return err
	}
	for b := range c.rarity {
		c.bucket[b+1] += c.bucket[b]
	}
	c.posting = make([]uint32, len(buckets))
	next := slices.Clone(c.bucket)
	for k := range c.size {
		for _, b := range buckets[at[k]:at[k+1]] {
			c.posting[next[b]] = uint32(k)
			next[b]++
		}
	}
	return nil
}
