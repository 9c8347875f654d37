package cli

import (
	flag "github.com/spf13/pflag"

	"triality/experiments/config"
	"triality/runtime/model"
)

// precision is the flags of commands without a configuration that say how a model is held.
type precision struct {
	device, limit, quantization string
	bf16, fp16, int8            bool
}

func (p *precision) register(fs *flag.FlagSet) {
	fs.StringVar(&p.device, "device", "auto", "auto, cpu or cuda")
	fs.StringVar(&p.limit, "device-memory-limit", "", "most memory of the card, such as `11GiB`")
	fs.BoolVar(&p.bf16, "bf16", false, "matrices and activations in bfloat16, on cuda")
	fs.BoolVar(&p.fp16, "fp16", false, "matrices and activations in float16, on cuda")
	fs.BoolVar(&p.int8, "load-in-8bit", false, "the layers' linear modules in int8")
	fs.StringVar(&p.quantization, "quantization", "none", "none, or fp8: the layers' linear modules in e4m3")
}

// config is the default configuration with what the flags say.
func (p *precision) config() (config.Pipeline, error) {
	cfg := config.Default()
	if p.bf16 && p.fp16 {
		return cfg, usagef("--bf16 and --fp16: choose one")
	}
	if p.quantization != "none" && p.quantization != config.FP8 {
		return cfg, usagef("--quantization: want none or fp8, have %q", p.quantization)
	}
	if p.int8 && p.quantization == config.FP8 {
		return cfg, usagef("--load-in-8bit and --quantization fp8: choose one")
	}
	cfg.Model.Quantization = p.quantization
	cfg.Device, cfg.Training.BF16, cfg.Training.FP16, cfg.Model.LoadIn8bit = p.device, p.bf16, p.fp16, p.int8
	if err := cfg.MemoryLimit.Parse(p.limit); err != nil {
		return cfg, usagef("--device-memory-limit: %v", err)
	}
	return cfg, nil
}

// unknownFlag lets a command that reads models go on without fields of config.json that nothing knows.
func (e *env) unknownFlag(fs *flag.FlagSet) {
	fs.BoolVar(&e.allowUnknown, "allow-unknown-config", false, "go on without the fields of config.json that the engine does not know, which else are refused by name")
}

// modelConfig is how models' config.json are read.
func (e *env) modelConfig() []model.Option {
	return []model.Option{model.AllowUnknown(e.allowUnknown)}
}
