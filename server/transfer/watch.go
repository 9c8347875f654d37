package transfer

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
)

// Watch sends finished steps and checkpoints as they appear, until ctx ends or the server refuses the attempt: then the
// job is to stop, since another has taken over.
func (p *Workplace) Watch(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := p.pass(ctx, false); ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Send sends what there is now, for who must know that it has arrived before going on.
func (p *Workplace) Send(ctx context.Context) error { return p.pass(ctx, false) }

// Finish sends what is left and says that nothing comes after it. The run has ended only when it returns nil.
func (p *Workplace) Finish(ctx context.Context) error { return p.pass(ctx, true) }

// pass sends and commits what there is now, where it is not what was committed last.
func (p *Workplace) pass(ctx context.Context, last bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.last {
		done, err := p.try(ctx, last)
		if err != nil || done {
			return err
		}
	}
	return nil
}

// try is one look at what there is. It is not done where a step's folder was replaced meanwhile: then it looks again.
func (p *Workplace) try(ctx context.Context, last bool) (done bool, err error) {
	now, list, err := p.changes(ctx)
	if err != nil || !last && maps.Equal(now, p.committed) {
		return true, err
	}
	gone, err := p.link.send(ctx, list)
	if err != nil || len(gone) > 0 {
		return false, err
	}
	if err := p.commit(ctx, now, last); err != nil {
		return false, err
	}
	p.committed, p.last = now, last
	return true, disk.RemoveAll(p.outbox)
}

// commit sends the manifest and has it made the run's results.
func (p *Workplace) commit(ctx context.Context, now map[string]File, last bool) error {
	m := Manifest{Name: p.run, Files: slices.SortedFunc(maps.Values(now), func(a, b File) int { return strings.Compare(a.Path, b.Path) })}
	text, err := encodeManifest(m)
	if err != nil {
		return err
	}
	if err := checkFiles(m.Files); err != nil {
		return experiments.Errorf(experiments.CodeInvalid, "results of run %s: %w", p.run, err)
	}
	manifest := bytesOut("the manifest", text)
	if _, err := p.link.send(ctx, []outgoing{manifest}); err != nil {
		return err
	}
	p.seq++
	return p.link.call(ctx, methodCommit, commitArgs{Seq: p.seq, Last: last, Manifest: manifest.id}, &none{})
}
