package generate

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func logs(p ...float64) []float32 {
	x := make([]float32, len(p))
	for i, v := range p {
		x[i] = float32(math.Log(v))
	}
	return x
}

// drawn are the tokens that any of many positions gives.
func drawn(t *testing.T, s Sampling, prompt []int32, logits []float32) map[int32]int {
	t.Helper()
	got := map[int32]int{}
	for i := range 20000 {
		id, err := newSampler(s, prompt).next(slices.Clone(logits), i)
		if err != nil {
			t.Fatal(err)
		}
		got[id]++
	}
	return got
}

// The first rows are the distributions of transformers' own tests of its logits processors.
func TestTokensAreDrawnWithTheProbabilitiesOfTheReference(t *testing.T) {
	for name, c := range map[string]struct {
		s      Sampling
		prompt []int32
		logits []float32
		want   []float64
	}{
		"plain":                                {Sampling{Temperature: 1}, nil, logs(0.3, 0.1, 0.1, 0.5), []float64{0.3, 0.1, 0.1, 0.5}},
		"top-p keeps what reaches it":          {Sampling{Temperature: 1, TopP: 0.79}, nil, logs(0.3, 0.1, 0.1, 0.5), []float64{0.375, 0, 0, 0.625}},
		"top-p of one row more":                {Sampling{Temperature: 1, TopP: 0.8}, nil, logs(0.15, 0.3, 0.3, 0.25), []float64{0, 0.3 / 0.85, 0.3 / 0.85, 0.25 / 0.85}},
		"top-p keeps one token at least":       {Sampling{Temperature: 1, TopP: 1e-9}, nil, logs(0.3, 0.1, 0.1, 0.5), []float64{0, 0, 0, 1}},
		"top-k":                                {Sampling{Temperature: 1, TopK: 2}, nil, logs(0.3, 0.1, 0.1, 0.5), []float64{0.375, 0, 0, 0.625}},
		"top-k keeps ties of the last":         {Sampling{Temperature: 1, TopK: 3}, nil, logs(0.3, 0.1, 0.1, 0.5), []float64{0.3, 0.1, 0.1, 0.5}},
		"top-k beyond the vocabulary":          {Sampling{Temperature: 1, TopK: 9}, nil, logs(0.3, 0.1, 0.1, 0.5), []float64{0.3, 0.1, 0.1, 0.5}},
		"top-k before top-p":                   {Sampling{Temperature: 1, TopK: 2, TopP: 0.6}, nil, logs(0.3, 0.1, 0.1, 0.5), []float64{0, 0, 0, 1}},
		"temperature":                          {Sampling{Temperature: 0.5}, nil, logs(0.25, 0.75), []float64{0.1, 0.9}},
		"temperature before top-p":             {Sampling{Temperature: 0.5, TopP: 0.85}, nil, logs(0.25, 0.75), []float64{0, 1}},
		"penalty: a positive logit is divided": {Sampling{Temperature: 1, RepetitionPenalty: 2}, []int32{1, 1}, []float32{0, 2 * float32(math.Log(3))}, []float64{0.25, 0.75}},
		"penalty: a negative one multiplied":   {Sampling{Temperature: 1, RepetitionPenalty: 2}, []int32{0}, []float32{float32(math.Log(1. / 3)), 0}, []float64{0.1, 0.9}},
		"penalty before temperature":           {Sampling{Temperature: 0.5, RepetitionPenalty: 2}, []int32{1}, []float32{0, 2 * float32(math.Log(3))}, []float64{0.1, 0.9}},
		"the likeliest":                        {Sampling{}, nil, []float32{1, 3, 3, 2}, []float64{0, 1, 0, 0}},
		"the likeliest after the penalty":      {Sampling{RepetitionPenalty: 4}, []int32{1}, []float32{1, 3, 2}, []float64{0, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := drawn(t, c.s, c.prompt, c.logits)
			for id, p := range c.want {
				// Four standard deviations of a binomial share.
				share, slack := float64(got[int32(id)])/20000, 4*math.Sqrt(p*(1-p)/20000)
				if math.Abs(share-p) > slack {
					t.Errorf("token %d: share %.4f, want %.4f", id, share, p)
				}
			}
		})
	}
}

// kept is the reference's definition word by word: top-k removes what is below the k-th largest;
// top-p sorts upwards and removes what has a cumulative probability of at most 1 − p.
func kept(logits []float32, k int, p float64) []int32 {
	ids := make([]int32, len(logits))
	for i := range ids {
		ids[i] = int32(i)
	}
	slices.SortStableFunc(ids, func(a, b int32) int { // upwards; of equals the lowest id last
		if logits[a] != logits[b] {
			return int(math.Copysign(1, float64(logits[a])-float64(logits[b])))
		}
		return int(b - a)
	})
	if k > 0 && k < len(ids) {
		least := logits[ids[len(ids)-k]]
		ids = slices.DeleteFunc(ids, func(id int32) bool { return logits[id] < least })
	}
	if p > 0 && p < 1 {
		sum, below := 0.0, 0.0
		for _, id := range ids {
			sum += math.Exp(float64(logits[id]))
		}
		n := 0
		for n < len(ids)-1 {
			below += math.Exp(float64(logits[ids[n]])) / sum
			if below > 1-p {
				break
			}
			n++
		}
		ids = ids[n:]
	}
	slices.Sort(ids)
	return ids
}

func TestFiltersKeepWhatTheReferencesDefinitionKeeps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		logits := make([]float32, 1+r.IntN(60))
		for i := range logits {
			logits[i] = float32(math.Round(r.NormFloat64()*8) / 4) // ties are common
		}
		s := Sampling{Temperature: 1, TopK: r.IntN(len(logits) + 2), TopP: math.Round(r.Float64()*97)/97 + 1e-4}
		if s.TopP >= 1 {
			s.TopP = 0
		}
		p := newSampler(s, nil)
		p.filter(logits, slices.Max(logits))
		got := slices.Sorted(slices.Values(p.kept))
		if want := kept(logits, s.TopK, s.TopP); !slices.Equal(got, want) {
			t.Fatalf("%+v of %v keeps %v, want %v", s, logits, got, want)
		}
	}
}

func TestSamplingWithoutMeaningIsRefused(t *testing.T) {
	for want, s := range map[string]Sampling{
		"temperature is -1":               {Temperature: -1},
		"temperature is NaN":              {Temperature: math.NaN()},
		"temperature is +Inf":             {Temperature: math.Inf(1)},
		"top-k is -2":                     {Temperature: 1, TopK: -2},
		"top-p is 1.5":                    {Temperature: 1, TopP: 1.5},
		"top-p is NaN":                    {Temperature: 1, TopP: math.NaN()},
		"repetition penalty is -0.5":      {RepetitionPenalty: -0.5},
		"top-k is 4 but temperature is 0": {TopK: 4},
		"top-p is 0.9 but temperature is": {TopP: 0.9},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
	if err := (Sampling{Temperature: 0.7, TopK: 20, TopP: 0.8, RepetitionPenalty: 1.1, Seed: 3}).Check(); err != nil {
		t.Error(err)
	}
	nan := float32(math.NaN())
	if id, err := newSampler(Sampling{Temperature: 1}, nil).next([]float32{nan, nan}, 4); err == nil {
		t.Errorf("logits that are no numbers give token %d", id)
	}
}

func BenchmarkSample(b *testing.B) {
	logits := make([]float32, 151936)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range logits {
		logits[i] = float32(3 * r.NormFloat64())
	}
	for name, s := range map[string]Sampling{
		"greedy": {}, "temperature": {Temperature: 0.8}, "top-k": {Temperature: 0.8, TopK: 20}, "top-p": {Temperature: 0.8, TopP: 0.9},
	} {
		b.Run(name, func(b *testing.B) {
			p, x, i := newSampler(s, nil), slices.Clone(logits), 0
			b.ReportAllocs()
			for b.Loop() {
				copy(x, logits)
				if _, err := p.next(x, i); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
