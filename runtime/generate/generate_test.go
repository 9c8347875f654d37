package generate

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/cuda"
	"triality/runtime/device/reference"
	"triality/runtime/model"
	"triality/runtime/realdata"
)

var devices = map[string]func() device.Device{
	"reference": func() device.Device { return reference.New() },
	"cpu":       func() device.Device { return cpu.New(cpu.Options{}) },
}

// tiny is a random model; init's small weights are scaled up so that its predictions differ.
func tiny(t *testing.T, modelType string, tied bool) (model.Config, *model.Params) {
	t.Helper()
	cfg := model.Config{
		ModelType: modelType, VocabSize: 50, HiddenSize: 24, IntermediateSize: 40, Layers: 2, Heads: 6, KVHeads: 2,
		HeadDim: 4, MaxPositions: 2048, RMSNormEps: 1e-6, RopeTheta: 10000, TieEmbeddings: tied, BOS: -1,
		QKVBias: modelType == "qwen2",
	}
	p, err := model.Init(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	for j, n := range p.Names() {
		x, _ := p.Get(n)
		for i := range x.Data {
			x.Data[i] = 8*x.Data[i] + 0.1*float32(math.Sin(float64(i+j)))
		}
	}
	return cfg, p
}

func open(t *testing.T, dev device.Device, cfg model.Config, p *model.Params) *Engine {
	t.Helper()
	d, err := model.Upload(dev, cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(dev, cfg, d, model.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(); d.Close(); dev.Close() })
	return e
}

func tokens(n, seed int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((i*i*7 + i*13 + seed*29) % 50)
	}
	return ids
}

func TestGreedyIDsOfARealModelEqualThePublishedText(t *testing.T) {
	for name, newDevice := range devices {
		t.Run(name, func(t *testing.T) { tellsThePublishedStory(t, newDevice()) })
	}
}

func TestGreedyIDsOfARealModelOnCUDAEqualThePublishedText(t *testing.T) {
	dev, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Skip("needs an NVIDIA card: ", err)
	}
	tellsThePublishedStory(t, dev)
}

// tellsThePublishedStory holds stories260K on a device, which it closes, to the ids of golden.json.
func tellsThePublishedStory(t *testing.T, dev device.Device) {
	t.Helper()
	dir := realdata.Path(t, "models/stories260K")
	raw, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		IDs []int32 `json:"greedy_ids"`
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	cfg, err := model.LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.LoadParams(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	e := open(t, dev, cfg, p)
	got, err := e.Greedy(t.Context(), golden.IDs[:1], len(golden.IDs)-1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, golden.IDs[1:]) {
		t.Errorf("greedy ids are\n%v, want\n%v", got, golden.IDs[1:])
	}
	got, err = e.Greedy(t.Context(), golden.IDs[:50], 40, golden.IDs[70:71])
	if end := 50 + slices.Index(golden.IDs[50:], golden.IDs[70]); err != nil || !slices.Equal(got, golden.IDs[50:end]) {
		t.Errorf("after a prompt of 50, up to a stop token: %v, %v, want %v", got, err, golden.IDs[50:end])
	}
}

func TestGreedyWithTheCacheEqualsFullRecomputation(t *testing.T) {
	for name, newDevice := range devices {
		t.Run(name, func(t *testing.T) {
			cfg, p := tiny(t, "qwen2", false)
			e := open(t, newDevice(), cfg, p)
			ids := tokens(7, 1)
			got, err := e.Greedy(t.Context(), ids, 12, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, id := range got {
				all, err := e.Logits(ids)
				if err != nil {
					t.Fatal(err)
				}
				if want := argmax(all[len(all)-1]); want != id {
					t.Fatalf("token %d is %d, without the cache %d", i, id, want)
				}
				ids = append(ids, id)
			}
			distinct := slices.Compact(slices.Sorted(slices.Values(got)))
			if len(distinct) < 3 {
				t.Errorf("the model says only %v: the test shows little", distinct)
			}
		})
	}
}

// logProbability recomputes a continuation's log-probability without the cache.
func logProbability(t *testing.T, e *Engine, prompt, c []int32) float64 {
	t.Helper()
	all, err := e.Logits(append(slices.Clone(prompt), c...))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, id := range c {
		row := all[len(prompt)-1+i]
		z := 0.0
		for _, x := range row {
			z += math.Exp(float64(x))
		}
		sum += float64(row[id]) - math.Log(z)
	}
	return sum
}

func TestScoreEqualsFullRecomputation(t *testing.T) {
	cases := map[string]struct {
		prompt        int
		continuations []int
	}{
		"continuations of several lengths":         {20, []int{1, 2, 5, 9, 17}},
		"a prompt of one token":                    {1, []int{3, 1}},
		"a prompt longer than a chunk":             {maxChunk + 70, []int{4, 2}},
		"a prompt of a chunk and a token":          {maxChunk + 1, []int{2}},
		"a continuation longer than a chunk":       {5, []int{maxChunk + 3, 2}},
		"a prompt that makes the cache grow twice": {700, []int{1}},
	}
	for dev, newDevice := range devices {
		for name, c := range cases {
			if dev == "reference" && c.prompt+c.continuations[0] > 100 && name != "a continuation longer than a chunk" {
				continue // the slow device does one long case
			}
			t.Run(dev+", "+name, func(t *testing.T) {
				cfg, p := tiny(t, "llama", true)
				e := open(t, newDevice(), cfg, p)
				prompt := tokens(c.prompt, 2)
				var conts [][]int32
				for i, n := range c.continuations {
					conts = append(conts, tokens(n, 3+i))
				}
				got, err := e.Score(t.Context(), prompt, conts)
				if err != nil {
					t.Fatal(err)
				}
				for i := range conts {
					want := logProbability(t, e, prompt, conts[i])
					if d := math.Abs(got[i] - want); !(d <= 1e-5*math.Abs(want)) {
						t.Errorf("continuation %d scores %.9g, recomputed %.9g", i, got[i], want)
					}
				}
			})
		}
	}
}

func TestLogProbsAreWhatTheModelGivesItsOwnTokens(t *testing.T) {
	cfg, params := tiny(t, "qwen2", false)
	e := open(t, device.Device(cpu.New(cpu.Options{})), cfg, params)
	for name, sampling := range map[string]Sampling{"greedy": {}, "drawn": {Temperature: 2, TopK: 9, Seed: 3}, "with a penalty": {RepetitionPenalty: 3}} {
		r := Request{Prompt: tokens(7, 1), MaxNew: 9, Sampling: sampling, LogProbs: true}
		alone, err := e.Generate(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		many, err := e.GenerateBatch(t.Context(), []Request{r, {Prompt: tokens(4, 2), MaxNew: 3}}, 2)
		if err != nil {
			t.Fatal(err)
		}
		if many[1].LogProbs != nil || len(alone.LogProbs) != len(alone.IDs) || len(alone.IDs) == 0 {
			t.Fatalf("%s: %d of %d tokens have one, %v unasked", name, len(alone.LogProbs), len(alone.IDs), many[1].LogProbs)
		}
		before := 0.0
		for n := range alone.IDs { // each is the difference of two scores
			score, err := e.Score(t.Context(), r.Prompt, [][]int32{alone.IDs[:n+1]})
			if err != nil {
				t.Fatal(err)
			}
			within := 1e-4 * (1 + math.Abs(score[0])) // the sums are of float32 figures
			if want := score[0] - before; math.Abs(alone.LogProbs[n]-want) > within || math.Abs(many[0].LogProbs[n]-want) > within {
				t.Errorf("%s, token %d: %v, batched %v, want %v", name, n, alone.LogProbs[n], many[0].LogProbs[n], want)
			}
			before = score[0]
		}
	}
}

func TestACallDoesNotDependOnEarlierCalls(t *testing.T) {
	cfg, p := tiny(t, "llama", true)
	fresh, used := open(t, cpu.New(cpu.Options{Threads: 2}), cfg, p), open(t, cpu.New(cpu.Options{Threads: 2}), cfg, p)
	if _, err := used.Score(t.Context(), tokens(90, 8), [][]int32{tokens(40, 9)}); err != nil {
		t.Fatal(err)
	}
	if _, err := used.Greedy(t.Context(), tokens(30, 8), 300, nil); err != nil {
		t.Fatal(err)
	}
	a, err := fresh.Score(t.Context(), tokens(20, 1), [][]int32{tokens(3, 2), tokens(6, 4)})
	if err != nil {
		t.Fatal(err)
	}
	b, err := used.Score(t.Context(), tokens(20, 1), [][]int32{tokens(3, 2), tokens(6, 4)})
	if err != nil || !slices.Equal(a, b) {
		t.Errorf("scores %v after other calls, %v in a fresh engine (%v)", b, a, err)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	cfg, p := tiny(t, "llama", true)
	e := open(t, reference.New(), cfg, p)
	ctx, cancel := context.WithCancel(t.Context())
	for name, f := range map[string]func() error{
		"an empty prompt":              func() error { _, err := e.Greedy(ctx, nil, 3, nil); return err },
		"an id outside the vocabulary": func() error { _, err := e.Greedy(ctx, []int32{50}, 3, nil); return err },
		"a negative id":                func() error { _, err := e.Logits([]int32{-1}); return err },
		"an empty continuation":        func() error { _, err := e.Score(ctx, []int32{1}, [][]int32{{}}); return err },
		"a prompt beyond the model's positions": func() error {
			_, err := e.Score(ctx, tokens(2048, 1), [][]int32{{1}})
			return err
		},
		"hooks with a cache of their own": func() error {
			_, err := New(e.dev, cfg, e.params, model.Hooks{KV: &model.KVCache{Capacity: 8}})
			return err
		},
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	cancel()
	if _, err := e.Greedy(ctx, []int32{1}, 3, nil); err != context.Canceled {
		t.Errorf("a cancelled context gives %v", err)
	}
	if got, err := e.Greedy(t.Context(), tokens(2047, 1), 30, nil); err == nil && len(got) > 1 {
		t.Errorf("%d tokens beyond the model's positions", len(got)-1)
	}
}

func TestBucketsHoldTheirTokensWithLittlePadding(t *testing.T) {
	for n := 1; n <= maxChunk; n++ {
		b := bucket(n)
		if b < n || b > 2*n || b > maxChunk || (n > 16 && 2*b > 3*n+2) {
			t.Errorf("%d tokens take a graph of %d", n, b)
		}
	}
}

// idle is a device whose operations do nothing, to see what the engine itself allocates.
type idle struct{ device.Device }

func (idle) Upload(device.Buffer, any) error                                    { return nil }
func (idle) Download(any, device.Buffer) error                                  { return nil }
func (idle) Embedding(_, _, _ device.Buffer, _, _ int)                          {}
func (idle) RMSNorm(_, _, _ device.Buffer, _, _ int, _ float64)                 {}
func (idle) MatMul(_, _, _ device.Buffer, _, _, _ int, _, _, _ bool)            {}
func (idle) Rotary(_, _, _, _ device.Buffer, _, _, _, _ int, _ float64, _ bool) {}
func (idle) CacheWrite(_, _, _ device.Buffer, _, _ int)                         {}
func (idle) Attention(_, _, _, _, _, _ device.Buffer, _ device.AttentionShape)  {}
func (idle) Add(_, _, _ device.Buffer)                                          {}
func (idle) SwiGLU(_, _, _ device.Buffer)                                       {}

func TestADecodeStepAllocatesNothingBesideTheDevice(t *testing.T) {
	cfg, p := tiny(t, "llama", true)
	e := open(t, idle{reference.New()}, cfg, p)
	if _, err := e.Greedy(t.Context(), tokens(5, 1), 10, nil); err != nil {
		t.Fatal(err)
	}
	ids := []int32{3}
	if n := testing.AllocsPerRun(20, func() {
		if err := e.next(ids, 20); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("a step allocates %g times", n)
	}
}

func BenchmarkDecodeStep(b *testing.B) {
	shape := model.Shapes()[0]
	cfg, err := shape.Config("llama", 4096)
	if err != nil {
		b.Fatal(err)
	}
	p, err := model.Init(cfg, 1)
	if err != nil {
		b.Fatal(err)
	}
	dev := cpu.New(cpu.Options{})
	defer dev.Close()
	d, err := model.Upload(dev, cfg, p)
	if err != nil {
		b.Fatal(err)
	}
	e, err := New(dev, cfg, d, model.Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Greedy(b.Context(), []int32{1, 2, 3}, 4, nil); err != nil {
		b.Fatal(err)
	}
	ids := []int32{7}
	b.ReportAllocs()
	for b.Loop() {
		if err := e.next(ids, 100); err != nil {
			b.Fatal(err)
		}
	}
}
