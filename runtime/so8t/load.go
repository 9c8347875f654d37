package so8t

import (
	"errors"
	"os"
	"path/filepath"

	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/runtime/model"
	"triality/runtime/safetensors"
)

// Load opens an SO8T model folder. The base weights stay in its files until they are read: Close the
// model when done.
func Load(dir string, options ...model.Option) (_ *Model, err error) {
	cfg, _, err := Layout(dir, options...)
	if err != nil {
		return nil, err
	}
	dtypes, err := storage(dir, cfg)
	if err != nil {
		return nil, err
	}
	w := &stored{dir: dir, cfg: cfg}
	if err := w.open(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	m, err := New(cfg, w, dtypes)
	if err != nil {
		return nil, err
	}
	for _, s := range specs(cfg) {
		p, err := model.Read(w, s.Name)
		if err != nil {
			return nil, err
		}
		if err := m.setExtra(s.Name, p.Data); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Layout reads of an SO8T model folder the configuration of its plain model, and lists every weight that
// the folder must have: the plain model's, then the gates and heads. It does not look at the weights.
func Layout(dir string, options ...model.Option) (model.Config, []model.Spec, error) {
	cfg, err := loadConfig(dir, options...)
	if err != nil {
		return model.Config{}, nil, err
	}
	if err := checkHidden(cfg); err != nil {
		return model.Config{}, nil, err
	}
	return cfg, append(cfg.Specs(), specs(cfg)...), nil
}

// Close closes the files of a model that was loaded, and with them those of its clones. A model that
// New made has none: its base weights stay the caller's.
func (m *Model) Close() error {
	if w, ok := m.Base.(*stored); ok {
		return w.Close()
	}
	return nil
}

// stored is the plain model's weights in an SO8T model folder, read when they are asked for.
type stored struct {
	*model.Folder // with the gates and heads, which Names leaves out
	dir           string
	cfg           model.Config
}

// open opens the folder as it is now.
func (w *stored) open() error {
	f, err := model.OpenFolder(w.dir, w.cfg, specs(w.cfg)...)
	if err != nil {
		return err
	}
	w.Folder = f
	return nil
}

// Names lists the plain model's weights in the order of the computation.
func (w *stored) Names() []string {
	all := w.Folder.Names()
	return all[:len(all)-len(specs(w.cfg))]
}

// in says whether dir is the folder that the weights are read from.
func (w *stored) in(dir string) bool {
	a, err := disk.Stat(w.dir)
	if err != nil {
		return false
	}
	b, err := disk.Stat(dir)
	return err == nil && os.SameFile(a, b)
}

// replace puts other weights into the folder, which may be made of those that are there, and opens it
// anew. Windows gives no file the name of an open one, so the new file is written whole under another
// name first. Where it fails before the rename the folder is as it was.
func (w *stored) replace(list []safetensors.Tensor) error {
	next := filepath.Join(w.dir, "."+weightsFile+".next"+atomicfile.Suffix)
	if err := saveTensors(next, list); err != nil {
		return err
	}
	err := w.Close()
	if err == nil {
		err = disk.Rename(next, filepath.Join(w.dir, weightsFile))
	}
	if err != nil {
		return errors.Join(err, disk.Remove(next), w.open())
	}
	return errors.Join(disk.SyncDir(w.dir), w.open())
}
