// Package memory says how much memory work is going to take, and how much the machine has for it.
package memory

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Share is a part of what is needed, such as the activations.
type Share struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// Plan is what work needs at once, in bytes. The zero value needs nothing.
type Plan struct{ Shares []Share }

// Add adds to a share, making it where needed. A sum that no machine counts stays at the largest number.
func (p *Plan) Add(name string, bytes int64) {
	i := slices.IndexFunc(p.Shares, func(s Share) bool { return s.Name == name })
	if i < 0 {
		p.Shares = append(p.Shares, Share{Name: name})
		i = len(p.Shares) - 1
	}
	p.Shares[i].Bytes = plus(p.Shares[i].Bytes, bytes)
}

// Join adds all shares of another plan.
func (p *Plan) Join(q Plan) {
	for _, s := range q.Shares {
		p.Add(s.Name, s.Bytes)
	}
}

// Total is the sum of all shares.
func (p Plan) Total() int64 {
	var sum int64
	for _, s := range p.Shares {
		sum = plus(sum, s.Bytes)
	}
	return sum
}

func plus(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Times is a product of sizes, none of them negative; one that no machine counts is the largest number.
func Times(factors ...int) int64 {
	out := int64(1)
	for _, f := range factors {
		if f == 0 {
			return 0
		}
		if out > math.MaxInt64/int64(f) {
			out = math.MaxInt64
		} else {
			out *= int64(f)
		}
	}
	return out
}

// Largest is the largest share.
func (p Plan) Largest() Share {
	var most Share
	for _, s := range p.Shares {
		if s.Bytes > most.Bytes {
			most = s
		}
	}
	return most
}

// String is the shares that are worth saying, the largest first: "activations 2.1 GB, weights 0.5 GB".
func (p Plan) String() string {
	list := slices.Clone(p.Shares)
	slices.SortStableFunc(list, func(a, b Share) int {
		switch {
		case a.Bytes > b.Bytes:
			return -1
		case a.Bytes < b.Bytes:
			return 1
		}
		return 0
	})
	var words []string
	for _, s := range list {
		if s.Bytes > p.Total()/1000 {
			words = append(words, s.Name+" "+Bytes(s.Bytes))
		}
	}
	return strings.Join(words, ", ")
}

// Bytes writes a number of bytes for people, in powers of ten.
func Bytes(n int64) string {
	switch {
	case n >= 1e15:
		return fmt.Sprintf("%.3g PB", float64(n)/1e15)
	case n >= 1e12:
		return fmt.Sprintf("%.1f TB", float64(n)/1e12)
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f kB", math.Ceil(float64(n)/1e3))
}
