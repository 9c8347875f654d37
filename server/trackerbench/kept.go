package trackerbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"triality/experiments"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/server/store"
)

// keptFile says, in a data folder that is kept, what was made in it.
const keptFile = "bench.json"

// Made is a data folder that was filled, and the ids of what is in it.
type Made struct {
	Shape   shape   `json:"shape"`
	Many    string  `json:"many"`    // experiment of many runs
	Wide    string  `json:"wide"`    // experiment of runs with many columns
	Long    string  `json:"long"`    // run with the long curve
	Curves  string  `json:"curves"`  // experiment of runs with 24 curves each; "" where none were asked for
	Hundred string  `json:"hundred"` // experiment of a hundred runs with a curve each; likewise
	Seconds float64 `json:"seconds_to_make"`

	columns []string // keys of the runs with many
}

// Fill makes the data in dir, or finds that it holds just these.
func Fill(ctx context.Context, dir string, o Options) (Made, error) {
	o = o.withDefaults()
	name := filepath.Join(dir, keptFile)
	raw, err := os.ReadFile(name)
	if err == nil {
		var m Made
		if err := json.Unmarshal(raw, &m); err != nil {
			return Made{}, fmt.Errorf("%s: %w", name, err)
		}
		if have, want := m.Shape, o.shape(); have != want {
			return Made{}, experiments.Errorf(experiments.CodeInvalid, "%s holds data of other figures (%+v, want %+v): give another folder, or remove it", dir, have, want)
		}
		m.columns = columnKeys(o)
		return m, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Made{}, err
	}
	if _, err := os.Stat(filepath.Join(dir, store.FileName)); err == nil {
		return Made{}, experiments.Errorf(experiments.CodeInvalid, "%s holds a store that this did not make, or not to its end: give another folder", dir)
	}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return Made{}, err
	}
	o.Progress(fmt.Sprintf("making %d runs of %d metrics and %d parameters", o.Runs, o.Metrics, o.Params))
	start := time.Now()
	m, err := fill(ctx, dir, o)
	if err != nil {
		return m, fmt.Errorf("make the data: %w", err)
	}
	m.Shape, m.Seconds = o.shape(), time.Since(start).Seconds()
	if raw, err = json.Marshal(m); err != nil {
		return m, err
	}
	return m, atomicfile.WriteFile(name, 0o600, func(w io.Writer) error { _, err := w.Write(raw); return err })
}
