// Package tokenbench holds a tokenizer to the library it follows, Hugging Face's tokenizers: the same
// ids, with and without special tokens, and the same decoded text, for every document of a text; and
// the speed of both on one thread, in turns, in one run. The library is reached through its npm package
// and Node.
package tokenbench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"triality/runtime/tokenizer"
)

// Options say what to do. Zero fields take the defaults named.
type Options struct {
	Tokenizer string   // folder or file
	Documents []string // valid UTF-8
	Rounds    int      // turns of each side; 5

	// Peer is a folder that has the npm package in its node_modules; where it has not, npm installs it
	// there. Empty: the tokenizer is measured alone.
	Peer string
	// Progress is told what begins; it may be nil.
	Progress func(string)
}

// Report is what Run found.
type Report struct {
	Tokenizer string `json:"tokenizer"`
	Documents int    `json:"documents"`
	Bytes     int    `json:"bytes"`
	Tokens    int    `json:"tokens"` // without special tokens
	// RoundTrips counts the documents whose ids decode to the document itself. Where a tokenizer
	// normalizes, others decode to the normalized text.
	RoundTrips int    `json:"round_trips"`
	Speed      Speed  `json:"speed"`
	Peer       *Peer  `json:"peer,omitempty"`
	Missing    string `json:"missing,omitempty"` // why there is no peer
}

// Speed is megabytes (10⁶ bytes) of UTF-8 a second on one thread.
type Speed struct {
	Cold Rate `json:"cold_mb_per_s"` // a tokenizer just loaded
	Warm Rate `json:"warm_mb_per_s"` // one that has seen the text
}

// Rate is the best and the median of the rounds.
type Rate struct {
	Best   float64 `json:"best"`
	Median float64 `json:"median"`
}

// Peer is the other side.
type Peer struct {
	Name        string `json:"name"`
	Speed       Speed  `json:"speed"`
	Ratio       Speed  `json:"ratio"`           // ours over the peer's: over 1 ours is faster
	Differences int    `json:"differences"`     // documents with other ids or another decoded text
	RoundTrips  int    `json:"round_trips"`     // the peer's own
	First       string `json:"first,omitempty"` // what the first difference is
}

func rate(size int, seconds []float64) Rate {
	s := slices.Sorted(slices.Values(seconds))
	if len(s) == 0 {
		return Rate{}
	}
	mb := float64(size) / 1e6
	return Rate{Best: mb / s[0], Median: mb / ((s[(len(s)-1)/2] + s[len(s)/2]) / 2)}
}

func (s Speed) over(p Speed) Speed {
	r := func(a, b Rate) Rate { return Rate{a.Best / b.Best, a.Median / b.Median} }
	return Speed{r(s.Cold, p.Cold), r(s.Warm, p.Warm)}
}

// encoded is what a side makes of a document.
type encoded struct {
	ids, special []int
	text         string // decoded from ids, special tokens and all
}

// Run measures and compares.
func Run(ctx context.Context, o Options) (*Report, error) {
	if len(o.Documents) == 0 {
		return nil, errors.New("tokenizer benchmark: no text")
	}
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	rep, err := o.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("tokenizer benchmark: %w", err)
	}
	return rep, nil
}

func (o Options) run(ctx context.Context) (rep *Report, err error) {
	tok, err := tokenizer.Load(o.Tokenizer)
	if err != nil {
		return nil, err
	}
	rep = &Report{Tokenizer: o.Tokenizer, Documents: len(o.Documents)}
	for _, d := range o.Documents {
		rep.Bytes += len(d)
	}
	var p *peer
	if o.Peer != "" {
		var missing *missingError
		switch p, err = o.startPeer(ctx); {
		case errors.As(err, &missing):
			rep.Missing = missing.Error()
		case err != nil:
			return nil, err
		default:
			defer func() { err = errors.Join(err, p.close()) }()
		}
	}
	o.Progress("comparing")
	ours := make([]encoded, len(o.Documents))
	for i, d := range o.Documents {
		ids := tok.Encode(d, false)
		ours[i] = encoded{ids, tok.Encode(d, true), tok.Decode(ids, false)}
		rep.Tokens += len(ids)
		if ours[i].text == d {
			rep.RoundTrips++
		}
	}
	if p != nil {
		rep.Peer = &Peer{Name: p.name}
		theirs, err := p.encode(len(o.Documents))
		if err != nil {
			return nil, err
		}
		compare(rep.Peer, o.Documents, ours, theirs)
	}
	return rep, o.speed(ctx, rep, p)
}

func compare(p *Peer, docs []string, ours, theirs []encoded) {
	for i, d := range docs {
		a, b := ours[i], theirs[i]
		if b.text == d {
			p.RoundTrips++
		}
		if slices.Equal(a.ids, b.ids) && slices.Equal(a.special, b.special) && a.text == b.text {
			continue
		}
		if p.Differences++; p.First == "" {
			p.First = firstDifference(i, a, b)
		}
	}
}

func firstDifference(doc int, a, b encoded) string {
	for _, x := range []struct {
		name string
		a, b []int
	}{{"id", a.ids, b.ids}, {"id with special tokens", a.special, b.special}} {
		if slices.Equal(x.a, x.b) {
			continue
		}
		k := 0
		for k < min(len(x.a), len(x.b)) && x.a[k] == x.b[k] {
			k++
		}
		return fmt.Sprintf("document %d, %s %d: %v, the peer has %v", doc, x.name, k, x.a[k:min(k+8, len(x.a))], x.b[k:min(k+8, len(x.b))])
	}
	k := 0
	for k < min(len(a.text), len(b.text)) && a.text[k] == b.text[k] {
		k++
	}
	return fmt.Sprintf("document %d, decoded byte %d: %+q, the peer has %+q", doc, k, a.text[k:min(k+24, len(a.text))], b.text[k:min(k+24, len(b.text))])
}

// speed lets both sides take turns: with a tokenizer just loaded, then with the same one again.
func (o Options) speed(ctx context.Context, rep *Report, p *peer) error {
	var cold, warm, peerCold, peerWarm []float64
	for round := range o.Rounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		o.Progress(fmt.Sprintf("round %d of %d", round+1, o.Rounds))
		tok, err := tokenizer.Load(o.Tokenizer)
		if err != nil {
			return err
		}
		runtime.GC() // what loading left is not encoding's
		cold = append(cold, o.oneThread(tok))
		warm = append(warm, o.oneThread(tok))
		if p == nil {
			continue
		}
		for _, turn := range []struct {
			name string
			to   *[]float64
		}{{"cold", &peerCold}, {"warm", &peerWarm}} {
			s, err := p.time(turn.name)
			if err != nil {
				return err
			}
			*turn.to = append(*turn.to, s)
		}
	}
	rep.Speed = Speed{rate(rep.Bytes, cold), rate(rep.Bytes, warm)}
	if p != nil {
		rep.Peer.Speed = Speed{rate(rep.Bytes, peerCold), rate(rep.Bytes, peerWarm)}
		rep.Peer.Ratio = rep.Speed.over(rep.Peer.Speed)
	}
	return nil
}

// oneThread encodes the text and gives the seconds; the garbage collector has the same thread.
func (o Options) oneThread(tok *tokenizer.Tokenizer) float64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	began := time.Now()
	for _, d := range o.Documents {
		tok.Encode(d, false)
	}
	return time.Since(began).Seconds()
}
