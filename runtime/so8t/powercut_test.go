package so8t

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"triality/runtime/disk/powercut"
	"triality/runtime/safetensors"
)

func TestSavedWeightsOutliveAPowerCutAtAnyMoment(t *testing.T) {
	_, out := replaced(t, safetensors.BF16)
	read := func(dir string) []byte {
		raw, err := os.ReadFile(filepath.Join(dir, weightsFile))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	before, m := read(out), loaded(t, out)
	turn(m, 0.3)
	rec := powercut.Record(t, out)
	if err := m.SaveWeights(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	rec.Mark("saved")
	after := read(out)
	if bytes.Equal(before, after) {
		t.Fatal("nothing changed")
	}
	rec.Check(t, func(cut powercut.Cut) error {
		got, err := os.ReadFile(filepath.Join(cut.Dir, weightsFile))
		if err == nil && !bytes.Equal(got, after) && (cut.Marked("saved") || !bytes.Equal(got, before)) {
			return errors.New("the weights are neither those before nor those saved, or are old after the saving")
		}
		return err
	})
}
