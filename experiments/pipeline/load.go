package pipeline

import (
	"triality/runtime/device"
	"triality/runtime/model"
	"triality/runtime/so8t"
)

// LoadModel puts a model folder, plain or SO8T, on a device, with the hooks that its graph needs.
func LoadModel(dev device.Device, dir string, st model.Storage, options ...model.Option) (model.Config, *model.DeviceParams, model.Hooks, error) {
	isSO8T, cfg, params, err := loadModel(dev, dir, st, options...)
	if isSO8T {
		return cfg, params, so8t.Hooks(), err
	}
	return cfg, params, model.Hooks{}, err
}

// loadModel is LoadModel, saying which kind of model it is.
func loadModel(dev device.Device, dir string, st model.Storage, options ...model.Option) (isSO8T bool, cfg model.Config, on *model.DeviceParams, err error) {
	if isSO8T, err = so8t.IsModel(dir); err != nil {
		return false, cfg, nil, invalid(err)
	}
	if isSO8T {
		m, err := so8t.Load(dir, options...)
		if err != nil {
			return true, cfg, nil, invalid(err)
		}
		defer m.Close()
		on, err = m.Upload(dev, st)
		return true, m.Source, on, err
	}
	if cfg, err = model.LoadConfig(dir, options...); err != nil {
		return false, cfg, nil, invalid(err)
	}
	weights, err := model.OpenFolder(dir, cfg)
	if err != nil {
		return false, cfg, nil, invalid(err)
	}
	defer weights.Close()
	on, err = model.UploadAs(dev, cfg, weights, st)
	return false, cfg, on, err
}

// modelLayout reads of a model folder, plain or SO8T, the configuration, and lists its weights; it does not look at
// their values.
func modelLayout(dir string, options ...model.Option) (isSO8T bool, cfg model.Config, specs []model.Spec, err error) {
	if isSO8T, err = so8t.IsModel(dir); err != nil {
		return false, cfg, nil, invalid(err)
	}
	if isSO8T {
		cfg, specs, err = so8t.Layout(dir, options...)
	} else if cfg, err = model.LoadConfig(dir, options...); err == nil {
		specs = cfg.Specs()
	}
	return isSO8T, cfg, specs, invalid(err)
}
