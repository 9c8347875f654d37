package hub

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// UploadOptions says how a folder becomes a commit.
type UploadOptions struct {
	Message string // summary of the commit; empty: "Upload FOLDER"
	Branch  string // empty: DefaultRevision
	Create  bool   // make the repository where there is none
	Private bool   // of a repository that is made
}

// Commit is what an upload made.
type Commit struct {
	ID        string // of the new commit, or of the branch's head where nothing had changed
	URL       string // its page; empty where nothing had changed
	Uploaded  int    // files whose content was sent
	Unchanged int    // files that the branch had already
}

// uploadFile is a file on its way to the endpoint.
type uploadFile struct {
	name   string // path in the repository
	path   string // on this machine
	size   int64
	sample []byte // its first 512 bytes
	lfs    bool
	remote string // hash of what the branch has under the name; empty: nothing
	hash   string // SHA-256 where lfs, git blob SHA-1 where not
	ignore bool   // the repository's .gitignore names it
}

// batchFiles is how many files one request may name.
const batchFiles = 256

// Upload makes one commit of every file in a folder; hidden ones (".git", ".cache") stay out, but for
// .gitattributes. Files of the branch that the folder lacks stay as they are. The endpoint says which
// files are large (git LFS); those are sent first, in parts where it asks for parts, and the commit
// names them by hash. A file that the branch has already is not sent again.
func (c *Client) Upload(ctx context.Context, repo, folder string, o UploadOptions) (Commit, error) {
	ref := Ref{Repo: repo, Revision: or(o.Branch, DefaultRevision)}
	if err := ref.check(); err != nil {
		return Commit{}, failf(ErrNotFound, "%w", err)
	}
	if c.token == "" && !c.offline {
		return Commit{}, failf(ErrAccess, "an upload needs a token that may write %s; set HF_TOKEN (%s/settings/tokens)", repo, c.endpoint)
	}
	files, err := folderFiles(folder)
	if err != nil {
		return Commit{}, err
	}
	if o.Create {
		if err := c.create(ctx, ref, o.Private); err != nil {
			return Commit{}, err
		}
	}
	for batch := range slices.Chunk(files, batchFiles) {
		if err := c.preupload(ctx, ref, batch); err != nil {
			return Commit{}, err
		}
	}
	files = slices.DeleteFunc(files, func(f *uploadFile) bool { return f.ignore })
	all := len(files)
	for _, f := range files {
		if err := f.digest(ctx); err != nil {
			return Commit{}, err
		}
	}
	files = slices.DeleteFunc(files, func(f *uploadFile) bool { return f.hash == f.remote })
	made := Commit{Uploaded: len(files), Unchanged: all - len(files)}
	if len(files) == 0 {
		l, err := c.listing(ctx, ref, c.retries)
		made.ID = l.Commit
		return made, err
	}
	m := newUploadMeter(ref, files, c.progress)
	if err := c.sendLarge(ctx, ref, files, m); err != nil {
		return Commit{}, err
	}
	made.ID, made.URL, err = c.commit(ctx, ref, files, or(o.Message, "Upload "+filepath.Base(folder)), m)
	return made, err
}

func newUploadMeter(ref Ref, files []*uploadFile, tell func(Progress)) *meter {
	list := make([]File, len(files))
	for i, f := range files {
		list[i].Size = f.size
	}
	return newMeter(ref, list, tell)
}

// folderFiles lists what an upload sends, by name.
func folderFiles(folder string) ([]*uploadFile, error) {
	var out []*uploadFile
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == folder {
			return nil
		}
		if strings.HasPrefix(d.Name(), ".") && d.Name() != ".gitattributes" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		info, err := os.Stat(path) // a cache's snapshot is a folder of links
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a link to one", path)
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		f := &uploadFile{name: filepath.ToSlash(name), path: path, size: info.Size()}
		if err := checkName(f.name); err != nil {
			return err
		}
		f.sample, err = head512(path)
		out = append(out, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("upload: %s holds no files", folder)
	}
	return out, nil
}

func head512(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 512))
}

// digest hashes the file the way its upload names it.
func (f *uploadFile) digest(ctx context.Context) error {
	d := newDigest("", f.size)
	if f.lfs {
		d = newDigest(strings.Repeat("0", 64), f.size)
	}
	in, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	defer in.Close()
	n, err := io.Copy(d, contextReader{ctx, in})
	if err == nil && n != f.size {
		err = fmt.Errorf("%s changed while it was read", f.path)
	}
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	f.hash = hex.EncodeToString(d.Sum(nil))
	return nil
}

// contextReader ends when its context does.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// create makes a repository; one that is there already is fine.
func (c *Client) create(ctx context.Context, ref Ref, private bool) error {
	org, name, _ := strings.Cut(ref.Repo, "/")
	in := map[string]any{"type": "model", "organization": org, "name": name, "private": private}
	err := c.call(ctx, c.retries, "/api/repos/create", in, nil, subject{ref: ref})
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusConflict {
		return nil
	}
	if errors.Is(err, ErrAccess) { // the token may write this repository yet make none
		if _, there := c.listing(ctx, Ref{ref.Repo, DefaultRevision}, 0); there == nil {
			return nil
		}
	}
	return err
}

// preupload asks which files are large and which the branch has already.
func (c *Client) preupload(ctx context.Context, ref Ref, files []*uploadFile) error {
	type named struct {
		Path   string `json:"path"`
		Sample string `json:"sample"`
		Size   int64  `json:"size"`
	}
	var in struct {
		Files []named `json:"files"`
	}
	byName := map[string]*uploadFile{}
	for _, f := range files {
		in.Files = append(in.Files, named{f.name, base64.StdEncoding.EncodeToString(f.sample), f.size})
		byName[f.name] = f
	}
	var out struct {
		Files []struct {
			Path   string  `json:"path"`
			Mode   string  `json:"uploadMode"`
			Ignore bool    `json:"shouldIgnore"`
			OID    *string `json:"oid"`
		} `json:"files"`
	}
	path := fmt.Sprintf("/api/models/%s/preupload/%s", ref.Repo, url.PathEscape(ref.Revision))
	if err := c.call(ctx, c.retries, path, in, &out, subject{ref: ref}); err != nil {
		return err
	}
	for _, said := range out.Files {
		f, ok := byName[said.Path]
		if !ok || said.Mode != "lfs" && said.Mode != "regular" {
			return failf(ErrRefused, "%s: the endpoint's answer about %q (upload mode %q) is not understood", ref.Repo, said.Path, said.Mode)
		}
		delete(byName, said.Path)
		f.lfs = said.Mode == "lfs" && f.size > 0 // object stores take no empty object
		f.ignore = said.Ignore
		if said.OID != nil {
			f.remote = *said.OID
		}
	}
	for name := range byName {
		return failf(ErrRefused, "%s: the endpoint did not say how to upload %s", ref.Repo, name)
	}
	return nil
}
