package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"triality/experiments"
)

// Limits of reports that people write.
const (
	MaxReportBody   = 1 << 20 // bytes
	MaxReports      = 10_000
	MaxReportShares = 100 // of one report
)

// Report is a document that a person put together of runs. All share it. Its body is JSON whose meaning is the caller's; it is
// kept byte for byte.
type Report struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Revision int64         `json:"revision"` // 1, and one more with every change of title or body
	Created  time.Time     `json:"created"`
	Updated  time.Time     `json:"updated"`
	Deleted  time.Time     `json:"deleted,omitzero"` // when it was deleted; it can be taken back until it is removed
	Shares   []ReportShare `json:"shares,omitempty"`
	Body     []byte        `json:"-"`
}

// ReportShare is a link under which a report is read. Only the hash of its secret is stored, so that a copy of the database
// opens no report's link.
type ReportShare struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Hash    []byte    `json:"hash"` // SHA-256 of the secret
}

func (r *Report) check() error {
	if err := checkName("report", r.Title); err != nil {
		return err
	}
	switch {
	case len(r.Body) > MaxReportBody:
		return experiments.Errorf(experiments.CodeTooLarge, "report %q: body of %d bytes, at most %d", r.Title, len(r.Body), MaxReportBody)
	case !json.Valid(r.Body):
		return experiments.Errorf(experiments.CodeInvalid, "report %q: body: want JSON", r.Title)
	}
	return nil
}

func putReport(t *txn, r Report) error {
	if err := r.check(); err != nil {
		return err
	}
	head, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("store a report: %w", err)
	}
	return t.Bucket(bucketReports).Put([]byte(r.ID), slices.Concat(head, []byte{'\n'}, r.Body))
}

func readReport(k, record []byte) (r Report, err error) {
	head, body, _ := bytes.Cut(record, []byte{'\n'}) // JSON of one line
	if err = json.Unmarshal(head, &r); err != nil {
		return r, fmt.Errorf("record of report %q: %w", k, err)
	}
	r.Body = bytes.Clone(body)
	return r, nil
}

// reportOf gives a report that is at a revision (0: whichever), else a *RevisionError; a deleted one is CodeNotFound unless
// it is wanted.
func reportOf(tx *bbolt.Tx, id string, revision int64, deleted bool) (Report, error) {
	b := tx.Bucket(bucketReports).Get([]byte(id))
	if b == nil {
		return Report{}, notFound("report", id)
	}
	r, err := readReport([]byte(id), b)
	switch {
	case err != nil:
		return r, err
	case r.Deleted.IsZero() == deleted:
		return Report{}, notFound("report", id)
	case revision != 0 && r.Revision != revision:
		return r, &RevisionError{What: "report", ID: id, Now: r.Revision, Asked: revision}
	}
	return r, nil
}

// CreateReport stores a new report; its ID, revision and times are set here, and those deleted long ago are removed.
func (s *Store) CreateReport(ctx context.Context, title string, body []byte) (Report, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Report{}, fmt.Errorf("report id: %w", err)
	}
	now := time.Now().UTC()
	r := Report{ID: id.String(), Title: title, Revision: 1, Created: now, Updated: now, Body: body}
	made, err := s.updateOnce(ctx, 1, r.ID, func(t *txn) error {
		n := 0
		var gone [][]byte
		c := t.Tx.Bucket(bucketReports).Cursor()
		for k, b := c.First(); k != nil; k, b = c.Next() {
			old, err := readReport(k, b)
			if err != nil {
				return err
			}
			if n++; !old.Deleted.IsZero() && now.Sub(old.Deleted) > s.opts.KeepDeleted {
				gone = append(gone, bytes.Clone(k))
			}
		}
		for _, k := range gone {
			if err := t.Bucket(bucketReports).Delete(k); err != nil {
				return err
			}
		}
		if n -= len(gone); n >= MaxReports {
			return experiments.Errorf(experiments.CodeTooLarge, "there are %d reports, at most %d: remove some", n, MaxReports)
		}
		return putReport(t, r)
	})
	if err != nil || made == r.ID {
		return r, err
	}
	return s.Report(context.WithoutCancel(ctx), made)
}

// Report gives one report.
func (s *Store) Report(ctx context.Context, id string) (r Report, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) (err error) {
		r, err = reportOf(tx, id, 0, false)
		return err
	})
	return r, err
}

// Reports lists reports without their bodies, those changed last first; deleted ones where they are wanted, and only they. look
// sees each with its body, in no order, and may see it again.
func (s *Store) Reports(ctx context.Context, deleted bool, look func(*Report) error) ([]Report, error) {
	items := []Report{}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		items = items[:0]
		return tx.Bucket(bucketReports).ForEach(func(k, b []byte) error {
			r, err := readReport(k, b)
			if err != nil || r.Deleted.IsZero() == deleted {
				return err
			}
			if err := look(&r); err != nil {
				return fmt.Errorf("record of report %q: %w", k, err)
			}
			r.Body = nil
			items = append(items, r)
			return nil
		})
	})
	slices.SortFunc(items, func(a, b Report) int { return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(a.ID, b.ID)) })
	return items, err
}

// UpdateReport changes title and body of a report that is at a revision (0: whichever), else it is a *RevisionError.
// change may run more than once.
func (s *Store) UpdateReport(ctx context.Context, id string, revision int64, change func(*Report) error) (out Report, err error) {
	return s.changeReport(ctx, id, revision, false, func(r *Report) error {
		now := *r
		if err := change(&now); err != nil {
			return err
		}
		r.Title, r.Body, r.Revision, r.Updated = now.Title, now.Body, r.Revision+1, time.Now().UTC()
		return nil
	})
}

// DeleteReport takes a report at a revision (0: whichever) and its links away; RestoreReport brings both back.
func (s *Store) DeleteReport(ctx context.Context, id string, revision int64) error {
	_, err := s.changeReport(ctx, id, revision, false, func(r *Report) error {
		r.Deleted = time.Now().UTC()
		return nil
	})
	return err
}

// RestoreReport undoes a deletion.
func (s *Store) RestoreReport(ctx context.Context, id string) (Report, error) {
	return s.changeReport(ctx, id, 0, true, func(r *Report) error {
		r.Deleted = time.Time{}
		return nil
	})
}

func (s *Store) changeReport(ctx context.Context, id string, revision int64, deleted bool, change func(*Report) error) (out Report, err error) {
	err = s.update(ctx, 1, func(t *txn) error {
		r, err := reportOf(t.Tx, id, revision, deleted)
		if err == nil {
			err = change(&r)
		}
		if err != nil {
			return err
		}
		out = r
		return putReport(t, r)
	})
	return out, err
}

// ShareReport makes a link to a report: its secret, of 256 random bits, is given here and never again.
func (s *Store) ShareReport(ctx context.Context, id string) (share ReportShare, secret string, err error) {
	name, err := uuid.NewV7()
	if err != nil {
		return share, "", fmt.Errorf("share id: %w", err)
	}
	random := make([]byte, 32)
	rand.Read(random) //nolint:errcheck // it never fails: the program ends where the system has no random bytes
	secret = base64.RawURLEncoding.EncodeToString(random)
	sum := sha256.Sum256([]byte(secret))
	share = ReportShare{ID: name.String(), Created: time.Now().UTC(), Hash: sum[:]}
	_, err = s.changeReport(ctx, id, 0, false, func(r *Report) error {
		if len(r.Shares) >= MaxReportShares {
			return experiments.Errorf(experiments.CodeTooLarge, "report %q has %d links, at most %d: withdraw some", r.Title, len(r.Shares), MaxReportShares)
		}
		r.Shares = append(r.Shares, share)
		return nil
	})
	return share, secret, err
}

// WithdrawShare ends a link.
func (s *Store) WithdrawShare(ctx context.Context, id, share string) error {
	_, err := s.changeReport(ctx, id, 0, false, func(r *Report) error {
		n := len(r.Shares)
		if r.Shares = slices.DeleteFunc(r.Shares, func(x ReportShare) bool { return x.ID == share }); len(r.Shares) == n {
			return notFound("share", share)
		}
		return nil
	})
	return err
}

// SharedReport gives the report that a link's secret opens. Of one that is unknown, withdrawn, or of a deleted report,
// nothing more is said than CodeNotFound.
func (s *Store) SharedReport(ctx context.Context, secret string) (found Report, err error) {
	sum := sha256.Sum256([]byte(secret))
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		found = Report{}
		return tx.Bucket(bucketReports).ForEach(func(k, b []byte) error {
			r, err := readReport(k, b)
			if err == nil && r.Deleted.IsZero() && slices.ContainsFunc(r.Shares, func(x ReportShare) bool { return bytes.Equal(x.Hash, sum[:]) }) {
				found = r
			}
			return err
		})
	})
	if err == nil && found.ID == "" {
		err = experiments.Errorf(experiments.CodeNotFound, "no report is shared under this link: it was withdrawn, or its address is not whole")
	}
	return found, err
}
