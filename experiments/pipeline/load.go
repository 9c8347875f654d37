package pipeline

import (
	"triality/runtime/device"
	"triality/runtime/model"
	"triality/runtime/so8t"
)

// LoadModel puts a model folder, plain or SO8T, on a device, with the hooks that its graph needs.
func LoadModel(dev device.Device, dir string, st model.Storage) (model.Config, *model.DeviceParams, model.Hooks, error) {
	m, cfg, params, err := loadModel(dev, dir, st)
	if m != nil {
		return cfg, params, so8t.Hooks(), err
	}
	return cfg, params, model.Hooks{}, err
}

// loadModel is LoadModel with the SO8T model itself, nil for a plain one.
func loadModel(dev device.Device, dir string, st model.Storage) (m *so8t.Model, cfg model.Config, on *model.DeviceParams, err error) {
	isSO8T, err := so8t.IsModel(dir)
	if err != nil {
		return nil, cfg, nil, invalid(err)
	}
	if isSO8T {
		if m, err = so8t.Load(dir); err != nil {
			return nil, cfg, nil, invalid(err)
		}
		on, err = m.Upload(dev, st)
		return m, m.Source, on, err
	}
	if cfg, err = model.LoadConfig(dir); err != nil {
		return nil, cfg, nil, invalid(err)
	}
	weights, err := model.OpenFolder(dir, cfg)
	if err != nil {
		return nil, cfg, nil, invalid(err)
	}
	defer weights.Close()
	on, err = model.UploadAs(dev, cfg, weights, st)
	return nil, cfg, on, err
}
