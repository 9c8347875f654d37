package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"

	"triality/runtime/metricabi"
)

// Report is what Validate found.
type Report struct {
	OK          bool                   `json:"ok"` // every check is
	Module      *ModuleInfo            `json:"module,omitempty"`
	Description *metricabi.Description `json:"description,omitempty"`
	Fuel        int64                  `json:"fuel,omitempty"` // used by the dry run
	WaitSeconds float64                `json:"wait_seconds"`   // for other validations to end
	Checks      []Check                `json:"checks"`
}

// Check is one check; those after a failed one that they need are not made.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Log    string `json:"log,omitempty"` // what the module wrote meanwhile
}

// Names of the checks, in the order they are made.
const (
	CheckPreflight   = "preflight"   // the bytes are a module of the right shape
	CheckDescribe    = "describe"    // it describes itself
	CheckDryRun      = "dry_run"     // it evaluates a small table
	CheckRepeat      = "repeat"      // a fresh instance returns the same bytes
	CheckStateless   = "stateless"   // a used instance returns the same results
	CheckInterpreter = "interpreter" // wazero's interpreter agrees with its compiler
	CheckSystem      = "system"      // what this machine lacked, where it did; never the module's fault
)

// Validate tries a module out before it is accepted. What is wrong with the
// module is in the report; the error is for what is not the module's doing: a
// context that ended, a worker that could not be started, too many that wait.
func (h *Host) Validate(ctx context.Context, wasm []byte) (*Report, error) {
	rep := &Report{}
	m, err := h.Load(wasm)
	if rep.check(CheckPreflight, "", err) != nil {
		return rep, nil
	}
	rep.Module = m.info
	err = h.validateQuickly(ctx, m, rep)
	if errors.Is(err, errUnfinished) {
		err = h.validateSlowly(ctx, m, rep)
	}
	var e *Error
	if errors.As(err, &e) && (e.Code == ErrCanceled || e.Code == ErrBusy || e.Code == ErrWorker && beforeTheModule[e.Phase]) {
		return nil, err
	}
	rep.OK = err == nil && !slices.ContainsFunc(rep.Checks, func(c Check) bool { return !c.OK })
	rep.Checks[0].Detail = fmt.Sprintf("%d bytes, %d functions, imports %q", m.info.Size, m.info.Functions, m.info.Imports)
	if rep.WaitSeconds >= 0.1 {
		rep.Checks[0].Detail += fmt.Sprintf("; waited %.1f s for other modules", rep.WaitSeconds)
	}
	return rep, nil
}

// errUnfinished is the outcome of a first part that was not enough to tell.
var errUnfinished = errors.New("validation unfinished")

func (h *Host) validateQuickly(ctx context.Context, m *Module, rep *Report) error {
	wait, err := h.trials.quick.enter(ctx, h.life, len(m.wasm))
	if err != nil {
		return err
	}
	defer h.trials.quick.leave()
	rep.WaitSeconds = wait.Seconds()
	first := *rep
	first.Checks = slices.Clone(rep.Checks)
	short, cancel := context.WithTimeout(ctx, quickTime)
	defer cancel()
	fuel := min(quickFuel, h.o.TrialFuel)
	err = h.validate(short, m, fuel, &first)
	if err != nil && ctx.Err() == nil && short.Err() != nil || fuel < h.o.TrialFuel && errors.Is(err, ErrFuel) {
		return errUnfinished
	}
	*rep = first
	return err
}

func (h *Host) validateSlowly(ctx context.Context, m *Module, rep *Report) error {
	wait, err := h.trials.slow.enter(ctx, h.life, len(m.wasm))
	if err != nil {
		return err
	}
	defer h.trials.slow.leave()
	rep.WaitSeconds += wait.Seconds()
	return h.validate(ctx, m, h.o.TrialFuel, rep)
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
	var e *Error
	if errors.As(err, &e) {
		c.Log = e.Log
	}
	r.Checks = append(r.Checks, c)
	return err
}

func (h *Host) validate(ctx context.Context, m *Module, fuel int64, rep *Report) error {
	table, results, err := h.validateCompiler(ctx, m, fuel, rep)
	if err != nil {
		return err
	}
	return h.validateInterpreter(ctx, m, fuel, rep, table, results)
}

// trial starts a worker for a validation, which has a place already.
func (h *Host) trial(ctx context.Context, m *Module, interpreter bool, fuel int64) (*session, error) {
	place := make(chan struct{}, 1)
	place <- struct{}{}
	return h.open(ctx, m, place, interpreter, fuel)
}

// validateCompiler makes the checks that need one worker, and returns the
// table and the results of the dry run.
func (h *Host) validateCompiler(ctx context.Context, m *Module, fuel int64, rep *Report) (table []byte, results []metricabi.Result, err error) {
	s, err := h.trial(ctx, m, false, fuel)
	if err != nil {
		return nil, nil, rep.check(CheckDescribe, "", err)
	}
	defer s.close()
	if len(s.notes) > 0 {
		rep.check(CheckSystem, strings.Join(s.notes, "; "), nil)
	}
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
	first, results, u, err := s.trial(ctx, frameEval, d, table)
	rep.Fuel = u.Fuel
	if rep.check(CheckDryRun, fmt.Sprintf("%d results for %d rows, fuel %d", len(results), trialRows, rep.Fuel), err) != nil {
		return nil, nil, err
	}
	rep.Checks[len(rep.Checks)-1].Log = u.Log
	again, _, u, err := s.trial(ctx, frameEval, d, table)
	if err == nil && !bytes.Equal(first, again) {
		err = errors.New("two fresh instances returned different bytes for the same table")
	}
	if err == nil && u.Fuel != rep.Fuel {
		err = fmt.Errorf("two fresh instances used %d and %d fuel for the same table", rep.Fuel, u.Fuel)
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
func (h *Host) validateInterpreter(ctx context.Context, m *Module, fuel int64, rep *Report, table []byte, want []metricabi.Result) error {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		rep.check(CheckInterpreter, "not compared: there is no compiler for "+runtime.GOARCH, nil)
		return nil
	}
	s, err := h.trial(ctx, m, true, fuel)
	if err != nil {
		return rep.check(CheckInterpreter, "", err)
	}
	defer s.close()
	_, got, u, err := s.trial(ctx, frameEval, rep.Description, table)
	if err == nil {
		err = same(want, got, "the compiler", "the interpreter")
	}
	if err == nil && u.Fuel != rep.Fuel {
		err = fmt.Errorf("the compiler used %d fuel, the interpreter %d", rep.Fuel, u.Fuel)
	}
	return rep.check(CheckInterpreter, "compiler and interpreter agree to the bit", err)
}

// trial evaluates the synthetic table; of the usage it fills fuel and log.
func (s *session) trial(ctx context.Context, kind byte, d *metricabi.Description, table []byte) ([]byte, []metricabi.Result, Usage, error) {
	block, rep, err := s.call(ctx, s.h.o.Timeout, kind, table)
	if err != nil {
		return nil, nil, Usage{}, err
	}
	results, err := s.h.decode(d, block, trialRows, rep.Log)
	return block, results, Usage{Fuel: rep.Fuel, Log: rep.Log}, err
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
