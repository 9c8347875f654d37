package hubtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// serveHub takes paths apart by hand: a revision may hold an escaped slash.
func (s *Server) serveHub(w http.ResponseWriter, r *http.Request) {
	var seg []string
	for p := range strings.SplitSeq(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/") {
		p, err := url.PathUnescape(p)
		if err != nil {
			http.Error(w, "bad path", http.StatusBadRequest)
			return
		}
		seg = append(seg, p)
	}
	is := func(method string, n int, words map[int]string) bool {
		if r.Method != method || len(seg) < n {
			return false
		}
		for i, word := range words {
			if seg[i] != word {
				return false
			}
		}
		return true
	}
	post := http.MethodPost
	switch {
	case is(post, 3, map[int]string{0: "api", 1: "repos", 2: "create"}):
		s.createRepo(w, r)
	case is(http.MethodGet, 6, map[int]string{0: "api", 1: "models", 4: "revision"}):
		s.open(w, r, seg[2]+"/"+seg[3], seg[5], false, s.list)
	case is(http.MethodGet, 6, map[int]string{0: "api", 1: "models", 4: "tree"}):
		s.open(w, r, seg[2]+"/"+seg[3], seg[5], false, s.tree)
	case is(post, 6, map[int]string{0: "api", 1: "models", 4: "preupload"}):
		s.open(w, r, seg[2]+"/"+seg[3], seg[5], true, s.preupload)
	case is(post, 6, map[int]string{0: "api", 1: "models", 4: "commit"}):
		s.open(w, r, seg[2]+"/"+seg[3], seg[5], true, func(w http.ResponseWriter, r *http.Request, at opened) {
			s.commitFiles(w, r, at, seg[5])
		})
	case is(post, 6, map[int]string{2: "info", 3: "lfs", 4: "objects", 5: "batch"}):
		s.open(w, r, seg[0]+"/"+strings.TrimSuffix(seg[1], ".git"), "main", true, s.lfsBatch)
	case is(post, 2, map[int]string{0: "lfs-verify"}):
		s.lfsVerify(w, r)
	case is(post, 3, map[int]string{0: "lfs-complete"}):
		s.lfsComplete(w, r, seg[1])
	case len(seg) >= 5 && seg[2] == "resolve" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		path := strings.Join(seg[4:], "/")
		s.open(w, r, seg[0]+"/"+seg[1], seg[3], false, func(w http.ResponseWriter, r *http.Request, at opened) {
			s.resolve(w, r, at, path)
		})
	default:
		fail(w, http.StatusNotFound, "", "no such page")
	}
}

// opened is a repository at a commit.
type opened struct {
	name, commit string
	repo         *repo
	files        map[string]file
}

// open finds the repository and the commit and checks the token. The handler runs with the server
// locked, so it takes what it sends as a value.
func (s *Server) open(w http.ResponseWriter, r *http.Request, name, revision string, write bool, then func(http.ResponseWriter, *http.Request, opened)) {
	s.mu.Lock()
	repo, moved := s.repos[name], s.renamed[name]
	token := s.Token
	var at opened
	if repo != nil {
		at = opened{name: name, repo: repo, commit: repo.resolve(revision)}
		at.files = repo.commits[at.commit]
	}
	gated, private := repo != nil && repo.gated, repo != nil && repo.private
	s.mu.Unlock()
	if moved != "" {
		http.Redirect(w, r, strings.Replace(r.URL.RequestURI(), name, moved, 1), http.StatusTemporaryRedirect)
		return
	}
	authorized := token == "" || r.Header.Get("Authorization") == "Bearer "+token
	switch {
	case r.Header.Get("Authorization") == "" && (repo == nil || private || write && token != ""):
		fail(w, http.StatusUnauthorized, "RepoNotFound", "Invalid username or password.") // the Hub tells nobody which
	case repo == nil || private && !authorized:
		fail(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
	case gated:
		fail(w, http.StatusForbidden, "GatedRepo", "Access to model "+name+" is restricted and you are not in the authorized list.")
	case write && !authorized:
		fail(w, http.StatusForbidden, "", "You don't have the rights to create a commit on this repo.")
	case at.commit == "" && !write:
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
	default:
		then(w, r, at)
	}
}

func fail(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", message)
	reply(w, status, map[string]string{"error": message})
}

func reply(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(text)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, at opened) {
	type object map[string]any
	siblings := []object{}
	for path, f := range at.files {
		o := object{"rfilename": path}
		if r.URL.Query().Get("blobs") != "" {
			o["size"], o["blobId"] = len(f.content), f.blobID
			if f.large {
				o["lfs"] = object{"sha256": f.hash, "size": len(f.content), "pointerSize": len(f.pointer())}
			}
		}
		siblings = append(siblings, o)
	}
	byName := func(a, b object) int { return strings.Compare(a["rfilename"].(string), b["rfilename"].(string)) }
	slices.SortFunc(siblings, byName)
	reply(w, http.StatusOK, object{"id": at.name, "modelId": at.name, "sha": at.commit, "siblings": siblings})
}

// tree is the other listing, which huggingface_hub asks for; everything is on one page.
func (s *Server) tree(w http.ResponseWriter, r *http.Request, at opened) {
	type object map[string]any
	out := []object{}
	for path, f := range at.files {
		o := object{"type": "file", "path": path, "size": len(f.content), "oid": f.blobID}
		if f.large {
			o["lfs"] = object{"oid": f.hash, "size": len(f.content), "pointerSize": len(f.pointer())}
		}
		out = append(out, o)
	}
	reply(w, http.StatusOK, out)
}

// resolve gives a small file itself and sends to the object store for a large one.
func (s *Server) resolve(w http.ResponseWriter, r *http.Request, at opened, path string) {
	h := w.Header()
	h.Set("X-Repo-Commit", at.commit)
	f, ok := at.files[path]
	if !ok {
		fail(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	if !f.large {
		h.Set("ETag", `"`+f.blobID+`"`)
		http.ServeContent(w, r, path, time.Time{}, bytes.NewReader(f.content))
		return
	}
	h.Set("X-Linked-Etag", `"`+f.hash+`"`)
	h.Set("X-Linked-Size", fmt.Sprint(len(f.content)))
	h.Set("ETag", `"`+f.blobID+`"`)
	h.Set("Location", s.StorageURL+"/objects/"+f.hash+"?signature=secret")
	w.WriteHeader(http.StatusFound)
	fmt.Fprint(w, "Found. Redirecting")
}
