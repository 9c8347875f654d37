package sandbox_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

func forever() *wasmtest.Metric {
	return wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Cat(wasmtest.Forever, m.Eval.Body) })
}

func TestAnUploadWaitsForTheFirstPartOfFuelBurnersOnly(t *testing.T) {
	before := runtime.NumGoroutine()
	// A burner that neither fuel nor time stops while this test looks.
	h := host(t, func(o *sandbox.Options) {
		o.MaxWorkers, o.Timeout, o.Fuel, o.TrialFuel = 2, 10*time.Minute, 1<<62, 1<<62
	})
	ctx, stop := context.WithCancel(context.Background())
	const burners = 4
	ended := make(chan error, burners+2)
	for range burners {
		go func() {
			_, err := h.Validate(ctx, forever().Bytes())
			ended <- err
		}()
	}
	for range 2 { // and every place of evaluations is taken
		go func() {
			_, _, err := h.Evaluate(ctx, forever().Bytes(), table(1), nil)
			ended <- err
		}()
	}
	for len(workers(t)) < 3 {
		time.Sleep(5 * time.Millisecond)
	}
	rep, err := h.Validate(context.Background(), wasmtest.Good().Bytes())
	if err != nil || !rep.OK {
		t.Errorf("%+v %v", rep, err)
	}
	if len(ended) > 0 {
		t.Errorf("a burner had ended by then: %v", <-ended)
	}
	stop()
	for range burners + 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	leftNothing(t, before, h)
}

func TestAModuleThatNeedsMoreThanTheFirstPartIsValidatedAllTheSame(t *testing.T) {
	m := withEval(loopOf(50_000_000, nil)) // seven instructions a turn
	h := host(t, func(o *sandbox.Options) { o.Timeout = 10 * time.Minute })
	rep, err := h.Validate(context.Background(), m.Bytes())
	if err != nil || !rep.OK || rep.Fuel < 200_000_000 {
		t.Errorf("%+v %v", rep, err)
	}
	// What the second part's fuel is not enough for is refused, and says so.
	h = host(t, func(o *sandbox.Options) { o.Timeout, o.TrialFuel = 10*time.Minute, 250_000_000 })
	rep, err = h.Validate(context.Background(), m.Bytes())
	if err != nil || rep.OK || !strings.Contains(rep.Checks[len(rep.Checks)-1].Detail, "its fuel of 250000000 instructions") {
		t.Errorf("%+v %v", rep, err)
	}
}

func TestTooManyUploadsAtOnceAreToldSo(t *testing.T) {
	h := host(t, func(o *sandbox.Options) {
		o.MaxWorkers, o.MaxTrials, o.Timeout, o.Fuel, o.TrialFuel = 2, 1, 10*time.Minute, 1<<62, 1<<62
	})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	// One is worked on in each lane and one waits for each at most, so of many
	// some are refused.
	const many = 12
	ended := make(chan error, many)
	for range many {
		go func() {
			_, err := h.Validate(ctx, forever().Bytes())
			ended <- err
		}()
	}
	err := <-ended
	if !errors.Is(err, sandbox.ErrBusy) || !strings.Contains(err.Error(), "waiting to be validated before this one") {
		t.Errorf("%v, want it busy", err)
	}
	stop()
	for range many - 1 {
		<-ended
	}
}
