package think

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"triality/experiments"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/server/audit"
)

// Keep is how long a query waits for a person at most.
const Keep = 30 * 24 * time.Hour

// MaxWaiting bounds the queries that wait.
const MaxWaiting = 10_000

// Escalation is a query that waits for a person's decision.
type Escalation struct {
	Request int64              `json:"request"` // its number in the audit log
	Time    time.Time          `json:"time"`
	Query   string             `json:"query"`
	Verdict string             `json:"verdict"`
	Scores  map[string]float64 `json:"scores"`
	Model   string             `json:"model"`
	Hash    string             `json:"model_hash"`
}

// Waiting is a folder of queries that wait, a file each: N.json, N the request's number. It alone has a query's text, until it
// is decided on or Keep has passed. It is safe for use by several goroutines.
type Waiting struct {
	dir string
	log *audit.Log
	mu  sync.Mutex // of those that decide
}

// AnyWaiting says whether a folder has queries that wait.
func AnyWaiting(dir string) (bool, error) {
	w := Waiting{dir: dir}
	all, err := w.numbers()
	return len(all) > 0, err
}

// OpenWaiting opens a folder, which it makes where there is none, beside the log that has its requests. What the log says was
// decided, when the process died before it was taken away, is taken away now.
func OpenWaiting(dir string, log *audit.Log) (*Waiting, error) {
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("escalations: %w", err)
	}
	if _, err := atomicfile.RemoveStale(dir); err != nil {
		return nil, fmt.Errorf("escalations: %w", err)
	}
	w := &Waiting{dir: dir, log: log}
	all, err := w.numbers()
	if err != nil || len(all) == 0 {
		return w, err
	}
	var decided []int64
	if err := audit.Read(log.Dir(), func(e audit.Entry) bool {
		if e.Kind == audit.KindReview && slices.Contains(all, e.Of) {
			decided = append(decided, e.Of)
		}
		return true
	}); err != nil {
		return nil, err
	}
	for _, n := range decided {
		if err := w.remove(n); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *Waiting) path(request int64) string {
	return filepath.Join(w.dir, strconv.FormatInt(request, 10)+".json")
}

// numbers lists the requests that wait, the oldest first.
func (w *Waiting) numbers() ([]int64, error) {
	entries, err := disk.ReadDir(w.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("escalations: %w", err)
	}
	var out []int64
	for _, e := range entries {
		if n, err := strconv.ParseInt(strings.TrimSuffix(e.Name(), ".json"), 10, 64); err == nil && w.path(n) == filepath.Join(w.dir, e.Name()) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Put lets a query wait; it returns when that is on stable storage.
func (w *Waiting) Put(e Escalation) error {
	all, err := w.numbers()
	if err != nil {
		return err
	}
	if len(all) >= MaxWaiting {
		return experiments.Errorf(experiments.CodeUnavailable, "%d queries wait for a person, and no more may", len(all))
	}
	return atomicfile.WriteFile(w.path(e.Request), 0o600, func(to io.Writer) error {
		enc := json.NewEncoder(to)
		enc.SetEscapeHTML(false)
		return enc.Encode(e)
	})
}

func (w *Waiting) read(request int64) (e Escalation, err error) {
	text, err := disk.ReadRegular(w.path(request), 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return e, experiments.Errorf(experiments.CodeNotFound, "no query with the number %d waits: it was decided on, or its time has passed", request)
	}
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		return e, fmt.Errorf("escalations: %s: %w", w.path(request), err)
	}
	return e, nil
}

// List gives those that wait, the oldest first.
func (w *Waiting) List() ([]Escalation, error) {
	all, err := w.numbers()
	out := []Escalation{}
	for _, n := range all {
		e, err := w.read(n)
		switch {
		case experiments.CodeOf(err) == experiments.CodeNotFound: // decided on just now
		case err != nil:
			return nil, err
		default:
			out = append(out, e)
		}
	}
	return out, err
}

// Decisions of a person, and that of time.
const (
	Allow   = "allow"
	Deny    = "deny"
	expired = "expired"
)

// MaxNote bounds a decision's note, bytes.
const MaxNote = 2000

// Decide logs a person's decision on a query that waits, then forgets the query.
func (w *Waiting) Decide(request int64, decision, note string) error {
	switch {
	case decision != Allow && decision != Deny:
		return experiments.Errorf(experiments.CodeInvalid, "decision: want allow or deny, have %.20q", decision)
	case len(note) > MaxNote:
		return experiments.Errorf(experiments.CodeTooLarge, "note: it has %d bytes, at most %d", len(note), MaxNote)
	}
	return w.decide(request, "local", decision, note)
}

func (w *Waiting) decide(request int64, user, decision, note string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, err := w.read(request)
	if err != nil {
		return err
	}
	if _, err := w.log.Append(audit.Entry{Kind: audit.KindReview, User: user, Of: request, Verdict: e.Verdict, Decision: decision, Note: note}); err != nil {
		return err
	}
	return w.remove(request)
}

func (w *Waiting) remove(request int64) error {
	if err := disk.Remove(w.path(request)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("escalations: %w", err)
	}
	if err := disk.SyncDir(w.dir); err != nil {
		return fmt.Errorf("escalations: %w", err)
	}
	return nil
}

// Expire forgets what has waited for longer than Keep; the log says so.
func (w *Waiting) Expire(now time.Time) error {
	all, err := w.List()
	if err != nil {
		return err
	}
	for _, e := range all {
		if now.Sub(e.Time) > Keep {
			if err := w.decide(e.Request, "server", expired, ""); err != nil && experiments.CodeOf(err) != experiments.CodeNotFound {
				return err
			}
		}
	}
	return nil
}

// ExpireHourly calls Expire every hour until ctx ends.
func (w *Waiting) ExpireHourly(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := w.Expire(time.Now()); err != nil {
			log.Error("escalations that have waited too long", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
