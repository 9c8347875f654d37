package pipeline

import (
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/runtime/device"
	"triality/runtime/memory"
	"triality/runtime/train"
)

func TestWorkThatNeedsMoreMemoryThanThereIsIsRefusedWithTheFiguresAndTheMend(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	base := firstBase(t, dir)
	datasets, err := filepath.Glob(filepath.Join(dir, "work", "convert", "*", "dataset"))
	if err != nil || len(datasets) == 0 {
		t.Fatal(datasets, err)
	}
	models, err := filepath.Glob(filepath.Join(dir, "work", "replace", "*", "model"))
	if err != nil || len(models) != 1 {
		t.Fatal(models, err)
	}
	training := config.Default().Training
	finetune := func(change func(*config.Training)) func(*Engine, Sink) error {
		return func(e *Engine, sink Sink) error {
			c := training
			change(&c)
			return e.Finetune(t.Context(), FinetuneOptions{BaseModel: base, Dataset: datasets[0], OutDir: t.TempDir(), Training: c, MaxLength: 96, Seed: 7}, sink)
		}
	}
	const few = 40 << 20 // less than the process itself
	for _, c := range []struct {
		name string
		room int64
		do   func(*Engine, Sink) error
		says []string
	}{
		{"fine-tuning in a small process", few, finetune(func(*config.Training) {}), []string{"this process has 42 MB"}},
		{"a rank that no machine holds", 0, finetune(func(c *config.Training) { c.LoraR = 1_000_000_000 }), []string{"training.lora_r", "optimizer states", "this machine has"}},
		{"a rank of one module that no machine holds", 0, finetune(func(c *config.Training) { c.LoraRankPattern = map[string]int{"q_proj": 1_000_000_000} }), []string{"training.lora_rank_pattern"}},
		{"an A/B test in a small process", few, func(e *Engine, sink Sink) error {
			_, err := e.ABTest(t.Context(), ABTestOptions{ModelA: base, ModelB: models[0], TestData: filepath.Join(dir, "rows.jsonl"), OutDir: t.TempDir(),
				Format: "instruction", MaxLength: 96, Test: config.Test{Resamples: 100}}, sink)
			return err
		}, []string{"this process has 42 MB"}},
		{"texts that no machine holds", 0, func(e *Engine, sink Sink) error {
			_, err := e.ABTest(t.Context(), ABTestOptions{ModelA: base, ModelB: models[0], TestData: filepath.Join(dir, "rows.jsonl"), OutDir: t.TempDir(),
				Format: "instruction", MaxLength: 96, Test: config.Test{Resamples: 100, Generate: config.Generate{MaxNewTokens: 64, BatchSize: 1_000_000_000}}}, sink)
			return err
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &Engine{Device: r.Engine.Device, Sandbox: r.Engine.Sandbox, Room: Room{Process: c.room}}
			err := c.do(e, &notes{})
			if c.says == nil {
				if err != nil { // bounded by the rows that there are
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, device.ErrOutOfMemory) || experiments.CodeOf(err) != experiments.CodeInvalid {
				t.Fatalf("%v", err)
			}
			for _, want := range append(c.says, "planned memory: ", " has ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
	if held := memory.Peak(); held > 4<<30 {
		t.Errorf("the refusals took %s", memory.Bytes(held))
	}
}

func TestAPlanThatFitsToTheByteIsTaken(t *testing.T) {
	plan := func(bytes int64) (p memory.Plan) {
		p.Add("weights", bytes)
		return p
	}
	for _, tt := range []struct {
		total, held, room int64
		fits              bool
		says              string
	}{
		{10, 0, 0, true, "planned memory: 1 kB: weights 1 kB"}, {10, 5, 0, true, "planned memory: 1 kB beside 1 kB in use: weights 1 kB"},
		{10, 0, 10, true, "planned memory: 1 kB of 1 kB: weights 1 kB"}, {10, 5, 15, true, "planned memory: 1 kB of 1 kB beside 1 kB in use: weights 1 kB"},
		{10, 0, 9, false, ""}, {10, 5, 14, false, ""},
	} {
		var said notes
		err := enough("this machine", plan(tt.total), tt.held, tt.room, advice{}, &said)
		if (err == nil) != tt.fits || tt.fits && strings.Join(said.text, "\n") != tt.says {
			t.Errorf("%+v: %q, %v", tt, said.text, err)
		}
	}
	for _, tt := range [][3]int64{{0, 0, 0}, {0, 5, 5}, {5, 0, 5}, {5, 7, 5}, {7, 5, 5}} {
		if got := least(tt[0], tt[1]); got != tt[2] {
			t.Errorf("of %d and %d: %d", tt[0], tt[1], got)
		}
	}
	var shares memory.Plan
	shares.Add("a", 4)
	shares.Add("b", 4)
	shares.Add("c", 1)
	how := advice{"a": {"do this"}, "b": {"do that"}, "c": {"do that"}}
	if got := how.mend(shares); got != "do that" {
		t.Errorf("two shares together: %s", got)
	}
	delete(how, "c")
	if got := how.mend(shares); got != "do this" {
		t.Errorf("of equals the first: %s", got)
	}
}

func TestACardsMemoryIsItsOwn(t *testing.T) {
	need := train.Memory{}
	need.Device.Add("weights", 1000)
	for room, fits := range map[int64]bool{999: false, 1000: true} {
		e := &Engine{Device: named{info: device.Info{Name: "cuda", Memory: room}}}
		release, err := e.reserve(need, advice{}, &notes{})
		if fits {
			if err != nil {
				t.Fatal(err)
			}
			release()
		} else if !errors.Is(err, device.ErrOutOfMemory) || !strings.Contains(err.Error(), "the cuda device has") {
			t.Errorf("%d bytes: %v", room, err)
		}
	}
}

func TestATrainingIsToldWhatItCanDoWithLess(t *testing.T) {
	const batch, checkpointing, full, rank = "lower so8t.per_device_train_batch_size (2)", "set training.gradient_checkpointing: true", "set training.finetuning_type: lora", "lower training.lora_r or training.lora_rank_pattern"
	for _, tt := range []struct {
		section, recompute string
		batch              int
		adapter            bool
		activations        []string
		states             string // the first
	}{
		{"so8t", "", 2, true, []string{batch, "lower data.max_length (96)", checkpointing}, rank},
		{"so8t", train.RecomputeNone, 1, false, []string{"lower data.max_length (96)", checkpointing}, "set training.optim: adamw_8bit"},
		{"training", "full", 1, false, []string{"lower data.max_length (96)"}, full},
		{"training", "full", 1, true, []string{"lower data.max_length (96)"}, rank},
	} {
		how := (&Engine{Recompute: tt.recompute}).trainAdvice(tt.section, tt.batch, 96, tt.adapter)
		if got := how[train.SharedActivations]; !slices.Equal(got, tt.activations) {
			t.Errorf("%+v: %q", tt, got)
		}
		if got := how[train.SharedStates]; got[0] != tt.states || got[len(got)-1] != "set training.optim: adamw_8bit" {
			t.Errorf("%+v: %q", tt, got)
		}
		if got := how[train.SharedWeights][0]; (got == "set model.load_in_8bit: true") != tt.adapter {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

func TestWhatIsPlannedIsSaid(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	models, err := filepath.Glob(filepath.Join(dir, "work", "replace", "*", "model"))
	if err != nil || len(models) != 1 {
		t.Fatal(models, err)
	}
	var said notes
	e := &Engine{Device: r.Engine.Device, Sandbox: r.Engine.Sandbox}
	if _, err := e.ABTest(t.Context(), ABTestOptions{ModelA: firstBase(t, dir), ModelB: models[0], TestData: filepath.Join(dir, "rows.jsonl"), OutDir: t.TempDir(),
		Format: "instruction", MaxLength: 96, Test: config.Test{Resamples: 100}}, &said); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`planned memory: \d+ MB of .* in use: .*weights \d+ (MB|kB)`).MatchString(strings.Join(said.text, "\n")) {
		t.Errorf("said %q", said.text)
	}
}
