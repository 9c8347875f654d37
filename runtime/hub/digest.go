package hub

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
)

// digest checks content against the hash that names it.
type digest struct {
	hash.Hash
	want string
}

// newDigest takes a SHA-256 of the content (64 digits), or the SHA-1 that git gives a blob of size
// bytes (40 digits).
func newDigest(want string, size int64) digest {
	if len(want) == 2*sha256.Size {
		return digest{sha256.New(), want}
	}
	return digest{newGitBlob(size), want}
}

// newGitBlob hashes as git does: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects.
func newGitBlob(size int64) hash.Hash {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", size)
	return h
}

func (d digest) check() (got string, ok bool) {
	got = hex.EncodeToString(d.Sum(nil))
	return got, got == d.want
}
