package pipeline

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/runtime/generate"
)

// written is what an arm wrote on one row.
type written struct {
	text     string
	logProbs []float32 // of its tokens
}

// textsAtOnce is how many texts are made together where the configuration does not say.
const textsAtOnce = 8

func textsAtOnceOf(g config.Generate) int {
	if g.BatchSize == 0 {
		return textsAtOnce
	}
	return g.BatchSize
}

// write continues every row's prompt, in batches. The texts are the same each time: greedy, or drawn from
// a stream of the seed's that each row has for itself and both arms share.
func (a *arm) write(ctx context.Context, rows []dataset.Row, prompts [][]int32, g config.Generate, seed uint64, sink Sink) ([]written, error) {
	room := a.positions - g.MaxNewTokens
	if room < 1 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "test.generate.max_new_tokens is %d: model %s has %d positions, the prompt's included", g.MaxNewTokens, a.name, a.positions)
	}
	requests := make([]generate.Request, len(rows))
	for i := range rows {
		prompt := prompts[i]
		if len(prompt) > room {
			ids, ok, err := a.format.EncodePrompt(a.tok, &rows[i], room)
			if err != nil {
				return nil, invalid(err)
			}
			if !ok || len(ids) == 0 {
				return nil, experiments.Errorf(experiments.CodeInvalid, "model %s: the prompt of row %q and test.generate.max_new_tokens of %d do not fit in its %d positions", a.name, rows[i].Text(), g.MaxNewTokens, a.positions)
			}
			prompt = ids
		}
		requests[i] = generate.Request{
			Prompt: prompt, MaxNew: g.MaxNewTokens, End: a.end, Stop: g.Stop, Decoder: a.tok.NewDecoder(true), LogProbs: true,
			Sampling: generate.Sampling{Temperature: g.Temperature, TopK: g.TopK, TopP: g.TopP, RepetitionPenalty: g.RepetitionPenalty, Seed: seed, Sequence: uint32(i)},
		}
	}
	atOnce := textsAtOnceOf(g)
	out := make([]written, 0, len(rows))
	start := time.Now()
	for part := range slices.Chunk(requests, 8*atOnce) { // progress is said between the parts
		results, err := a.engine.GenerateBatch(ctx, part, atOnce)
		if err != nil {
			return nil, trainError(err)
		}
		for _, r := range results {
			t := written{text: r.Text, logProbs: make([]float32, len(r.LogProbs))}
			for i, v := range r.LogProbs {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return nil, fmt.Errorf("model %s: the probability of a token is not a number; the weights are damaged", a.name)
				}
				t.logProbs[i] = float32(v)
			}
			out = append(out, t)
		}
		sink.Progress(experiments.Progress{Done: int64(len(out)), Total: int64(len(rows)), Unit: "texts", Rate: float64(len(out)) / time.Since(start).Seconds(), Note: a.name})
	}
	return out, nil
}

// withTexts keeps the texts that two arms wrote with the samples; without any it changes nothing.
func withTexts(samples []experiments.Sample, arms [2]answered) {
	for i := range samples {
		s := &samples[i]
		if arms[0].texts != nil {
			s.OutputA, s.LogProbA = &arms[0].texts[i].text, arms[0].texts[i].logProbs
		}
		if arms[1].texts != nil {
			s.OutputB, s.LogProbB = &arms[1].texts[i].text, arms[1].texts[i].logProbs
		}
	}
}
