package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/runtime/filelock"
	"triality/runtime/wallclock"
)

// looksSuffix ends the name of the file beside a test set, named as it is, that has a line for each look at it.
const looksSuffix = ".looks"

// IsLooks says whether a file of that name, or the lock of one, counts looks: it is no result of the step whose folder it
// lies in.
func IsLooks(name string) bool {
	return strings.HasSuffix(strings.TrimSuffix(name, lockSuffix), looksSuffix)
}

const lockSuffix = ".lock"

// countLook adds this look at a test set to those before. What cannot be counted is said in the result.
func countLook(ctx context.Context, o ABTestOptions, r *experiments.ABResult, sink Sink) *experiments.Looks {
	count := o.Count
	if count == nil {
		count = func(ctx context.Context, l experiments.Look) (experiments.Looks, error) {
			return CountLook(ctx, o.TestData, l)
		}
	}
	looks, err := count(ctx, experiments.Look{
		ID: o.ID, DesignHash: r.Inference.DesignHash, Design: o.Test.Design, ModelA: r.Arms[0].Model, ModelB: r.Arms[1].Model, Rows: r.Rows,
	})
	if err != nil {
		sink.Note("the looks at the test rows are not counted: " + err.Error())
		return &experiments.Looks{Reason: err.Error()}
	}
	return &looks
}

// CountLook counts a look, now, in the file beside a test set.
func CountLook(ctx context.Context, testData string, l experiments.Look) (experiments.Looks, error) {
	l.Time = wallclock.Now().UTC()
	seen, err := addLook(ctx, filepath.Clean(testData)+looksSuffix, l)
	if err != nil {
		return experiments.Looks{}, err
	}
	first := seen[0]
	return experiments.Looks{Count: len(seen), First: first.Time, Changed: first.DesignHash != l.DesignHash, FirstDesign: first.DesignHash}, nil
}

// addLook appends a line, durably, and gives all up to it. One that is there stays where it is.
func addLook(ctx context.Context, path string, now experiments.Look) (seen []experiments.Look, err error) {
	unlock, err := holdLock(ctx, path+lockSuffix)
	if err != nil {
		return nil, err
	}
	defer unlock()
	text, err := disk.ReadRegular(path, disk.MaxText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read looks: %w", err)
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1] // a line that was cut short was never told
	for line := range bytes.Lines(whole) {
		var l experiments.Look
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, fmt.Errorf("read looks: %s:%d: %w", path, len(seen)+1, err)
		}
		if seen = append(seen, l); l.ID != "" && l.ID == now.ID {
			return seen, nil
		}
	}
	line, err := json.Marshal(now)
	if err != nil {
		return nil, fmt.Errorf("write looks: %w", err)
	}
	f, err := disk.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("write looks: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt(append(line, '\n'), int64(len(whole))); err != nil {
		return nil, fmt.Errorf("write looks: %w", err)
	}
	if err := errors.Join(f.Truncate(int64(len(whole)+len(line)+1)), f.Sync(), disk.SyncDir(filepath.Dir(path))); err != nil {
		return nil, fmt.Errorf("write looks: %w", err)
	}
	return append(seen, now), nil
}

// holdLock waits for a lock: another run may be at the same test set.
func holdLock(ctx context.Context, path string) (unlock func(), err error) {
	const patience = 10 * time.Second
	for start := time.Now(); ; {
		unlock, err := filelock.Hold(path)
		if unlock != nil || err != nil {
			return unlock, err
		}
		if time.Since(start) > patience {
			return nil, fmt.Errorf("%s is held by another process", path)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
