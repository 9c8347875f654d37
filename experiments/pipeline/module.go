package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"triality/experiments"
	"triality/experiments/kinds/abtest"
	"triality/runtime/disk"
	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
	"triality/runtime/wallclock"
)

// Module is a WebAssembly metric to run in an A/B test.
type Module = abtest.Module

// maxModule is the most bytes of a module's file, as of an upload.
const maxModule = 32 << 20

// ReadModule reads a metric module's file.
func ReadModule(path string, params map[string]any, timeout time.Duration) (Module, error) {
	wasm, err := disk.ReadRegular(path, maxModule)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return Module{}, experiments.Errorf(experiments.CodeNotFound, "metric module %s: no such file; `task metrics` builds the shipped ones", path)
		}
		return Module{}, experiments.Errorf(experiments.CodeInvalid, "metric module: %w", err)
	}
	sum := sha256.Sum256(wasm)
	return Module{Name: path, SHA256: hex.EncodeToString(sum[:]), Wasm: wasm, Params: params, Timeout: timeout}, nil
}

// EvaluateModule runs one metric over an A/B test's rows. A metric that fails has its reason in the
// result, and the test goes on.
func (e *Engine) EvaluateModule(ctx context.Context, m Module, r *experiments.ABResult) (out experiments.ModuleResult) {
	out = experiments.ModuleResult{Name: m.Name, SHA256: m.SHA256, Params: m.Params}
	start := time.Now()
	defer func() { out.WallMS = float64(time.Since(start).Microseconds()) / 1e3 }()
	d, err := e.Sandbox.Describe(ctx, m.Wasm)
	if err == nil {
		out.Name, out.Version = d.Name, d.Version
	}
	out.Key, err = moduleKey(&m, d, err)
	if err != nil {
		moduleFailed(&out, err)
		return out
	}
	table, err := metricTable(r.Samples, d.Columns)
	if err == nil {
		err = lacks(d, r.Samples, table)
	}
	if err != nil {
		out.Error = err.Error()
		return out
	}
	outputs, usage, err := e.call(ctx, m, d, table)
	out.Outputs, out.Log, out.Notes = outputs, usage.Log, usage.Notes
	if err != nil {
		moduleFailed(&out, err)
		return out
	}
	for _, by := range m.Slices {
		out.Slices = append(out.Slices, e.slices(ctx, m, d, table, r.Samples, by)...)
	}
	return out
}

// call runs the metric once.
func (e *Engine) call(ctx context.Context, m Module, d *metricabi.Description, table metricabi.Table) ([]experiments.MetricOutput, sandbox.Usage, error) {
	if m.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.Timeout)
		defer cancel()
	}
	results, usage, err := e.Sandbox.Evaluate(ctx, m.Wasm, table, m.Params)
	if err != nil {
		return nil, usage, err
	}
	out := make([]experiments.MetricOutput, len(results))
	for i, res := range results {
		described, arm := d.OutputOf(res.Name) // there is one: the sandbox has checked
		if described.Arm == metricabi.ArmEach && !slices.Contains(table.Arms(), arm) {
			return nil, usage, fmt.Errorf("metric results: %q is of arm %s, and there are the arms %v", res.Name, arm, table.Arms())
		}
		o := experiments.MetricOutput{Name: res.Name, Kind: res.Kind.String(), Values: res.Values, Direction: string(described.Direction), Level: described.Level, Groups: res.Groups}
		for j, undefined := range res.Undefined {
			if undefined {
				o.Values[j] = math.NaN()
			}
		}
		out[i] = o
	}
	return out, usage, nil
}

// moduleFailed writes down why a module gave nothing.
func moduleFailed(out *experiments.ModuleResult, err error) {
	out.Error, out.System = err.Error(), errors.Is(err, sandbox.ErrWorker)
	if e := (*sandbox.Error)(nil); errors.As(err, &e) && e.Log != "" {
		out.Log = e.Log
	}
}

// moduleKey is the key of a module's result; one that failed before its parameters were understood has one all the same. d is
// nil where failed says why.
func moduleKey(m *Module, d *metricabi.Description, failed error) (string, error) {
	if failed == nil {
		params, err := d.CanonicalParameters(m.Params)
		if err == nil {
			return experiments.ModuleKey(m.SHA256, params), nil
		}
		failed = err
	}
	key, err := experiments.GivenKey(m.SHA256, m.Params)
	return key, errors.Join(failed, err)
}

// CheckModule validates an uploaded module and gives its record; a module that fails has the checks in
// the error's details.
func CheckModule(ctx context.Context, host *sandbox.Host, wasm []byte) (experiments.Module, error) {
	report, err := host.Validate(ctx, wasm)
	if errors.Is(err, sandbox.ErrBusy) || errors.Is(err, sandbox.ErrWorker) {
		return experiments.Module{}, experiments.Errorf(experiments.CodeUnavailable, "the module was not validated, which is no fault of its own: %w", err)
	}
	if err != nil {
		return experiments.Module{}, err
	}
	checks := make([]experiments.Check, len(report.Checks))
	failed := ""
	for i, c := range report.Checks {
		checks[i] = experiments.Check(c)
		if !c.OK && failed == "" {
			failed = c.Name + ": " + c.Detail
		}
	}
	if !report.OK {
		e := experiments.Errorf(experiments.CodeInvalid, "the module was refused: %s", failed)
		e.Details = map[string]any{"checks": checks}
		return experiments.Module{}, e
	}
	return experiments.Module{
		SHA256: report.Module.SHA256, Name: report.Description.Name, Version: report.Description.Version,
		Size: int64(len(wasm)), UploadedAt: wallclock.Now().UTC(), Description: *report.Description, Checks: checks,
	}, nil
}
