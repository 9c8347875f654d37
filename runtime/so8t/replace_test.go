package so8t

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/reference"
	"triality/runtime/model"
	"triality/runtime/safetensors"
)

func TestReplacementKeepsTheFunctionAndWritesEverything(t *testing.T) {
	for _, family := range []string{"qwen2", "llama"} {
		for _, dtype := range []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16} {
			t.Run(family+" "+string(dtype), func(t *testing.T) {
				dev := cpu.New(cpu.Options{Threads: 2})
				defer dev.Close()
				src, out := plainFolder(t, family, dtype), filepath.Join(t.TempDir(), "model")
				rep, err := Replace(t.Context(), dev, src, out, DefaultConfig(), probes, nil)
				if err != nil {
					t.Fatal(err)
				}
				if rep.RelativeDifference > 1e-6 || rep.MaxLogit == 0 || rep.Probes != 3 || rep.ProbeTokens != 13 || rep.StorageType != dtype || rep.Tolerance != Tolerance(dtype) {
					t.Errorf("%+v", rep)
				}
				var stored Report
				raw, err := os.ReadFile(filepath.Join(out, "replacement.json"))
				if err == nil {
					err = json.Unmarshal(raw, &stored)
				}
				if err != nil || !reflect.DeepEqual(stored, rep) {
					t.Errorf("replacement.json: %v\n%+v", err, stored)
				}
				for _, name := range []string{"tokenizer.json", "chat_template.jinja"} {
					if raw, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(raw) != "content of "+name {
						t.Errorf("%s: %q %v", name, raw, err)
					}
				}
				fields, err := readFields(out)
				if err != nil || string(fields["model_type"]) != `"so8t"` || string(fields["source_model_type"]) != `"`+family+`"` || fields["auto_map"] == nil {
					t.Errorf("config.json: %v %v", fields, err)
				}
				if raw, err := os.ReadFile(filepath.Join(out, "modeling_so8t.py")); err != nil || !strings.Contains(string(raw), "class SO8TForCausalLM") {
					t.Errorf("modeling_so8t.py: %v", err)
				}
				sameBytes(t, src, out)
			})
		}
	}
}

// sameBytes checks that the base weights are stored bit for bit, and the gates under their names.
func sameBytes(t *testing.T, src, out string) {
	t.Helper()
	a, err := safetensors.OpenModel(src)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := safetensors.OpenModel(out)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, name := range a.Names() {
		x, err := a.Bytes(name)
		if err != nil {
			t.Fatal(err)
		}
		if y, err := b.Bytes(name); err != nil || !slices.Equal(x, y) {
			t.Errorf("%s differs: %v", name, err)
		}
	}
	for name, shape := range map[string][]int{
		"model.layers.1.so8t.safe.generator": {28}, "model.layers.0.so8t.cmd.scale": {1}, "safety_head.weight": {2, 16}, "authority_head.weight": {2, 16},
	} {
		if info, ok := b.Info(name); !ok || !slices.Equal(info.Shape, shape) || info.DType != safetensors.F32 {
			t.Errorf("%s: %v %t", name, info, ok)
		}
	}
	if want := len(a.Names()) + 2*4 + 2; len(b.Names()) != want {
		t.Errorf("%d tensors, want %d", len(b.Names()), want)
	}
}

func TestAModelReadsBackAsWritten(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	out := filepath.Join(t.TempDir(), "model")
	if _, err := Replace(t.Context(), dev, plainFolder(t, "qwen2", safetensors.BF16), out, DefaultConfig(), probes, nil); err != nil {
		t.Fatal(err)
	}
	m := loaded(t, out)
	base := readAll(t, m.Base)
	turn(m, 0.3)
	if err := m.SaveWeights(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	again := loaded(t, out)
	if !reflect.DeepEqual(again.extras(), m.extras()) || !reflect.DeepEqual(again.DTypes, m.DTypes) || !reflect.DeepEqual(again.Source, m.Source) {
		t.Error("the model differs")
	}
	if !reflect.DeepEqual(readAll(t, again.Base), base) || !reflect.DeepEqual(readAll(t, m.Base), base) {
		t.Error("the base weights differ")
	}
	if left, _ := filepath.Glob(filepath.Join(out, ".*")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestAModelWhoseLogitsDifferIsNotKept(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	m := turned(t, "llama", 0.5)
	rep := Report{Tolerance: 1e-5}
	plain := m.Clone()
	for i := range plain.Layers {
		plain.Layers[i] = identityLayer()
	}
	if err := rep.compare(t.Context(), dev, model.Storage{}, plain, m, probes, nil); !errors.Is(err, ErrDiffers) {
		t.Errorf("got %v", err)
	}
	// A failure inside staging leaves nothing behind.
	parent := t.TempDir()
	boom := errors.New("boom")
	err := stage(filepath.Join(parent, "out"), func(dir string) error {
		return errors.Join(writeBytes(filepath.Join(dir, "config.json"), nil), boom)
	})
	if entries, _ := os.ReadDir(parent); !errors.Is(err, boom) || len(entries) != 0 {
		t.Errorf("%v, left %v", err, entries)
	}
}

func TestReplaceRefuses(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	src := plainFolder(t, "llama", safetensors.F32)
	done := filepath.Join(t.TempDir(), "model")
	if _, err := Replace(t.Context(), dev, src, done, DefaultConfig(), probes, nil); err != nil {
		t.Fatal(err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.doc"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bad := DefaultConfig()
	bad.PETLambda = -1
	tests := map[string]struct {
		src, out string
		cfg      Config
		probes   [][]int32
		want     string
	}{
		"an SO8T model":                  {done, filepath.Join(t.TempDir(), "x"), DefaultConfig(), probes, "already"},
		"no probes":                      {src, filepath.Join(t.TempDir(), "x"), DefaultConfig(), nil, "no probe"},
		"a folder with other files":      {src, full, DefaultConfig(), probes, "thesis.doc"},
		"a bad configuration":            {src, filepath.Join(t.TempDir(), "x"), bad, probes, "pet_lambda"},
		"a folder without a model":       {t.TempDir(), filepath.Join(t.TempDir(), "x"), DefaultConfig(), probes, "config.json"},
		"a probe outside the vocabulary": {src, filepath.Join(t.TempDir(), "x"), DefaultConfig(), [][]int32{{99}}, "probe 0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Replace(t.Context(), dev, tt.src, tt.out, tt.cfg, tt.probes, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(filepath.Join(tt.out, "model.safetensors")); err == nil {
				t.Error("a model was left")
			}
		})
	}
	if _, err := Replace(t.Context(), dev, src, done, DefaultConfig(), probes, nil); err != nil {
		t.Errorf("replacing an earlier result: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(done), ".*")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestAHiddenSizeThatIsNotInBlocksIsRefused(t *testing.T) {
	cfg, p := plainModel(t, "llama")
	cfg.HiddenSize = 20
	if _, err := New(cfg, p, nil); err == nil || !strings.Contains(err.Error(), "hidden_size 20") {
		t.Errorf("got %v", err)
	}
}

func TestBurningInGivesAPlainModelWithTheSameLogits(t *testing.T) {
	for _, family := range []string{"qwen2", "llama"} {
		t.Run(family, func(t *testing.T) {
			eachDevice(t, func(t *testing.T, dev device.Device) {
				src := filepath.Join(t.TempDir(), "so8t")
				if _, err := Replace(t.Context(), dev, plainFolder(t, family, safetensors.F32), src, DefaultConfig(), probes, nil); err != nil {
					t.Fatal(err)
				}
				m := loaded(t, src)
				before := taskLogits(t, dev, m, Hooks())
				turn(m, 0.5)
				if err := m.SaveWeights(t.Context(), src); err != nil {
					t.Fatal(err)
				}
				out := filepath.Join(t.TempDir(), "plain")
				if err := BurnIn(t.Context(), src, out, ""); err != nil {
					t.Fatal(err)
				}
				cfg, err := model.LoadConfig(out)
				if err != nil {
					t.Fatal(err)
				}
				p, err := model.LoadParams(out, cfg)
				if err != nil {
					t.Fatal(err)
				}
				want := taskLogits(t, dev, m, Hooks())
				got := taskLogits(t, dev, straight(t, cfg, p), model.Hooks{})
				if d := relative(got, want); d > 1e-5 {
					t.Errorf("relative difference %g", d)
				}
				if d := relative(before, want); d < 0.01 {
					t.Errorf("the gates change the logits by %g only: the test shows little", d)
				}
				if _, err := os.Stat(filepath.Join(out, "tokenizer.json")); err != nil {
					t.Error(err)
				}
				if fields, _ := readFields(out); fields["source_model_type"] != nil || fields["auto_map"] != nil || string(fields["model_type"]) != `"`+family+`"` {
					t.Errorf("config.json %v", fields)
				}
			})
		})
	}
}

func TestTheOrderOfTheTwoRotationsMatters(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	m := turned(t, "llama", 0.5)
	swapped := m.Clone()
	for i := range swapped.Layers {
		swapped.Layers[i].Safe, swapped.Layers[i].Cmd = swapped.Layers[i].Cmd, swapped.Layers[i].Safe
	}
	if d := relative(taskLogits(t, dev, swapped, Hooks()), taskLogits(t, dev, m, Hooks())); d < 0.01 {
		t.Errorf("swapping them changes the logits by %g", d)
	}
	folded, err := swapped.Folded()
	if err != nil {
		t.Fatal(err)
	}
	if d := relative(taskLogits(t, dev, straight(t, m.Source, folded), model.Hooks{}), taskLogits(t, dev, m, Hooks())); d < 0.01 {
		t.Errorf("burning in the swapped order changes the logits by %g", d)
	}
}

func TestBurningInTheIdentityKeepsEveryBit(t *testing.T) {
	cfg, p := plainModel(t, "qwen2")
	m, err := New(cfg, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	folded, err := m.Folded()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(readAll(t, folded), p) {
		t.Error("the weights differ")
	}
}

func TestAModelIsReplacedThroughALinkAndOtherFoldersAreNot(t *testing.T) {
	fill := func(dir string) error { return writeBytes(filepath.Join(dir, "config.json"), []byte("{}")) }
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"a model's folder":          {[]string{"config.json", "tokenizer.json", "additional_chat_templates/rag.jinja", "LICENSE"}, ""},
		"one with a file of one's":  {[]string{"config.json", "notes.txt"}, "notes.txt"},
		"one with a folder of such": {[]string{"config.json", "sub/main.py"}, "sub/main.py"},
	} {
		dir := t.TempDir()
		for _, f := range c.files {
			path := filepath.Join(dir, "there", filepath.FromSlash(f))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		link := filepath.Join(dir, "link")
		if err := os.Symlink("there", link); err != nil {
			t.Skip("no links here: ", err)
		}
		err := stage(link, fill)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
