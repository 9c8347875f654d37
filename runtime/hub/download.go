package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"triality/runtime/disk"
)

// incomplete ends the name of a blob that is not whole yet.
const incomplete = ".incomplete"

// fetch brings one file of a commit into the snapshot.
func (c *Client) fetch(ctx context.Context, ref Ref, commit string, f File, m *meter) error {
	s := subject{Ref{ref.Repo, commit}, f.Path}
	if f.hash() == "" || f.Size < 0 {
		listed := max(0, f.Size)
		var err error
		if f, err = c.head(ctx, commit, f, s); err != nil {
			return err
		}
		m.grow(f.Size - listed)
	}
	hash := f.hash()
	unlock, err := c.lock(ctx, ref.Repo, hash, s)
	if err != nil {
		return err
	}
	defer unlock()
	if c.cache.has(ref.Repo, commit, f) { // another process was faster
		m.add(f.Path, f.Size)
		m.done(f.Path)
		return nil
	}
	blob := c.cache.blob(ref.Repo, hash)
	info, err := os.Stat(blob)
	isNew := err != nil || info.Size() != f.Size
	if isNew {
		err = c.download(ctx, blob, commit, f, m, s)
	} else {
		m.add(f.Path, f.Size)
		err = nil
	}
	if err != nil {
		return err
	}
	if err := c.cache.link(ref.Repo, commit, f, hash, isNew); err != nil {
		return err
	}
	m.done(f.Path)
	return nil
}

// fileURL is where the endpoint gives a file's content.
func (c *Client) fileURL(s subject) string {
	parts := strings.Split(s.file, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return fmt.Sprintf("%s/%s/resolve/%s/%s", c.endpoint, s.ref.Repo, url.PathEscape(s.ref.Revision), strings.Join(parts, "/"))
}

// head asks for the hash and size that the listing did not give.
func (c *Client) head(ctx context.Context, commit string, f File, s subject) (File, error) {
	err := c.retry(ctx, c.retries, func() (bool, error) {
		wctx, w := c.watch(context.WithValue(ctx, stopAtForeign{}, true), c.stall)
		defer w.stop()
		req, err := http.NewRequestWithContext(wctx, http.MethodHead, c.fileURL(s), nil)
		if err != nil {
			return false, fmt.Errorf("%s: %w", s, err)
		}
		req.Header.Set("Accept-Encoding", "identity")
		resp, err := c.send(req, s)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if resp.StatusCode/100 != 2 && resp.StatusCode/100 != 3 {
			return false, c.statusFailure(resp, s)
		}
		tag := announced(resp.Header)
		switch {
		case sha256ID.MatchString(tag):
			f.SHA256, f.BlobID = tag, ""
		case sha1ID.MatchString(tag):
			f.BlobID = tag
		default:
			return false, failf(ErrRefused, "%s: %s gives no checksum for it (ETag %.80q)", s, c.endpoint, tag)
		}
		f.Size = linkedSize(resp)
		if f.Size < 0 {
			return false, failf(ErrRefused, "%s: %s gives no size for it", s, c.endpoint)
		}
		return false, checkCommit(resp.Header, commit, s)
	})
	return f, err
}

// announced is the hash that an answer of the endpoint names: of what it links to, or of its body.
func announced(h http.Header) string {
	tag := strings.TrimPrefix(or(h.Get("X-Linked-Etag"), h.Get("ETag")), "W/")
	return strings.Trim(tag, `"`)
}

// linkedSize is the size of what an answer is or links to; -1 where it does not say.
func linkedSize(resp *http.Response) int64 {
	if v := resp.Header.Get("X-Linked-Size"); v != "" {
		var n int64
		if _, err := fmt.Sscan(v, &n); err == nil && n >= 0 {
			return n
		}
		return -1
	}
	if resp.StatusCode/100 == 2 {
		return resp.ContentLength
	}
	return -1
}

func checkCommit(h http.Header, commit string, s subject) error {
	if got := h.Get("X-Repo-Commit"); got != "" && got != commit {
		return failf(ErrRefused, "%s: asked for commit %s, got %.60q", s, commit, got)
	}
	return nil
}

// download makes a blob: what a cut download left is taken up, the content hashed as it comes, and the
// name given once it is right and on the disk.
func (c *Client) download(ctx context.Context, blob, commit string, f File, m *meter, s subject) error {
	part, err := openPart(blob+incomplete, f)
	if err != nil {
		return diskFailure(fmt.Errorf("hub cache: %w", err), c.cache.dir)
	}
	defer part.Close()
	if room, err := c.free(filepath.Dir(blob)); err == nil && f.Size > part.size && room < uint64(f.Size-part.size) {
		return failf(ErrDiskFull, "%s: %d more bytes are needed at %s, and %d are free; make room or name another folder with HF_HUB_CACHE", s, f.Size-part.size, c.cache.dir, room)
	}
	m.add(f.Path, part.size)
	for {
		resumed := part.size > 0
		if err := c.fill(ctx, part, commit, m, s); err != nil {
			return err
		}
		got, ok := part.digest.check()
		if ok {
			break
		}
		m.add(f.Path, -part.size)
		if !resumed || !part.old {
			disk.Remove(part.Name())
			return failf(ErrChecksum, "%s: its checksum is %s and should be %s; what came is removed: try again, and if it stays so the endpoint's copy is damaged", s, got, f.hash())
		}
		// What an earlier process left may be the damaged part.
		c.say(fmt.Sprintf("%s: what an earlier download left does not match; starting afresh", s))
		if err := part.restart(); err != nil {
			return diskFailure(fmt.Errorf("hub cache: %w", err), c.cache.dir)
		}
	}
	if err := errors.Join(part.Sync(), part.Close()); err != nil {
		return diskFailure(fmt.Errorf("hub cache: %w", err), c.cache.dir)
	}
	if err := disk.Rename(part.Name(), blob); err != nil {
		return fmt.Errorf("hub cache: %w", err)
	}
	return disk.SyncDir(filepath.Dir(blob))
}

// fill asks for what is missing of a part until it is all there.
func (c *Client) fill(ctx context.Context, part *part, commit string, m *meter, s subject) error {
	return c.retry(ctx, c.retries, func() (bool, error) {
		if part.size == part.file.Size && part.size > 0 {
			return false, nil
		}
		before := part.size
		err := c.get(ctx, part, commit, m, s)
		return part.size > before, err
	})
}

// get makes one request for the rest of a part.
func (c *Client) get(ctx context.Context, part *part, commit string, m *meter, s subject) error {
	ctx, w := c.watch(ctx, c.stall)
	defer w.stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.fileURL(s), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	req.Header.Set("Accept-Encoding", "identity") // the hash is of the plain bytes
	if part.size > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", part.size))
	}
	resp, err := c.send(req, s)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := c.checkAnswers(resp, part.file, commit, s); err != nil {
		return err
	}
	switch start := int64(-1); {
	case resp.StatusCode == http.StatusOK:
		if part.size > 0 { // it cannot resume
			m.add(part.file.Path, -part.size)
			if err := part.restart(); err != nil {
				return diskFailure(fmt.Errorf("hub cache: %w", err), c.cache.dir)
			}
		}
	case resp.StatusCode == http.StatusPartialContent:
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &start); err != nil || start != part.size {
			return failf(ErrRefused, "%s: asked for bytes from %d on, got %.80q", s, part.size, resp.Header.Get("Content-Range"))
		}
	default:
		return c.statusFailure(resp, s)
	}
	return c.receive(part, w.reader(resp.Body), m, s)
}

// checkAnswers looks at the endpoint's own answers on the way to resp: they must be about this commit
// and this content. What other hosts say of themselves is not looked at; the checksum decides.
func (c *Client) checkAnswers(resp *http.Response, f File, commit string, s subject) error {
	for r := resp; r != nil && r.Request != nil; r = r.Request.Response {
		if !c.sameOrigin(r.Request.URL) {
			continue
		}
		if err := checkCommit(r.Header, commit, s); err != nil {
			return err
		}
		if tag := strings.Trim(r.Header.Get("X-Linked-Etag"), `"`); tag != "" && tag != f.hash() {
			return failf(ErrRefused, "%s: the listing gives checksum %s, the file's answer %.80q", s, f.hash(), tag)
		}
	}
	return nil
}

// receive appends a body to a part.
func (c *Client) receive(part *part, body io.Reader, m *meter, s subject) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if part.size+int64(n) > part.file.Size {
				return failf(ErrRefused, "%s: more came than the %d bytes announced", s, part.file.Size)
			}
			if err := part.append(buf[:n]); err != nil {
				return diskFailure(fmt.Errorf("hub cache: %w", err), c.cache.dir)
			}
			m.add(part.file.Path, int64(n))
		}
		switch {
		case err == io.EOF && part.size == part.file.Size:
			return nil
		case err == io.EOF:
			return &temporary{err: failf(ErrUnreachable, "%s: cut at byte %d of %d", s, part.size, part.file.Size)}
		case err != nil:
			return &temporary{err: failf(ErrUnreachable, "%s: cut at byte %d of %d: %w", s, part.size, part.file.Size, err)}
		}
	}
}

// part is a blob on its way.
type part struct {
	*disk.File
	file   File
	size   int64 // bytes there
	old    bool  // some are an earlier process's
	digest digest
}

// openPart opens what an earlier download left, or a new file, and hashes what is there.
func openPart(path string, file File) (*part, error) {
	f, err := disk.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	p := &part{File: f, file: file, digest: newDigest(file.hash(), file.Size)}
	n, err := io.Copy(p.digest, io.LimitReader(f, file.Size+1))
	p.size, p.old = n, n > 0
	if err == nil && n > file.Size {
		err = p.restart()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

func (p *part) append(b []byte) error {
	if _, err := p.WriteAt(b, p.size); err != nil {
		return err
	}
	p.size += int64(len(b))
	_, err := p.digest.Write(b)
	return err
}

// restart throws away what is there.
func (p *part) restart() error {
	p.size, p.old, p.digest = 0, false, newDigest(p.file.hash(), p.file.Size)
	return p.Truncate(0)
}

// Close may be called twice.
func (p *part) Close() error {
	if err := p.File.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}
