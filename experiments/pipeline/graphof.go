package pipeline

import (
	"path/filepath"

	"triality/experiments/config"
	stepkinds "triality/experiments/kinds"
	"triality/experiments/kinds/abtest"
	"triality/experiments/kinds/basemodel"
	"triality/runtime/model"
)

// GraphOf writes a pipeline as the YAML of the graph that has its results: a key in it is one that is not as its kind has it
// by default. No file but the base model's is looked for.
func GraphOf(cfg config.Pipeline) ([]byte, error) {
	var create *basemodel.Body
	if m := cfg.Model; m.Create.Shape != "" && !exists(filepath.Join(m.BaseModel, model.ConfigFile)) {
		create = &basemodel.Body{
			Folder: m.BaseModel, Create: m.Create, FormatType: cfg.Data.FormatType, Strict: cfg.Data.Strict, MaxLength: cfg.Data.MaxLength, Seed: cfg.Seeds().Train,
		}
		create.Rows = basemodel.Rows{ValRatio: cfg.Data.ValRatio, TestRatio: cfg.Data.TestRatio, Audit: cfg.Data.Audit}
		if split := cfg.Seeds().Split; split != create.Seed {
			create.Rows.Seed = split
		}
		if m.Create.Text == "" {
			create.Rows.InputPath = cfg.Data.InputPath
		}
	}
	g := joinedSteps(cfg, create, nil, nil)
	for _, s := range g.Steps {
		if b, ok := s.Body.(*abtest.Body); ok { // its inputs say it
			b.Test.ModelAPath, b.Test.ModelBPath, b.Test.TestDataPath = "", "", ""
		}
	}
	g.Settings = config.Settings{
		Name: cfg.Name, OutputDir: cfg.OutputDir, Seed: cfg.Seed, Device: cfg.Device, Devices: 1, Threads: cfg.Threads, MemoryLimit: cfg.MemoryLimit,
	}
	return g.Brief(stepkinds.All(nil))
}
