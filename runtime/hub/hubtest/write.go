package hubtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (s *Server) createRepo(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Type, Name, Organization, Visibility string
		Private                              bool
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || in.Name == "" || in.Type != "" && in.Type != "model" {
		fail(w, http.StatusBadRequest, "", "bad repository")
		return
	}
	if s.Token != "" && r.Header.Get("Authorization") != "Bearer "+s.Token {
		fail(w, http.StatusUnauthorized, "", "Invalid username or password.")
		return
	}
	name := in.Organization + "/" + in.Name
	s.mu.Lock()
	_, there := s.repos[name]
	if !there {
		s.repos[name] = newRepo(in.Private || in.Visibility == "private")
		// The Hub starts a repository with a commit of its own.
		s.repos[name].commit("main", map[string]file{".gitattributes": newFile([]byte("*.safetensors filter=lfs diff=lfs merge=lfs -text\n"), false)})
	}
	s.mu.Unlock()
	if there {
		fail(w, http.StatusConflict, "", "You already created this model repo")
		return
	}
	reply(w, http.StatusOK, map[string]string{"url": s.URL + "/" + name, "name": name})
}

func (s *Server) preupload(w http.ResponseWriter, r *http.Request, at opened) {
	var in struct {
		Files []struct {
			Path, Sample string
			Size         int
		}
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		fail(w, http.StatusBadRequest, "", "bad preupload")
		return
	}
	type object map[string]any
	files := []object{}
	for _, f := range in.Files {
		o := object{"path": f.Path, "uploadMode": "regular", "shouldIgnore": strings.HasSuffix(f.Path, ".ignored")}
		if s.isLarge(f.Path, f.Size) {
			o["uploadMode"] = "lfs"
		}
		if old, ok := at.files[f.Path]; ok && old.large {
			o["oid"] = old.hash
		} else if ok {
			o["oid"] = old.blobID
		}
		files = append(files, o)
	}
	reply(w, http.StatusOK, object{"files": files})
}

func (s *Server) lfsBatch(w http.ResponseWriter, r *http.Request, at opened) {
	var in struct {
		Operation string
		Transfers []string
		Objects   []struct {
			OID  string
			Size int
		}
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || in.Operation != "upload" || r.Header.Get("Content-Type") != "application/vnd.git-lfs+json" {
		fail(w, http.StatusBadRequest, "", "bad batch")
		return
	}
	type object map[string]any
	objects := []object{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range in.Objects {
		out := object{"oid": o.OID, "size": o.Size, "authenticated": true}
		if _, there := s.objects[o.OID]; !there {
			to := s.StorageURL + "/upload/" + o.OID
			header := object{"x-signature": "secret"}
			if s.PartSize > 0 && o.Size > s.PartSize {
				header = object{"chunk_size": fmt.Sprint(s.PartSize)}
				n := (o.Size + s.PartSize - 1) / s.PartSize
				for i := 1; i <= n; i++ {
					header[fmt.Sprintf("%05d", i)] = fmt.Sprintf("%s?part=%d", to, i)
				}
				s.parts[o.OID] = make([][]byte, n)
				to = s.URL + "/lfs-complete/" + o.OID + "/x"
			}
			out["actions"] = object{"upload": object{"href": to, "header": header}, "verify": object{"href": s.URL + "/lfs-verify/" + o.OID}}
		}
		objects = append(objects, out)
	}
	reply(w, http.StatusOK, object{"transfer": "basic", "objects": objects})
}

func (s *Server) lfsVerify(w http.ResponseWriter, r *http.Request) {
	var in struct {
		OID  string
		Size int
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	content, ok := s.objects[in.OID]
	s.mu.Unlock()
	if err != nil || !ok || len(content) != in.Size || s.Token != "" && r.Header.Get("Authorization") != "Bearer "+s.Token {
		fail(w, http.StatusNotFound, "", "the object is not there")
		return
	}
	reply(w, http.StatusOK, map[string]string{})
}

func (s *Server) lfsComplete(w http.ResponseWriter, r *http.Request, oid string) {
	var in struct {
		OID   string
		Parts []struct {
			PartNumber int
			ETag       string
		}
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := s.parts[oid]
	if err != nil || in.OID != oid || len(in.Parts) != len(parts) {
		fail(w, http.StatusBadRequest, "", "bad completion")
		return
	}
	for i, p := range in.Parts {
		if p.PartNumber != i+1 || p.ETag != partTag(parts[i]) {
			fail(w, http.StatusBadRequest, "", "a part is not the one that came")
			return
		}
	}
	content := bytes.Join(parts, nil)
	if SHA256(content) != oid {
		fail(w, http.StatusBadRequest, "", "the parts do not make the object")
		return
	}
	s.objects[oid] = content
	delete(s.parts, oid)
	reply(w, http.StatusOK, map[string]string{})
}

func partTag(content []byte) string { return `"` + SHA256(content)[:32] + `"` }

// serveStorage is the object store: it takes signed addresses and refuses a request that carries the
// Hub's token, as S3 does.
func (s *Server) serveStorage(w http.ResponseWriter, r *http.Request) {
	oid := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if r.Header.Get("Authorization") != "" || len(oid) != 2 {
		http.Error(w, "Only one auth mechanism allowed", http.StatusBadRequest)
		return
	}
	switch {
	case oid[0] == "objects" && r.URL.Query().Get("signature") == "secret":
		s.mu.Lock()
		content, ok := s.objects[oid[1]]
		s.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"`+oid[1][:32]+`-1"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	case oid[0] == "upload" && r.Method == http.MethodPut:
		s.storeObject(w, r, oid[1])
	default:
		http.Error(w, "SignatureDoesNotMatch", http.StatusForbidden)
	}
}

func (s *Server) storeObject(w http.ResponseWriter, r *http.Request, oid string) {
	content, err := io.ReadAll(r.Body)
	if err != nil || r.ContentLength != int64(len(content)) {
		http.Error(w, "IncompleteBody", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if part := r.URL.Query().Get("part"); part != "" {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > len(s.parts[oid]) {
			http.Error(w, "NoSuchUpload", http.StatusNotFound)
			return
		}
		s.parts[oid][n-1] = content
		w.Header().Set("ETag", partTag(content))
		return
	}
	if r.Header.Get("x-signature") != "secret" {
		http.Error(w, "SignatureDoesNotMatch", http.StatusForbidden)
		return
	}
	if SHA256(content) != oid {
		http.Error(w, "BadDigest", http.StatusBadRequest)
		return
	}
	s.objects[oid] = content
}

func (s *Server) commitFiles(w http.ResponseWriter, r *http.Request, at opened, branch string) {
	if r.Header.Get("Content-Type") != "application/x-ndjson" {
		fail(w, http.StatusBadRequest, "", "bad content type")
		return
	}
	added := map[string]file{}
	s.mu.Lock()
	defer s.mu.Unlock()
	summary := ""
	for dec := json.NewDecoder(r.Body); ; {
		var line struct {
			Key   string
			Value struct {
				Summary, Path, Content, Encoding, Algo, OID string
				Size                                        int
			}
		}
		err := dec.Decode(&line)
		if err == io.EOF {
			break
		}
		v := line.Value
		switch {
		case err == nil && line.Key == "header":
			summary = v.Summary
		case err == nil && line.Key == "file" && v.Encoding == "base64":
			content, err := base64.StdEncoding.DecodeString(v.Content)
			if err != nil {
				fail(w, http.StatusBadRequest, "", "bad content of "+v.Path)
				return
			}
			added[v.Path] = newFile(content, false)
		case err == nil && line.Key == "lfsFile" && v.Algo == "sha256" && s.objects[v.OID] != nil:
			added[v.Path] = newFile(s.objects[v.OID], true)
		default:
			fail(w, http.StatusBadRequest, "", fmt.Sprintf("bad line %q: %v", line.Key, err))
			return
		}
	}
	if summary == "" || len(added) == 0 {
		fail(w, http.StatusBadRequest, "", "an empty commit")
		return
	}
	id := at.repo.commit(branch, added)
	reply(w, http.StatusOK, map[string]any{"success": true, "commitOid": id, "commitUrl": s.URL + "/" + at.name + "/commit/" + id})
}
