package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments"
)

func TestAReportIsKeptByteForByteAndADeletionIsUndone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	body := " {\"b\" :1.0,\n\"a\":\"<\\u00e9\x7f>\"}\n"
	made, err := s.CreateReport(ctx, "r", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateReport(ctx, made.ID, 1, func(r *Report) error { r.Title, r.ID, r.Revision = "s", "other", 99; return nil }); err != nil {
		t.Fatal(err)
	}
	var stale *RevisionError
	if err := s.DeleteReport(ctx, made.ID, 1); !errors.As(err, &stale) || stale.Now != 2 {
		t.Errorf("deleted at an old revision: %v", err)
	}
	if err := s.DeleteReport(ctx, made.ID, 2); err != nil {
		t.Fatal(err)
	}
	_, err = s.Report(ctx, made.ID)
	code(t, err, experiments.CodeNotFound)
	code(t, s.DeleteReport(ctx, made.ID, 0), experiments.CodeNotFound)
	s.Close()
	s = open(t, dir, Options{})
	if gone, err := s.Reports(ctx, true, func(*Report) error { return nil }); err != nil || len(gone) != 1 || gone[0].Deleted.IsZero() {
		t.Errorf("%+v %v", gone, err)
	}
	if _, err := s.RestoreReport(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	_, err = s.RestoreReport(ctx, made.ID)
	code(t, err, experiments.CodeNotFound)
	r, err := s.Report(ctx, made.ID)
	if err != nil || string(r.Body) != body || r.Title != "s" || r.Revision != 2 || !r.Created.Equal(made.Created) {
		t.Errorf("%+v, body %q, %v", r, r.Body, err)
	}
}

func TestAReportDeletedLongAgoIsRemoved(t *testing.T) {
	s, _ := fresh(t, Options{KeepDeleted: time.Millisecond})
	old, err := s.CreateReport(ctx, "old", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteReport(ctx, old.ID, 0); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Millisecond)
	if _, err := s.CreateReport(ctx, "new", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Reports(ctx, true, func(*Report) error { return nil }); err != nil || len(gone) != 0 {
		t.Errorf("%+v %v", gone, err)
	}
}

func TestALinkOpensItsReportUntilItIsWithdrawn(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	r, err := s.CreateReport(ctx, "r", []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	share, secret, err := s.ShareReport(ctx, r.ID)
	if err != nil || len(secret) < 43 {
		t.Fatalf("%q %v", secret, err)
	}
	_, second, err := s.ShareReport(ctx, r.ID)
	if err != nil || second == secret {
		t.Fatal(err)
	}
	if got, err := s.SharedReport(ctx, secret); err != nil || got.ID != r.ID || string(got.Body) != `{"a":1}` || got.Revision != 1 {
		t.Errorf("%+v %v", got, err)
	}
	for _, wrong := range []string{"", secret[1:], secret + "A", strings.ToUpper(secret), share.ID, r.ID} {
		_, err := s.SharedReport(ctx, wrong)
		code(t, err, experiments.CodeNotFound)
	}
	if err := s.DeleteReport(ctx, r.ID, 0); err != nil {
		t.Fatal(err)
	}
	_, err = s.SharedReport(ctx, secret)
	code(t, err, experiments.CodeNotFound)
	if _, err := s.RestoreReport(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.WithdrawShare(ctx, r.ID, share.ID); err != nil {
		t.Fatal(err)
	}
	code(t, s.WithdrawShare(ctx, r.ID, share.ID), experiments.CodeNotFound)
	_, err = s.SharedReport(ctx, secret)
	code(t, err, experiments.CodeNotFound)
	if _, err := s.SharedReport(ctx, second); err != nil {
		t.Errorf("withdrawing one link ended the other: %v", err)
	}
	s.Close()
	if file, err := os.ReadFile(filepath.Join(dir, FileName)); err != nil || bytes.Contains(file, []byte(second)) {
		t.Errorf("the database holds a link's secret, or %v", err)
	}
}

func TestChangesOfAReportThatMeetAreNotLost(t *testing.T) {
	s, _ := fresh(t, Options{})
	r, err := s.CreateReport(ctx, "r", []byte("0"))
	if err != nil {
		t.Fatal(err)
	}
	const writers = 6
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for {
				now, err := s.Report(ctx, r.ID)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = s.UpdateReport(ctx, r.ID, now.Revision, func(to *Report) error { to.Title = now.Title + "r"; return nil })
				var stale *RevisionError
				if err == nil {
					return
				}
				if !errors.As(err, &stale) {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			if _, _, err := s.ShareReport(ctx, r.ID); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if r, err = s.Report(ctx, r.ID); err != nil || len(r.Title) != 1+writers || r.Revision != writers+1 || len(r.Shares) != writers {
		t.Errorf("%q, revision %d, %d links, %v", r.Title, r.Revision, len(r.Shares), err)
	}
}

func TestAReportThatIsWrongChangesNothing(t *testing.T) {
	s, _ := fresh(t, Options{})
	r, err := s.CreateReport(ctx, "r", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Report){
		"no title": func(r *Report) { r.Title = " " }, "no JSON": func(r *Report) { r.Body = []byte("{") }, "nothing": func(r *Report) { r.Body = nil },
		"too large": func(r *Report) { r.Body = []byte(strings.Repeat("1", MaxReportBody+1)) },
	} {
		if _, err := s.UpdateReport(ctx, r.ID, 0, func(r *Report) error { change(r); return nil }); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if now, err := s.Report(ctx, r.ID); err != nil || now.Revision != 1 {
		t.Errorf("%+v %v", now, err)
	}
}
