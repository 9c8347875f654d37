package fleet

import (
	"context"
	"log/slog"
	"testing"

	"triality/experiments"
	"triality/server/jobs"
	"triality/server/store"
	"triality/server/worker"
)

// hungry is a configuration whose job is planned to take hungryFor.
const (
	hungry    = "name: hungry\ndata: {input_path: rows.jsonl}\nmodel: {base_model: base}\n"
	hungryFor = 6 << 30
)

// The queue, the workers and NATS are real; what the job's process is planned to take is said by the test.
func TestAJobGoesToTheWorkerThatHasTheMemoryForIt(t *testing.T) {
	t.Parallel()
	ctx, data := context.Background(), t.TempDir()
	st, err := store.Open(data, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	s := serve(t, data, "127.0.0.1:0")
	t.Cleanup(func() { s.Close() })
	q, err := jobs.New(ctx, st, worker.Process{}, jobs.Options{Away: true, Fleet: s, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	if err := s.Serve(ctx, q.Fill); err != nil {
		t.Fatal(err)
	}
	of := func(name string, memory int64) {
		info := testInfo
		info.Memory = memory
		agentOf(t, AgentOptions{
			Access: Access{URL: s.Address(), Text: token(t, data, "")}, Name: name, Dir: t.TempDir(), Info: info, Process: worker.Process{Memory: worker.RoomOf(memory)},
		})
	}
	of("small", 4<<30)
	run, err := q.Submit(ctx, experiments.Submission{Config: hungry, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	stored := func() experiments.Run {
		r, err := st.Run(ctx, run.ID)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const waits = "waits for a worker with 7.2 GB of memory; the most that one has is 4.2 GB of memory"
	eventually(t, "it waits for memory", func() bool {
		why := q.Waits(ctx, run.ID)
		return why != nil && why.String() == waits
	})
	if r := stored(); r.Status != experiments.Queued || r.Job.Attempt != 1 || r.Job.Memory != hungryFor {
		t.Errorf("%s, %+v", r.Status, r.Job)
	}
	of("big", 16<<30)
	eventually(t, "it ends", func() bool { return stored().Status.Done() })
	if r := stored(); r.Status != experiments.Finished || r.Job.Attempt != 2 || r.Job.Worker != "big" {
		t.Errorf("%s (%s), %+v", r.Status, r.Error, r.Job)
	}
}
