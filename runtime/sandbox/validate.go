package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"triality/runtime/metricabi"
)

// Report is what Validate found.
type Report struct {
	OK          bool                   `json:"ok"` // every check is
	Module      *ModuleInfo            `json:"module,omitempty"`
	Description *metricabi.Description `json:"description,omitempty"`
	Fuel        int64                  `json:"fuel,omitempty"` // used by the dry run
	Checks      []Check                `json:"checks"`
}

// Check is one check; those after a failed one that they need are not made.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Names of the checks, in the order they are made.
const (
	CheckPreflight   = "preflight"   // the bytes are a module of the right shape
	CheckDescribe    = "describe"    // it describes itself
	CheckDryRun      = "dry_run"     // it evaluates a small table
	CheckRepeat      = "repeat"      // a fresh instance returns the same bytes
	CheckStateless   = "stateless"   // a used instance returns the same results
	CheckInterpreter = "interpreter" // wazero's interpreter agrees with its compiler
)

// Validate tries a module out before it is accepted. What is wrong with the
// module is in the report; the error is for what is not the module's doing: a
// context that ended, a worker that could not be started.
func (h *Host) Validate(ctx context.Context, wasm []byte) (*Report, error) {
	rep := &Report{}
	err := h.validate(ctx, wasm, rep)
	var e *Error
	if errors.As(err, &e) && (e.Code == ErrCanceled || e.Code == ErrWorker && beforeTheModule[e.Phase]) {
		return nil, err
	}
	rep.OK = err == nil && !slices.ContainsFunc(rep.Checks, func(c Check) bool { return !c.OK })
	return rep, nil
}

// beforeTheModule are the phases in which nothing of the module has run yet, so
// that a worker's end is not its doing.
var beforeTheModule = map[string]bool{"": true, "start": true, "compile": true}

// check appends a check's outcome and passes its error on.
func (r *Report) check(name, detail string, err error) error {
	c := Check{Name: name, OK: err == nil, Detail: detail}
	if err != nil {
		c.Detail = err.Error()
	}
	r.Checks = append(r.Checks, c)
	return err
}

func (h *Host) validate(ctx context.Context, wasm []byte, rep *Report) error {
	m, err := h.Load(wasm)
	if rep.check(CheckPreflight, "", err) != nil {
		return err
	}
	select {
	case h.trials <- struct{}{}:
		defer func() { <-h.trials }()
	case <-h.life.Done():
		return &Error{Code: ErrCanceled, Err: errClosed}
	case <-ctx.Done():
		return canceled(ctx, "")
	}
	info := m.info
	rep.Module = info
	rep.Checks[0].Detail = fmt.Sprintf("%d bytes, %d functions, imports %q", info.Size, info.Functions, info.Imports)
	table, results, err := h.validateCompiler(ctx, m, rep)
	if err != nil {
		return err
	}
	return h.validateInterpreter(ctx, m, rep, table, results)
}

// validateCompiler makes the checks that need one worker, and returns the
// table and the results of the dry run.
func (h *Host) validateCompiler(ctx context.Context, m *Module, rep *Report) (table []byte, results []metricabi.Result, err error) {
	s, err := h.acquire(ctx, m, false)
	if err != nil {
		return nil, nil, rep.check(CheckDescribe, "", err)
	}
	defer func() { h.release(s, err) }()
	d, err := s.describe(ctx)
	if err != nil {
		return nil, nil, rep.check(CheckDescribe, "", err)
	}
	rep.Description = d
	rep.check(CheckDescribe, fmt.Sprintf("%s %s, %d outputs", d.Name, d.Version, len(d.Outputs)), nil)

	trial, size, err := h.input(d, SyntheticTable(d, trialRows), trialParameters(d))
	if err != nil {
		return nil, nil, rep.check(CheckDryRun, "", err)
	}
	table = metricabi.EncodeTo(make([]byte, 0, size), trial)
	first, results, fuel, err := s.trial(ctx, frameEval, d, table)
	rep.Fuel = fuel
	if rep.check(CheckDryRun, fmt.Sprintf("%d results for %d rows, fuel %d", len(results), trialRows, fuel), err) != nil {
		return nil, nil, err
	}
	again, _, refuel, err := s.trial(ctx, frameEval, d, table)
	if err == nil && !bytes.Equal(first, again) {
		err = errors.New("two fresh instances returned different bytes for the same table")
	}
	if err == nil && refuel != fuel {
		err = fmt.Errorf("two fresh instances used %d and %d fuel for the same table", fuel, refuel)
	}
	if rep.check(CheckRepeat, "two fresh instances returned the same bytes", err) != nil {
		return nil, nil, err
	}
	_, used, _, err := s.trial(ctx, frameEvalWarm, d, table)
	if err == nil {
		err = same(results, used, "the first call of an instance", "its second call")
	}
	return table, results, rep.check(CheckStateless, "a second call of one instance returned the same results", err)
}

// validateInterpreter runs the table through the other engine: a difference is
// a miscompilation or a value the standard leaves open, such as NaN's bits.
func (h *Host) validateInterpreter(ctx context.Context, m *Module, rep *Report, table []byte, want []metricabi.Result) error {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		rep.check(CheckInterpreter, "not compared: there is no compiler for "+runtime.GOARCH, nil)
		return nil
	}
	s, err := h.acquire(ctx, m, true)
	if err != nil {
		return rep.check(CheckInterpreter, "", err)
	}
	defer s.close()
	_, got, fuel, err := s.trial(ctx, frameEval, rep.Description, table)
	if err == nil {
		err = same(want, got, "the compiler", "the interpreter")
	}
	if err == nil && fuel != rep.Fuel {
		err = fmt.Errorf("the compiler used %d fuel, the interpreter %d", rep.Fuel, fuel)
	}
	return rep.check(CheckInterpreter, "compiler and interpreter agree to the bit", err)
}

// trial evaluates the synthetic table.
func (s *session) trial(ctx context.Context, kind byte, d *metricabi.Description, table []byte) ([]byte, []metricabi.Result, int64, error) {
	block, rep, err := s.call(ctx, s.h.o.Timeout, kind, table)
	if err != nil {
		return nil, nil, 0, err
	}
	results, err := s.h.decode(d, block, trialRows, rep.Log)
	return block, results, rep.Fuel, err
}

// same compares two sets of results bit by bit.
func same(a, b []metricabi.Result, nameA, nameB string) error {
	if len(a) != len(b) {
		return fmt.Errorf("%s returned %d results, %s %d", nameA, len(a), nameB, len(b))
	}
	for i := range a {
		x, y := a[i], b[i]
		if x.Name != y.Name || x.Kind != y.Kind || len(x.Values) != len(y.Values) {
			return fmt.Errorf("result %d: %s returned %s %q of %d values, %s %s %q of %d", i,
				nameA, x.Kind, x.Name, len(x.Values), nameB, y.Kind, y.Name, len(y.Values))
		}
		if !slices.Equal(x.Groups, y.Groups) {
			return fmt.Errorf("%q: %s returned the groups %q, %s %q", x.Name, nameA, x.Groups, nameB, y.Groups)
		}
		for j := range x.Values {
			if x.Defined(j) != y.Defined(j) || math.Float64bits(x.Values[j]) != math.Float64bits(y.Values[j]) {
				return fmt.Errorf("%q, value %d: %s returned %v, %s %v", x.Name, j, nameA, x.Values[j], nameB, y.Values[j])
			}
		}
	}
	return nil
}
