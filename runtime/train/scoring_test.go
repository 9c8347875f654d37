package train

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/generate"
	"triality/runtime/lora"
	"triality/runtime/model"
)

// testScoring keeps what the model said of the prompts at each evaluation.
func testScoring(said *[][][]float64) *Scoring {
	s := &Scoring{Answers: [][]int32{{3}, {4, 5}, {6, 7, 8}}}
	for _, e := range sentences(8, 9) {
		s.Prompts = append(s.Prompts, append([]int32{1, 2, 1, 2, 1, 2, 1, 2, 1, 2}, e.IDs...)) // a common beginning that is worth keeping
	}
	s.Figures = func(scores [][]float64) map[string]float64 {
		*said = append(*said, scores)
		return map[string]float64{"first": scores[0][0]}
	}
	return s
}

func TestAnswersOfAModelInTrainingAreThoseOfItsResult(t *testing.T) {
	for name, c := range map[string]*lora.Config{
		"lora": &testLoRA, "lora on the ends": &testEnds, "weights trained outright": &testSaved, "whole model": nil,
		"dora": {R: 2, Alpha: 4, DoRA: true, TargetModules: []string{"q_proj", "down_proj"}},
	} {
		t.Run(name, func(t *testing.T) {
			devices(t, func(t *testing.T, dev device.Device) {
				cfg, p := testModel(t, "qwen2")
				opt := languageOptions(c)
				opt.EvalSteps = 2
				plain, err := Run(t.Context(), dev, cfg, p, sentences(1, 20), sentences(2, 5), t.TempDir(), opt, nil)
				if err != nil {
					t.Fatal(err)
				}
				var said [][][]float64
				opt.Scoring = testScoring(&said)
				res, err := Run(t.Context(), dev, cfg, p, sentences(1, 20), sentences(2, 5), t.TempDir(), opt, nil)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.EqualFunc(res.Weights, plain.Weights, func(a, b Weight) bool { return slices.Equal(a.Data, b.Data) }) {
					t.Error("asking for answers changes the weights")
				}
				if len(said) != 2 || said[0][0][0] == said[1][0][0] {
					t.Fatalf("%d evaluations: %v", len(said), said)
				}
				if last, ok := res.Last("eval_first"); !ok || last != said[1][0][0] {
					t.Errorf("the record has %v", last)
				}
				var whole model.Source = res.Params
				if res.Adapter != nil {
					mcfg, base := res.Adapter.Model(cfg, p)
					cfg = mcfg
					if whole, err = res.Adapter.Merge(dev, base); err != nil {
						t.Fatal(err)
					}
				}
				on, err := model.Upload(dev, cfg, whole)
				if err != nil {
					t.Fatal(err)
				}
				defer on.Close()
				e, err := generate.New(dev, cfg, on, model.Hooks{})
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				want, err := e.ScoreBatch(context.Background(), opt.Scoring.Prompts, opt.Scoring.Answers)
				if err != nil {
					t.Fatal(err)
				}
				for i := range want {
					for k := range want[i] {
						if d := math.Abs(want[i][k] - said[1][i][k]); !(d < 2e-4) {
							t.Errorf("prompt %d, answer %d: %v in training, %v of the merged model", i, k, said[1][i][k], want[i][k])
						}
					}
				}
			})
		})
	}
}

func TestScoringGivesItsMemoryBackAndIsPlanned(t *testing.T) {
	devices(t, func(t *testing.T, dev device.Device) {
		cfg, p := testModel(t, "qwen2")
		opt := languageOptions(&testLoRA)
		without, err := PlanMemory(dev, cfg, p, sentences(1, 20), sentences(2, 5), opt)
		if err != nil {
			t.Fatal(err)
		}
		var said [][][]float64
		opt.Scoring = testScoring(&said)
		with, err := PlanMemory(dev, cfg, p, sentences(1, 20), sentences(2, 5), opt)
		if err != nil || with.Device.Total() <= without.Device.Total() {
			t.Errorf("planned %d bytes with answers, %d without; %v", with.Device.Total(), without.Device.Total(), err)
		}
		counting := &counted{Device: dev, left: 1 << 30}
		if _, err := Run(t.Context(), counting, cfg, p, sentences(1, 20), sentences(2, 5), t.TempDir(), opt, nil); err != nil || counting.held != 0 {
			t.Errorf("%d buffers are left; %v", counting.held, err)
		}
	})
}

func TestPromptsThatCannotBeAnsweredAreRefused(t *testing.T) {
	devices(t, func(t *testing.T, dev device.Device) {
		cfg, p := testModel(t, "qwen2")
		for want, change := range map[string]func(*Scoring){
			"0 prompts":                func(s *Scoring) { s.Prompts = nil },
			"1 answers":                func(s *Scoring) { s.Answers = s.Answers[:1] },
			"answer 1 has no tokens":   func(s *Scoring) { s.Answers[1] = nil },
			"prompt 0 with its answer": func(s *Scoring) { s.Prompts[0] = slices.Repeat([]int32{1}, 62) },
			"prompt 2 with its answer": func(s *Scoring) { s.Prompts[2] = nil },
			"the eval_loss is NaN": func(s *Scoring) {
				s.Figures = func([][]float64) map[string]float64 { return map[string]float64{"loss": math.NaN()} }
			},
			"outside the vocabulary of": func(s *Scoring) { s.Prompts[0] = []int32{testVocab} },
		} {
			var said [][][]float64
			opt := languageOptions(&testLoRA)
			opt.Scoring = testScoring(&said)
			change(opt.Scoring)
			_, err := Run(t.Context(), dev, cfg, p, sentences(1, 20), sentences(2, 5), t.TempDir(), opt, nil)
			if err == nil || !strings.Contains(err.Error(), strings.Replace(want, "eval_loss", "loss", 1)) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	})
}
