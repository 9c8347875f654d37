// Package hubtest is a Hub in the process, for tests: it speaks the protocol of the public Hub as
// huggingface_hub uses it (listing, resolve with redirects of large files to another host, ranges,
// repository creation, preupload, git LFS batch with basic and multipart transfer, commits), keeps
// everything in memory, and fails where it is told to.
package hubtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is a Hub and its object store, which is another host.
type Server struct {
	URL        string // of the Hub: HF_ENDPOINT
	StorageURL string // of the object store

	// LargeAt is the size from which a file is large (git LFS). .safetensors files always are.
	LargeAt int
	// PartSize makes large uploads come in parts of so many bytes; 0: in one.
	PartSize int
	// Token is what private repositories and every write ask for; empty: none.
	Token string

	mu       sync.Mutex
	repos    map[string]*repo
	renamed  map[string]string   // old name to new
	objects  map[string][]byte   // SHA-256 to content
	parts    map[string][][]byte // the same, under way
	faults   []*Fault
	requests []Request
	hub      *httptest.Server
	storage  *httptest.Server
}

// Request is one request that came in.
type Request struct {
	Storage       bool // at the object store
	Method        string
	Path          string
	Query         string
	Range         string
	Authorization string
	Status        int
	Sent          int64 // bytes of the answer's body
}

// repo is one model repository.
type repo struct {
	gated   bool
	private bool
	heads   map[string]string // branch to commit
	commits map[string]map[string]file
}

type file struct {
	content []byte
	large   bool
	hash    string // SHA-256
	blobID  string // git object id, for a large file of its pointer
}

func newFile(content []byte, large bool) file {
	f := file{content: content, large: large, hash: SHA256(content)}
	if large {
		f.blobID = GitSHA1(f.pointer())
	} else {
		f.blobID = GitSHA1(content)
	}
	return f
}

// New starts a server; Close ends it.
func New() *Server {
	s := &Server{LargeAt: 1 << 20, repos: map[string]*repo{}, renamed: map[string]string{}, objects: map[string][]byte{}, parts: map[string][][]byte{}}
	s.hub = httptest.NewServer(s.record(false, http.HandlerFunc(s.serveHub)))
	s.storage = httptest.NewServer(s.record(true, http.HandlerFunc(s.serveStorage)))
	// The two differ in more than the port, as they do in the world.
	s.URL, s.StorageURL = s.hub.URL, strings.Replace(s.storage.URL, "127.0.0.1", "localhost", 1)
	return s
}

// Close ends the server.
func (s *Server) Close() {
	s.hub.Close()
	s.storage.Close()
}

// Put commits files (path to content) on top of a branch, which is made where needed, and gives the
// commit.
func (s *Server) Put(name, branch string, files map[string][]byte) (commit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[name]
	if r == nil {
		r = newRepo(false)
		s.repos[name] = r
	}
	added := map[string]file{}
	for path, content := range files {
		added[path] = s.file(path, content)
	}
	return r.commit(branch, added)
}

func newRepo(private bool) *repo {
	r := &repo{private: private, heads: map[string]string{}, commits: map[string]map[string]file{}}
	return r
}

// file decides whether a file is large, and keeps a large one's content.
func (s *Server) file(path string, content []byte) file {
	f := newFile(content, s.isLarge(path, len(content)))
	if f.large {
		s.objects[f.hash] = content
	}
	return f
}

func (s *Server) isLarge(path string, size int) bool {
	return size >= s.LargeAt || strings.HasSuffix(path, ".safetensors")
}

// commit adds a commit on top of a branch.
func (r *repo) commit(branch string, added map[string]file) string {
	all := maps.Clone(r.commits[r.heads[branch]])
	if all == nil {
		all = map[string]file{}
	}
	maps.Copy(all, added)
	h := sha1.New()
	fmt.Fprintf(h, "parent %s\n", r.heads[branch])
	for _, path := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(h, "%s %s\n", all[path].blobID, path)
	}
	id := hex.EncodeToString(h.Sum(nil))
	r.commits[id], r.heads[branch] = all, id
	return id
}

// Gate makes a repository ask for its terms to be accepted, or no longer.
func (s *Server) Gate(name string, gated bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[name].gated = gated
}

// Rename gives a repository another name; the old one redirects to it.
func (s *Server) Rename(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[to], s.renamed[from] = s.repos[from], to
	delete(s.repos, from)
}

// Private says whether a repository is private.
func (s *Server) Private(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repos[name].private
}

// Files gives what a branch or commit holds; nil where there is none.
func (s *Server) Files(name, revision string) map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[name]
	if r == nil {
		return nil
	}
	out := map[string][]byte{}
	for path, f := range r.commits[r.resolve(revision)] {
		out[path] = f.content
	}
	return out
}

func (r *repo) resolve(revision string) string {
	if id, ok := r.heads[revision]; ok {
		return id
	}
	if _, ok := r.commits[revision]; ok {
		return revision
	}
	return ""
}

// Requests gives what came in since the last call.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// record notes each request and applies the faults.
func (s *Server) record(storage bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counted := &answer{ResponseWriter: w, status: http.StatusOK, cutAt: -1}
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.requests = append(s.requests, Request{
				Storage: storage, Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Range: r.Header.Get("Range"),
				Authorization: r.Header.Get("Authorization"), Status: counted.status, Sent: counted.sent,
			})
		}()
		f := s.fault(storage, r)
		if f == nil {
			next.ServeHTTP(counted, r)
			return
		}
		if f.Wait > 0 {
			select {
			case <-time.After(f.Wait):
			case <-r.Context().Done():
				return
			}
		}
		counted.header = f.Header
		if f.Status != 0 {
			counted.WriteHeader(f.Status)
			fmt.Fprintf(counted, `{"error":"told to fail"}`)
			return
		}
		if f.NoRange {
			r.Header.Del("Range")
		}
		if f.CutAt > 0 {
			counted.cutAt = f.CutAt
		}
		counted.flip = f.Corrupt
		next.ServeHTTP(counted, r)
	})
}

// SHA256 is a content's hash in hexadecimal digits.
func SHA256(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// GitSHA1 is the object id that git gives a content.
func GitSHA1(content []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

// pointer is what git holds of a large file: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
func (f file) pointer() []byte {
	return fmt.Appendf(nil, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", f.hash, len(f.content))
}
