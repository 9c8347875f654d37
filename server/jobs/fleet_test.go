package jobs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/store"
	"triality/server/worker"
)

// machines are workers elsewhere: each runs jobs as fake does.
type machines struct {
	mu      sync.Mutex
	list    []*machine
	adopted []string
}

type machine struct {
	*fake
	name   string
	memory int64
	cards  int64 // memory of its one card; 0: it has none
	slots  int
}

func machineOf(name string, memory, card int64) *machine {
	return &machine{fake: newFake(), name: name, memory: memory, cards: card, slots: 1}
}

func (m *machine) holds(n worker.Need) bool {
	return worker.RoomOf(m.memory) >= n.Memory && (n.Device != "cuda" && (m.cards == 0 || n.DeviceMemory == 0) || m.cards > 0 && m.cards >= n.DeviceMemory)
}

func (f *machines) Take(n worker.Need) (worker.Place, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	busy := false
	for _, m := range f.list {
		if m.holds(n) && m.slots > 0 {
			m.slots--
			return &berth{f, m}, true
		}
		busy = busy || m.holds(n)
	}
	return nil, busy
}

func (f *machines) Fits(n worker.Need) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.list, func(m *machine) bool { return m.holds(n) })
}

func (f *machines) Largest() (memory, card int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.list {
		memory, card = max(memory, m.memory), max(card, m.cards)
	}
	return memory, card
}

func (f *machines) Adopt(_ string, _ int, name string, _ int64) worker.Place {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.adopted = append(f.adopted, name)
	for _, m := range f.list {
		if m.name == name {
			m.slots--
			return &berth{f, m}
		}
	}
	return &berth{f, machineOf(name, 0, 0)}
}

func (f *machines) join(m *machine) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, m)
}

// berth is a slot of a machine.
type berth struct {
	fleet *machines
	*machine
}

func (b *berth) Worker() string           { return b.name }
func (b *berth) Holds(n worker.Need) bool { return b.holds(n) }
func (b *berth) Leave() {
	b.fleet.mu.Lock()
	defer b.fleet.mu.Unlock()
	b.slots++
}

// Run is the machine's; when the server stops, the machine goes on and records nothing more here.
func (b *berth) Run(ctx context.Context, job worker.Job, t experiments.Tracker, log io.Writer) error {
	left, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() {
		if !errors.Is(context.Cause(ctx), worker.ErrStopping) {
			cancel(context.Cause(ctx))
		}
	})()
	end := make(chan error, 1)
	go func() { end <- b.fake.Run(left, job, t, log) }()
	select {
	case err := <-end:
		return err
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), worker.ErrStopping) {
			return worker.ErrStopping
		}
		return <-end
	}
}

// fleetQueue is a queue with workers elsewhere, and the server's own.
func fleetQueue(t *testing.T, st *store.Store, o Options, list ...*machine) (*Queue, *fake, *machines) {
	t.Helper()
	here, away := newFake(), &machines{list: list}
	o.Fleet, o.Logger = away, slog.New(slog.DiscardHandler)
	q, err := New(context.Background(), st, here, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q, here, away
}

const gb = 1_000_000_000

func TestJobsTakeTheServersPlacesBeforeThoseOfWorkers(t *testing.T) {
	one := machineOf("one", 8*gb, 0)
	q, here, _ := fleetQueue(t, open(t), Options{}, one)
	a, b, c := submit(t, q, "a"), submit(t, q, "b"), submit(t, q, "c")
	starts(t, here, a.ID)
	starts(t, one.fake, b.ID)
	if r := becomes(t, q, b.ID, experiments.Running); r.Job.Worker != "one" {
		t.Errorf("b runs on %q", r.Job.Worker)
	}
	if got := says(t, q, c); got != "waits for the processor (run RUN: a)" {
		t.Errorf("c %s", got)
	}
	one.end <- nil
	becomes(t, q, b.ID, experiments.Finished)
	starts(t, one.fake, c.ID) // its slot was given back
	one.end <- nil
	here.end <- nil
	becomes(t, q, c.ID, experiments.Finished)
	becomes(t, q, a.ID, experiments.Finished)
}

func TestAJobWithACardGoesToAWorkerThatHasOneWhereTheServerHasNone(t *testing.T) {
	plain := machineOf("plain", 8*gb, 0)
	q, _, away := fleetQueue(t, open(t), Options{}, plain)
	run := submits(t, q, "a", "device: cuda\ndevice_memory_limit: 40GB\n", 0)
	if got := says(t, q, run); got != "waits for a worker with a GPU of 40 GB; the most that one has is a GPU of 0 GB" {
		t.Error(got)
	}
	carded := machineOf("carded", 8*gb, 80*gb)
	away.join(carded)
	q.Fill()
	starts(t, carded.fake, run.ID)
	second := submits(t, q, "b", "device: cuda\ndevice_memory_limit: 40GB\n", 0)
	if got := says(t, q, second); got != "waits until a worker with a GPU of 40 GB is free" {
		t.Error(got)
	}
	carded.end <- nil
	starts(t, carded.fake, second.ID)
	carded.end <- nil
	becomes(t, q, second.ID, experiments.Finished)
}

func TestALostWorkersJobRunsAgainAndIsNotTakenForOneThatDies(t *testing.T) {
	one := machineOf("one", 8*gb, 0)
	q, _, _ := fleetQueue(t, open(t), Options{Away: true}, one)
	run := submit(t, q, "a")
	for i := range 5 { // more often than workers may die in one way
		starts(t, one.fake, run.ID)
		if i == 2 {
			one.end <- &worker.Lost{Cause: "worker one was stopped", Left: true}
			continue
		}
		one.end <- &worker.Lost{Cause: "worker one was not heard of for 45s"}
	}
	starts(t, one.fake, run.ID)
	r := becomes(t, q, run.ID, experiments.Running)
	if r.Job.Attempt != 6 || r.Job.Deaths != 0 || r.Job.Stuck != 4 {
		t.Errorf("%+v", r.Job)
	}
	for i := range anyDeaths - 4 {
		if i > 0 {
			starts(t, one.fake, run.ID)
		}
		one.end <- &worker.Lost{Cause: "worker one was not heard of for 45s"}
	}
	if r := becomes(t, q, run.ID, experiments.Failed); r.Job.Stuck != anyDeaths || !strings.Contains(r.Error, "not heard of") {
		t.Errorf("%s, %+v", r.Error, r.Job)
	}
}

func TestAServerThatStartsAgainAdoptsWhatWorkersRun(t *testing.T) {
	st, one := open(t), machineOf("one", 8*gb, 0)
	q, _, _ := fleetQueue(t, st, Options{Away: true}, one)
	run, waits := submit(t, q, "a"), submit(t, q, "b")
	starts(t, one.fake, run.ID)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if r := becomes(t, q, run.ID, experiments.Running); r.Job.Attempt != 1 || r.Job.Worker != "one" {
		t.Errorf("after the server's end: %+v", r.Job)
	}
	if err := Recover(context.Background(), st); err != nil {
		t.Fatal(err)
	}
	again := machineOf("one", 8*gb, 0) // the same worker as the new process meets it
	q, _, away := fleetQueue(t, st, Options{Away: true}, again)
	if !slices.Equal(away.adopted, []string{"one"}) {
		t.Errorf("adopted %q", away.adopted)
	}
	starts(t, again.fake, run.ID)
	if r := becomes(t, q, run.ID, experiments.Running); r.Job.Attempt != 1 {
		t.Errorf("its attempt is %d", r.Job.Attempt)
	}
	again.end <- nil
	becomes(t, q, run.ID, experiments.Finished)
	starts(t, again.fake, waits.ID)
	again.end <- nil
	becomes(t, q, waits.ID, experiments.Finished)
}

func TestAServerThatStartsWithoutWorkersTakesTheirJobsBack(t *testing.T) {
	st, one := open(t), machineOf("one", 8*gb, 0)
	q, _, _ := fleetQueue(t, st, Options{Away: true}, one)
	run := submit(t, q, "a")
	starts(t, one.fake, run.ID)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Recover(context.Background(), st); err != nil {
		t.Fatal(err)
	}
	f := newFake()
	q = begin(t, st, f)
	if job := starts(t, f, run.ID); job.Attempt != 2 {
		t.Errorf("attempt %d", job.Attempt)
	}
	f.end <- nil
	if r := becomes(t, q, run.ID, experiments.Finished); r.Job.Worker != "" {
		t.Errorf("it ran on %s", r.Job.Worker)
	}
}

// short is what a job ends with whose steps take so much.
func short(memory, card int64) error {
	return experiments.Errorf(experiments.CodeInvalid, "%w", &experiments.Shortage{Memory: memory, Card: card, Text: "planned memory: much"})
}

func TestAJobThatAMachineHasNoMemoryForGoesToOneThatHas(t *testing.T) {
	small, big := machineOf("small", 8*gb, 0), machineOf("big", 64*gb, 0)
	q, here, _ := fleetQueue(t, open(t), Options{Memory: func() (int64, int64) { return 4 * gb, 4 * gb }}, small, big)
	run := submit(t, q, "a")
	starts(t, here, run.ID)
	here.end <- short(5*gb, 0)
	starts(t, small.fake, run.ID) // it has room for 7.2 GB
	if r := becomes(t, q, run.ID, experiments.Running); r.Job.Memory != 5*gb || !r.Job.Elsewhere || r.Job.Attempt != 2 {
		t.Errorf("%+v", r.Job)
	}
	small.end <- short(30*gb, 0)
	starts(t, big.fake, run.ID)
	big.end <- nil
	if r := becomes(t, q, run.ID, experiments.Finished); r.Job.Attempt != 3 || r.Job.Deaths != 0 || r.Error != "" {
		t.Errorf("%s, %+v", r.Error, r.Job)
	}
}

func TestAJobThatNoMachineHoldsSaysSoWithFigures(t *testing.T) {
	st, small := open(t), machineOf("small", 8*gb, 12*gb)
	options := Options{Memory: func() (int64, int64) { return 4 * gb, 4 * gb }}
	q, here, _ := fleetQueue(t, st, options, small)
	run := submit(t, q, "a")
	starts(t, here, run.ID)
	here.end <- short(36*gb, 0)
	r := becomes(t, q, run.ID, experiments.Queued)
	const waits = "waits for a worker with 41 GB of memory; the most that one has is 8 GB of memory"
	for says(t, q, run) == "" { // it is recorded before it is in the queue
		time.Sleep(time.Millisecond)
	}
	if got := says(t, q, run); got != waits || !strings.HasPrefix(r.Job.Reason, "attempt 1: too little memory at this machine: planned memory: much") {
		t.Errorf("%q, after %q", got, r.Job.Reason)
	}
	list, err := q.List(context.Background())
	if err != nil || len(list) != 1 || list[0].Job.Waits.String() != waits {
		t.Errorf("%+v, %v", list, err)
	}
	// A server that starts again knows it.
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q, _, away := fleetQueue(t, st, options, small)
	if got := says(t, q, run); got != waits {
		t.Errorf("after a restart: %q", got)
	}
	big := machineOf("big", 64*gb, 0)
	away.join(big)
	q.Fill()
	starts(t, big.fake, run.ID)
	// One that says it has the memory, and had it in use, is no reason to look further.
	big.end <- short(37*gb, 0)
	if r := becomes(t, q, run.ID, experiments.Failed); !strings.Contains(r.Error, "planned memory: much") {
		t.Errorf("%q", r.Error)
	}
	// Resumed, it is looked at anew: this machine may be another.
	if _, err := q.Resume(context.Background(), run.ID); err != nil {
		t.Fatal(err)
	}
	if r := becomes(t, q, run.ID, experiments.Running); r.Job.Memory != 0 || r.Job.Elsewhere || r.Job.Worker != "" {
		t.Errorf("%+v", r.Job)
	}
}

func TestAJobThatACardIsTooSmallForGoesToALargerOne(t *testing.T) {
	small, big := machineOf("small", 64*gb, 12*gb), machineOf("big", 64*gb, 80*gb)
	q, _, _ := fleetQueue(t, open(t), Options{Away: true}, small, big)
	run := submit(t, q, "a")
	starts(t, small.fake, run.ID)
	small.end <- short(0, 20*gb)
	if job := starts(t, big.fake, run.ID); job.Card != 20*gb {
		t.Errorf("the worker is told of %d bytes", job.Card)
	}
	big.end <- nil
	becomes(t, q, run.ID, experiments.Finished)
}

func TestWithoutWorkersAJobThatTakesTooMuchFails(t *testing.T) {
	q, f := queue(t)
	run := submit(t, q, "a")
	starts(t, f, run.ID)
	f.end <- short(30*gb, 0)
	if r := becomes(t, q, run.ID, experiments.Failed); !strings.Contains(r.Error, "planned memory: much") {
		t.Errorf("%q", r.Error)
	}
}
