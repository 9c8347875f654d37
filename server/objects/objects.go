// Package objects keeps bytes by their content: SHA-256 and size. An object is there whole and verified or not at all.
package objects

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"regexp"

	"triality/experiments"
)

// ID names an object.
type ID struct {
	SHA256 string `json:"sha256"` // 64 hexadecimal digits, lower case
	Size   int64  `json:"size"`   // bytes
}

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Check refuses what names no object.
func (id ID) Check() error {
	if !hexSHA256.MatchString(id.SHA256) {
		return experiments.Errorf(experiments.CodeInvalid, "%.80q is no SHA-256: want 64 hexadecimal digits, lower case", id.SHA256)
	}
	if id.Size < 0 {
		return experiments.Errorf(experiments.CodeInvalid, "object %s: %d bytes", id.short(), id.Size)
	}
	return nil
}

func (id ID) short() string { return id.SHA256[:min(12, len(id.SHA256))] }

// Of names the bytes in b.
func Of(b []byte) ID {
	sum := sha256.Sum256(b)
	return ID{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(b))}
}

var (
	// ErrDamaged is about bytes that are not those that their name says.
	ErrDamaged = errors.New("the bytes are not those of the name")
	// ErrBusy is about a part that someone else is writing.
	ErrBusy = errors.New("another is writing it")
)

// Store keeps objects.
type Store interface {
	// Has says which of the objects are there.
	Has(ctx context.Context, ids []ID) ([]bool, error)
	// Open reads an object from an offset; close it. One that is not there is CodeNotFound.
	Open(ctx context.Context, id ID, offset int64) (io.ReadCloser, error)
	// Begin takes up an object of an owner: what an earlier call for the two got is there already. Two calls for the
	// two do not meet: the second gets ErrBusy.
	Begin(ctx context.Context, id ID, owner string) (Part, error)
	// Started is how many bytes of an object Begin would find.
	Started(ctx context.Context, id ID, owner string) (int64, error)
	// Remove removes objects; one that is not there is no error.
	Remove(ctx context.Context, ids ...ID) error
	// List gives every object.
	List(ctx context.Context) ([]ID, error)
	// Abandon removes the parts of the owners that keep does not want.
	Abandon(ctx context.Context, keep func(owner string) bool) error
}

// Part is an object that is being received.
type Part interface {
	// Size is how many bytes are there: go on from here.
	Size() int64
	// Write appends. What would make the part longer than its object is CodeTooLarge and not written.
	Write(p []byte) (int, error)
	// Commit makes the part an object, durably. Bytes that are not those of the name are ErrDamaged, and gone. The part
	// is closed either way.
	Commit(ctx context.Context) error
	// Close leaves the part for the next Begin. After Commit it does nothing.
	Close() error
}

// Copy writes an object to w. Bytes that are not those of its name are ErrDamaged, told after they were written.
func Copy(w io.Writer, r io.Reader, id ID) error {
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, hash), io.LimitReader(r, id.Size+1))
	if err != nil {
		return err
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); n != id.Size || sum != id.SHA256 {
		return experiments.Errorf(experiments.CodeInvalid, "object %s of %d bytes: %w: they are %d, their SHA-256 %s", id.short(), id.Size, ErrDamaged, n, sum)
	}
	return nil
}
