package so8t

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"triality/runtime/device/reference"
	"triality/runtime/model"
	"triality/runtime/safetensors"
)

// replaced is an SO8T folder made of a small model.
func replaced(t *testing.T, dtype safetensors.DType) (src, out string) {
	t.Helper()
	dev := reference.New()
	defer dev.Close()
	src, out = plainFolder(t, "qwen2", dtype), filepath.Join(t.TempDir(), "model")
	if _, err := Replace(t.Context(), dev, src, out, DefaultConfig(), probes, nil); err != nil {
		t.Fatal(err)
	}
	return src, out
}

func TestLayoutListsWhatTheFolderHolds(t *testing.T) {
	src, out := replaced(t, safetensors.F16)
	cfg, list, err := Layout(out)
	if err != nil || cfg.ModelType != "qwen2" {
		t.Fatalf("%v %v", cfg.ModelType, err)
	}
	files, err := safetensors.OpenModel(out)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	for _, s := range list {
		if info, ok := files.Info(s.Name); !ok || !slices.Equal(info.Shape, s.Shape) {
			t.Errorf("%s %v: the folder has %v, %t", s.Name, s.Shape, info.Shape, ok)
		}
	}
	if len(list) != len(files.Names()) {
		t.Errorf("%d weights, the folder has %d", len(list), len(files.Names()))
	}
	if _, _, err := Layout(src); err == nil || !strings.Contains(err.Error(), "no SO8T model") {
		t.Errorf("of a plain model: %v", err)
	}
}

func TestABaseHasThePlainModelsWeightsAlone(t *testing.T) {
	src, out := replaced(t, safetensors.BF16)
	cfg, err := model.LoadConfig(src)
	if err != nil {
		t.Fatal(err)
	}
	want, err := model.LoadParams(src, cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := loaded(t, out)
	if !reflect.DeepEqual(readAll(t, m.Base), want) {
		t.Error("the weights differ")
	}
	clone := m.Clone()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := model.Read(clone.Base, "model.norm.weight"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := straight(t, cfg, want).Close(); err != nil {
		t.Errorf("a model in memory: %v", err)
	}
}

func TestSavingThatFailsLeavesTheFolderAndTheModel(t *testing.T) {
	_, out := replaced(t, safetensors.BF16)
	before, err := os.ReadFile(filepath.Join(out, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	m := loaded(t, out)
	turn(m, 0.3)
	m.DTypes["model.norm.weight"] = safetensors.I8
	if err := m.SaveWeights(t.Context(), out); err == nil || !strings.Contains(err.Error(), "model.norm.weight") {
		t.Fatalf("got %v", err)
	}
	m.DTypes["model.norm.weight"] = safetensors.BF16
	good := m.Base
	m.Base = failing{good}
	m.Layers[0].Safe.Scale = 3
	if err := m.SaveWeights(t.Context(), out); !errors.Is(err, errBroken) {
		t.Fatalf("got %v", err)
	}
	after, err := os.ReadFile(filepath.Join(out, weightsFile))
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("the weights changed: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(out, ".*")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	m.Base = good
	if err := m.SaveWeights(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	if got := loaded(t, out).Layers[0].Safe.Scale; got != 3 {
		t.Errorf("scale %g", got)
	}
}

var errBroken = errors.New("broken disk")

// failing is a source whose last norm cannot be read.
type failing struct{ model.Source }

func (f failing) ReadAt(name string, dst []float32, at int) error {
	if name == "model.norm.weight" {
		return errBroken
	}
	return f.Source.ReadAt(name, dst, at)
}

func TestAWeightThatCannotBeReadIsNamedByEveryStep(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	m := turned(t, "llama", 0.2)
	m.Base = failing{m.Base}
	if _, err := m.Upload(dev, model.Storage{}); !errors.Is(err, errBroken) {
		t.Errorf("upload: %v", err)
	}
	if _, _, err := Train(t.Context(), dev, m, requests(1, 4), nil, t.TempDir(), trainConfig(), nil); !errors.Is(err, errBroken) {
		t.Errorf("train: %v", err)
	}
	folded, err := m.Folded()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := model.ReadAll(folded); !errors.Is(err, errBroken) {
		t.Errorf("burn-in: %v", err)
	}
}

// A folder may be replaced by what is made of it.
func TestAModelTakesItsOwnFolder(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	dir := plainFolder(t, "llama", safetensors.BF16)
	before, err := os.ReadFile(filepath.Join(dir, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Replace(t.Context(), dev, dir, dir, DefaultConfig(), probes, nil); err != nil {
		t.Fatal(err)
	}
	if is, err := IsModel(dir); err != nil || !is {
		t.Fatalf("%t %v", is, err)
	}
	if err := BurnIn(t.Context(), dir, dir, ""); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, weightsFile)); err != nil || !slices.Equal(before, after) {
		t.Errorf("the weights differ: %v", err)
	}
}
