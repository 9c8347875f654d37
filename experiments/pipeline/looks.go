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
	"time"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/runtime/filelock"
)

// look is one line of the file that counts how often a test set was looked at: beside it, named as it is with .looks.
type look struct {
	Time       time.Time          `json:"time"`
	DesignHash string             `json:"design_hash"`
	Design     experiments.Design `json:"design"`
	ModelA     string             `json:"model_a"`
	ModelB     string             `json:"model_b"`
	Rows       int                `json:"rows"`
}

const looksSuffix = ".looks"

// countLook adds this look at a test set to those before. What cannot be counted is said in the result.
func countLook(ctx context.Context, o ABTestOptions, r *experiments.ABResult, sink Sink) *experiments.Looks {
	path := filepath.Clean(o.TestData) + looksSuffix
	seen, err := addLook(ctx, path, look{
		Time: time.Now().UTC(), DesignHash: r.Inference.DesignHash, Design: o.Test.Design, ModelA: r.Arms[0].Model, ModelB: r.Arms[1].Model, Rows: r.Rows,
	})
	if err != nil {
		sink.Note("the looks at the test rows are not counted: " + err.Error())
		return &experiments.Looks{Reason: err.Error()}
	}
	first := seen[0]
	return &experiments.Looks{Count: len(seen), First: first.Time, Changed: first.DesignHash != r.Inference.DesignHash, FirstDesign: first.DesignHash}
}

// addLook appends a line, durably, and gives all of them.
func addLook(ctx context.Context, path string, now look) (seen []look, err error) {
	unlock, err := holdLock(ctx, path+".lock")
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
		var l look
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, fmt.Errorf("read looks: %s:%d: %w", path, len(seen)+1, err)
		}
		seen = append(seen, l)
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
