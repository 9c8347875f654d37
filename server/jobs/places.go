package jobs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/server/worker"
)

// places are where jobs run: slots on the machine's cards, one to a card unless more are asked for (without a card, on its
// processor), and slots beside them for jobs that use the processor alone.
type places struct {
	cards, slots, beside int
	none                 bool // this machine runs nothing: others do
	memory               func() (free, total int64)
}

// needs is what a job takes.
type needs struct {
	slots  int  // cards at once, each another
	group  bool // some train together, on this machine
	beside bool // the processor alone
	// elsewhere says that this machine has too little memory for it.
	elsewhere bool
	need      worker.Need
}

// needsOf reads what a configuration takes, and what attempts before have found; known is nil where there were none. One
// that is no longer understood takes one slot, where its worker says so.
func (p places) needsOf(text string, known *experiments.Job) needs {
	cfg, err := pipeline.ParseSpec("config", []byte(text))
	if err != nil {
		return needs{slots: 1, need: worker.Need{Device: "auto"}}
	}
	n := needs{slots: 1, group: cfg.Together() > 1 && cfg.Device != "cpu", beside: cfg.Device == "cpu" && p.beside > 0, need: worker.Need{Device: cfg.Device}}
	if cfg.Device == "cuda" {
		n.need.DeviceMemory = int64(cfg.MemoryLimit)
	}
	if p.cards > 0 && cfg.Device != "cpu" {
		n.slots = max(1, min(cfg.Devices*cfg.Together(), p.cards, p.slots))
	}
	if known != nil {
		n.need.Memory, n.need.DeviceMemory, n.elsewhere = known.Memory, max(n.need.DeviceMemory, known.Card), known.Elsewhere
	}
	return n
}

// device names the device of a slot.
func (p places) device(slot int) string {
	if p.cards == 0 {
		return "cpu"
	}
	return "GPU " + strconv.Itoa(slot%p.cards)
}

// devices are the numbers of the cards of some slots.
func (p places) devices(slots []int) []int {
	var out []int
	for _, s := range slots {
		if p.cards > 0 && !slices.Contains(out, s%p.cards) {
			out = append(out, s%p.cards)
		}
	}
	return out
}

// memoryShare is the part of the machine's memory that must be free for a job to start beside others.
const memoryShare = 8

// find gives the slots in which a job may start now, or why it may not. The caller holds mu.
func (q *Queue) find(n needs) (slots []int, why *experiments.Reason) {
	here := 0 // jobs that run on this machine
	for _, j := range q.running {
		if j.place == nil {
			here++
		}
	}
	if here > 0 && q.places.memory != nil {
		if free, total := q.places.memory(); free < total/memoryShare {
			return nil, &experiments.Reason{Code: experiments.WaitsForMemory, Args: map[string]string{"free": gib(free), "needed": gib(total / memoryShare)}}
		}
	}
	owner := map[int]*job{}
	var beside []*job
	for _, j := range q.running {
		for _, s := range j.slots {
			owner[s] = j
		}
		if j.needs.beside && j.place == nil {
			beside = append(beside, j)
		}
	}
	if n.beside {
		if len(beside) < q.places.beside {
			return nil, nil
		}
		return nil, taken("cpu", slices.MinFunc(beside, earlier))
	}
	if slots = q.places.free(owner); n.slots > 1 {
		slots = q.places.apart(slots)
	}
	if len(slots) >= n.slots {
		return slots[:n.slots], nil
	}
	var held []int
	for s := range owner {
		held = append(held, s)
	}
	s := slices.MinFunc(held, func(a, b int) int { return earlier(owner[a], owner[b])*q.places.slots + a - b })
	return nil, taken(q.places.device(s), owner[s])
}

// free are the slots that no job has, those of the cards with the fewest jobs first.
func (p places) free(owner map[int]*job) []int {
	load := make([]int, max(1, p.cards))
	for s := range owner {
		load[s%len(load)]++
	}
	var free []int
	for s := range p.slots {
		if owner[s] == nil {
			free = append(free, s)
		}
	}
	slices.SortStableFunc(free, func(a, b int) int { return load[a%len(load)] - load[b%len(load)] })
	return free
}

// apart are the first of the slots on each card.
func (p places) apart(slots []int) (out []int) {
	seen := map[int]bool{}
	for _, s := range slots {
		if card := s % max(1, p.cards); !seen[card] {
			seen[card] = true
			out = append(out, s)
		}
	}
	return out
}

func earlier(a, b *job) int { return a.started.Compare(b.started) }

func taken(device string, by *job) *experiments.Reason {
	return &experiments.Reason{Code: experiments.WaitsForDevice, Args: map[string]string{"device": device, "run": by.id}}
}

func gib(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }

// next takes the job that starts next out of those that wait: none overtakes another that takes the same devices. The
// caller holds mu.
func (q *Queue) next() *job {
	blocked := map[bool]bool{}
	for i, j := range q.waiting {
		if !q.seat(j, blocked) {
			continue
		}
		j.started = time.Now()
		q.waiting = slices.Delete(q.waiting, i, i+1)
		return j
	}
	return nil
}

// seat finds a place for a job, on this machine before others. blocked are the devices of this machine that another job
// waits for.
func (q *Queue) seat(j *job, blocked map[bool]bool) bool {
	if q.runsHere(j.needs) && !blocked[j.needs.beside] {
		slots, why := q.find(j.needs)
		if why == nil {
			j.slots, j.place = slots, nil
			return true
		}
		if why.Code == experiments.WaitsForMemory {
			q.lookAgain()
		}
		blocked[j.needs.beside] = true
	}
	if q.fleet == nil || j.needs.group { // a worker gives a job one card
		return false
	}
	place, _ := q.fleet.Take(j.needs.need)
	if place == nil {
		return false
	}
	j.slots, j.place = nil, place
	return true
}

// runsHere says whether a job may run on this machine at all, now or later.
func (q *Queue) runsHere(n needs) bool {
	if q.fleet == nil {
		return !q.places.none
	}
	return !q.places.none && (n.need.Device != "cuda" || q.places.cards > 0) && q.places.holds(n)
}

// memoryEvery is how often a machine short of memory is looked at again.
const memoryEvery = 5 * time.Second

// lookAgain fills the slots later: memory becomes free without any job's end. The caller holds mu.
func (q *Queue) lookAgain() {
	if q.looking {
		return
	}
	q.looking = true
	time.AfterFunc(memoryEvery, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.looking = false
		q.fill()
	})
}

// waits says why a job waits. The caller holds mu.
func (q *Queue) waits(id string) *experiments.Reason {
	at := slices.IndexFunc(q.waiting, func(j *job) bool { return j.id == id })
	if at < 0 {
		return nil
	}
	j := q.waiting[at]
	if !q.runsHere(j.needs) {
		args := j.needs.need.Args()
		if q.fleet == nil {
			return &experiments.Reason{Code: experiments.WaitsForWorker, Args: args}
		}
		if q.fleet.Fits(j.needs.need) {
			return &experiments.Reason{Code: experiments.WaitsForSlot, Args: args}
		}
		memory, card := q.fleet.Largest()
		j.needs.need.Largest(args, memory, card)
		return &experiments.Reason{Code: experiments.WaitsForWorker, Args: args}
	}
	before, higher := 0, 0
	for _, w := range q.waiting[:at] {
		if w.needs.beside == j.needs.beside {
			before++
			if w.priority > j.priority {
				higher++
			}
		}
	}
	switch {
	case higher > 0:
		return &experiments.Reason{Code: experiments.WaitsBehindHigher, Args: map[string]string{"count": strconv.Itoa(higher)}}
	case before > 0:
		return &experiments.Reason{Code: experiments.WaitsBehind, Args: map[string]string{"count": strconv.Itoa(before)}}
	}
	if _, why := q.find(j.needs); why != nil {
		return why
	}
	return &experiments.Reason{Code: experiments.WaitsForStart}
}

// Waits says why a run waits; nil where it does not.
func (q *Queue) Waits(ctx context.Context, id string) *experiments.Reason {
	q.mu.Lock()
	why := q.waits(id)
	q.mu.Unlock()
	if why == nil || why.Args["run"] == "" {
		return why
	}
	if run, err := q.store.Run(ctx, why.Args["run"]); err == nil {
		why.Args["name"] = run.Name
	}
	return why
}

// Prioritize changes the priority of a waiting run.
func (q *Queue) Prioritize(ctx context.Context, id string, priority int) (experiments.Run, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.IndexFunc(q.waiting, func(j *job) bool { return j.id == id })
	if at < 0 {
		run, err := q.store.Run(ctx, id)
		if err == nil {
			err = experiments.Errorf(experiments.CodeConflict, "run %s is %s; only a run that waits has a priority to change", id, run.Status)
		}
		return run, err
	}
	run, err := q.store.UpdateRun(ctx, id, func(r *experiments.Run) error {
		r.Job.Priority = priority
		return nil
	})
	if err != nil {
		return run, err
	}
	j := q.waiting[at]
	q.waiting = slices.Delete(q.waiting, at, at+1)
	j.priority = priority
	q.add(j)
	return run, nil
}
