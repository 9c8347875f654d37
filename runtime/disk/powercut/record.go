// Package powercut is for tests: it records what a piece of code does to the files of a folder, and shows
// the code's promise every state that a power cut could have left there.
//
//	rec := powercut.Record(t, dir)
//	err := save(dir)      // all through package disk
//	rec.Mark("saved")     // what is promised from here on
//	rec.Check(t, func(cut powercut.Cut) error {
//		return readBack(cut.Dir, cut.Marked("saved"))
//	})
//
// What a cut leaves follows POSIX alone, of which ext4, XFS and APFS leave less: a file's content is
// certain when the file was synced, and a name when its folder was. What was not synced since may be
// there, not be there or be there in part, whatever the order in which it was done: new names, removed
// names and renames one by one, a file's bytes as nothing, some of the writes, all, or zeros of the new
// length. A rename or exchange within one folder is one step, there or not; one between two folders is two.
package powercut

import (
	"os"
	"sync"
	"testing"

	"triality/runtime/disk"
)

// Recorder keeps the operations done below a folder. It is safe for concurrent use; operations are done
// one at a time.
type Recorder struct {
	root  string
	start *tree

	mu   sync.Mutex
	log  []event
	stop func()
}

// event is an operation that succeeded, or a mark.
type event struct {
	op   disk.Op
	mark string
}

// Record begins to record at root, whose files count as safely stored and stay until the test's end. Each
// before is called ahead of every operation: it may wait, and the error it returns is the operation's,
// which is then not done. Syncs are recorded and not done, since the real ones would take a test's time. Files
// changed past package disk (a bbolt database) keep in the replay the content they have now.
func Record(t testing.TB, root string, before ...func(disk.Op) error) *Recorder {
	t.Helper()
	start, err := read(root)
	if err != nil {
		t.Fatalf("powercut: %v", err)
	}
	r := &Recorder{root: start.root, start: start}
	r.stop = disk.Watch(root, func(op disk.Op, do func() error) error {
		for _, f := range before {
			if err := f(op); err != nil {
				return err
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		op.Data = append([]byte(nil), op.Data...)
		switch op.Kind {
		case disk.OpSync: // what a test writes need not outlive a real cut
		case disk.OpSyncDir:
			if _, err := os.ReadDir(op.Path); err != nil {
				return err
			}
		default:
			if err := do(); err != nil {
				return err
			}
		}
		r.log = append(r.log, event{op: op})
		return nil
	})
	t.Cleanup(r.stop)
	return r
}

// Mark notes that something was promised: an answer was sent, a call returned. A test's check asks for it
// in the cuts that come after.
func (r *Recorder) Mark(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, event{mark: name})
}

// Stop ends the recording. Check and Broken do so themselves.
func (r *Recorder) Stop() { r.stop() }

// Ops are the operations so far.
func (r *Recorder) Ops() []disk.Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ops []disk.Op
	for _, e := range r.log {
		if e.mark == "" {
			ops = append(ops, e.op)
		}
	}
	return ops
}
