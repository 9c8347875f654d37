package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
)

// File is one file of a repository at a commit.
type File struct {
	Path   string // with slashes
	Size   int64  // bytes; -1 where the listing does not say
	BlobID string // git object id, SHA-1: of the content, or for a large file of its pointer
	SHA256 string // of the content of a large file (git LFS); empty for a small one
}

// hash is the name of the file's blob in the cache, which is also its checksum; empty where the
// listing has none.
func (f File) hash() string { return or(f.SHA256, f.BlobID) }

// Listing is what a repository holds at a commit.
type Listing struct {
	Commit string
	Files  []File
}

// repoInfo is the answer of /api/models/REPO/revision/REV?blobs=true, as far as it is read.
type repoInfo struct {
	SHA      string `json:"sha"`
	Siblings []struct {
		Name   string `json:"rfilename"`
		Size   *int64 `json:"size"`
		BlobID string `json:"blobId"`
		LFS    *struct {
			SHA256 string `json:"sha256"`
			Size   int64  `json:"size"`
		} `json:"lfs"`
	} `json:"siblings"`
}

// parseListing reads the answer and refuses what would harm: a commit or a hash that is none, a name
// that leads out of the folder, one name twice, a negative size.
func parseListing(text []byte) (Listing, error) {
	var info repoInfo
	if err := json.Unmarshal(text, &info); err != nil {
		return Listing{}, failf(ErrRefused, "the listing does not parse: %w", err)
	}
	l := Listing{Commit: info.SHA, Files: make([]File, 0, len(info.Siblings))}
	for _, s := range info.Siblings {
		f := File{Path: s.Name, Size: -1, BlobID: s.BlobID}
		if s.Size != nil {
			f.Size = *s.Size
		}
		if s.LFS != nil {
			f.SHA256, f.Size = s.LFS.SHA256, s.LFS.Size
			if f.SHA256 == "" {
				f.BlobID = "" // the pointer's id is not the content's
			}
		}
		l.Files = append(l.Files, f)
	}
	return l, l.check()
}

func (l Listing) check() error {
	if !isCommit(l.Commit) {
		return failf(ErrRefused, "the listing's commit %.60q is none", l.Commit)
	}
	seen := make(map[string]bool, len(l.Files))
	for _, f := range l.Files {
		if err := checkName(f.Path); err != nil {
			return failf(ErrRefused, "the listing is hostile: %w", err)
		}
		switch {
		case seen[f.Path]:
			return failf(ErrRefused, "the listing names %s twice", f.Path)
		case f.BlobID != "" && !sha1ID.MatchString(f.BlobID), f.SHA256 != "" && !sha256ID.MatchString(f.SHA256):
			return failf(ErrRefused, "the listing's hash of %s is none", f.Path)
		case f.Size < -1:
			return failf(ErrRefused, "the listing gives %s a negative size", f.Path)
		}
		seen[f.Path] = true
	}
	return nil
}

// listing asks the endpoint what a repository holds at a revision.
func (c *Client) listing(ctx context.Context, ref Ref, retries int) (Listing, error) {
	var text []byte
	path := fmt.Sprintf("/api/models/%s/revision/%s?blobs=true", ref.Repo, url.PathEscape(ref.Revision))
	if err := c.call(ctx, retries, path, nil, &text, subject{ref: ref}); err != nil {
		return Listing{}, err
	}
	l, err := parseListing(text)
	if err != nil {
		return l, fmt.Errorf("%s: %w", ref.Repo, err)
	}
	if isCommit(ref.Revision) && l.Commit != ref.Revision {
		return l, failf(ErrRefused, "%s: asked for commit %s, the endpoint lists %s", ref.Repo, ref.Revision, l.Commit)
	}
	return l, nil
}
