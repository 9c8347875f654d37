package train

import (
	"bytes"
	"context"
	"testing"

	"triality/runtime/device"
	"triality/runtime/lora"
)

func TestRecomputationChangesNoByteOfTheResult(t *testing.T) {
	dora := testLoRA
	dora.DoRA = true
	for name, c := range map[string]*lora.Config{"lora": &testLoRA, "dora": &dora, "ends": &testEnds, "whole model": nil} {
		t.Run(name, func(t *testing.T) {
			devices(t, func(t *testing.T, dev device.Device) {
				cfg, p := testModel(t, "qwen2")
				opt := languageOptions(c)
				opt.MaxSteps = 3
				var want []byte
				for _, again := range []string{"", RecomputeNone, RecomputeSelective, RecomputeLayer} {
					dir := t.TempDir()
					opt.Recompute = again
					res, err := Run(context.Background(), dev, cfg, p, sentences(1, 20), nil, dir, opt, nil)
					if err != nil {
						t.Fatal(err)
					}
					got := fingerprint(t, &res.Result, dir)
					if want == nil {
						want = got
					}
					if !bytes.Equal(got, want) {
						t.Errorf("%s: the result differs", again)
					}
				}
			})
		})
	}
}
