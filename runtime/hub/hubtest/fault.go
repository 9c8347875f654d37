package hubtest

import (
	"maps"
	"net/http"
	"strings"
	"time"
)

// Fault is a failure of the next requests that match it.
type Fault struct {
	Storage bool   // at the object store, not the Hub
	Method  string // empty: any
	Path    string // part of the request's path; empty: any
	Times   int    // how many requests fail; 0: one

	Status  int         // answer with this status and nothing else
	Header  http.Header // on top of the answer's own
	CutAt   int64       // break the connection after so many bytes of the body
	Corrupt bool        // flip a bit of the first byte of the body
	NoRange bool        // answer as a server that knows no ranges
	Wait    time.Duration
}

// Fail adds a fault.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Times = max(1, f.Times)
	s.faults = append(s.faults, &f)
}

// fault takes the first fault that a request meets.
func (s *Server) fault(storage bool, r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.Times > 0 && f.Storage == storage && (f.Method == "" || f.Method == r.Method) && strings.Contains(r.URL.Path, f.Path) {
			f.Times--
			return f
		}
	}
	return nil
}

// answer counts a body and spoils it.
type answer struct {
	http.ResponseWriter
	status int
	sent   int64
	header http.Header // on top of the handler's
	cutAt  int64       // -1: whole
	flip   bool
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	maps.Copy(a.Header(), a.header)
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.flip && a.sent == 0 && len(p) > 0 {
		p = append([]byte{p[0] ^ 1}, p[1:]...)
	}
	cut := a.cutAt >= 0 && a.sent+int64(len(p)) >= a.cutAt
	if cut {
		p = p[:max(0, a.cutAt-a.sent)]
	}
	n, err := a.ResponseWriter.Write(p)
	a.sent += int64(n)
	if cut {
		http.NewResponseController(a.ResponseWriter).Flush()
		panic(http.ErrAbortHandler) // net/http's way to break a connection
	}
	return n, err
}
