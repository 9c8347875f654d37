package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"triality/server/worker"
)

// member is a worker that has joined.
type member struct {
	name     string
	instance string
	folder   string
	info     Info
	heard    time.Duration // on the server's clock
	alive    bool          // as it was told last
	left     bool
	taken    int // of its slots
}

// alive says whether a worker was heard of within its lease. The caller holds mu.
func (s *Server) alive(m *member) bool { return !m.left && s.now()-m.heard < s.timing.Lease }

// connected says whether a worker of that name was heard of within its lease.
func (s *Server) connected(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.members[name]
	return m != nil && s.alive(m)
}

// join lets a worker in, or says why not.
func (s *Server) join(name string, m *nats.Msg) {
	var j joining
	if err := decode(m, &j); err != nil {
		s.reply(m, welcome{Refused: err.Error()})
		return
	}
	if why := s.unfit(name, j); why != "" {
		s.log.Warn("a worker was refused", "worker", name, "error", why)
		s.reply(m, welcome{Refused: why})
		return
	}
	s.mu.Lock()
	before := s.members[name]
	if before != nil && before.folder != j.Folder && s.alive(before) {
		s.mu.Unlock()
		s.reply(m, welcome{Refused: fmt.Sprintf("another worker is called %s, and was heard of %v ago; give --name", name, (s.now() - before.heard).Round(time.Millisecond))})
		return
	}
	now := &member{name: name, instance: j.Instance, folder: j.Folder, info: j.Info, heard: s.now(), alive: true}
	if before != nil {
		now.taken = before.taken
	}
	s.members[name] = now
	s.heldLocked(now, j.Held)
	s.sayLocked(name)
	changed := s.changed
	s.mu.Unlock()
	s.log.Info("a worker joined", "name", name, "system", j.Info.OS+"/"+j.Info.Arch, "cores", j.Info.Cores, "cards", len(j.Info.Cards), "slots", j.Info.Slots)
	s.reply(m, welcome{Lease: s.timing.Lease, Clock: time.Now()})
	changed()
}

// unfit says why a worker may not join; empty: it may.
func (s *Server) unfit(name string, j joining) string {
	switch {
	case CheckName(name) != nil:
		return CheckName(name).Error()
	case s.broker != nil && !s.broker.gate.stands(name):
		return "the token was revoked"
	case j.Info.Version != s.opts.Version || j.Info.Engine != s.opts.Engine:
		return fmt.Sprintf("worker %s is triality %s with engine %s, the server is triality %s with engine %s: run the server's program there",
			name, j.Info.Version, j.Info.Engine, s.opts.Version, s.opts.Engine)
	case j.Info.Slots < 1 || j.Instance == "" || j.Folder == "":
		return "a worker has at least one slot, an instance and a folder"
	}
	return ""
}

// renew prolongs a worker's lease and that of what it runs.
func (s *Server) renew(name string, m *nats.Msg) {
	var r renewal
	if err := decode(m, &r); err != nil {
		s.reply(m, renewed{Refused: err.Error()})
		return
	}
	if s.broker != nil && !s.broker.gate.stands(name) {
		s.reply(m, renewed{Refused: "the token was revoked"})
		return
	}
	s.mu.Lock()
	w := s.members[name]
	if w == nil || w.instance == "" { // nothing, or only the name, is known of it
		s.mu.Unlock()
		s.reply(m, renewed{Unknown: true})
		return
	}
	if w.instance != r.Instance {
		s.mu.Unlock()
		s.reply(m, renewed{Refused: "another process has joined as " + name})
		return
	}
	w.heard, w.left = s.now(), r.Leaving
	answer := renewed{Fenced: s.heldLocked(w, r.Held), Revision: s.revision[name], Clock: time.Now()}
	became := s.alive(w) != w.alive
	w.alive = s.alive(w)
	changed := s.changed
	s.mu.Unlock()
	s.reply(m, answer)
	if became {
		changed()
	}
}

// heldLocked takes what a worker says that it runs, and gives what of it is another's by now. What was begun in its
// folder and is not run any longer is over: the folder has one process at a time, so nobody runs it. What another
// folder's worker of that name began is over when its lease lapses.
func (s *Server) heldLocked(w *member, held []ref) (fenced []ref) {
	for _, r := range held {
		if s.adopted[r] == w.name {
			continue
		}
		a := s.attempts[r.Run]
		if a == nil || a.ref != r || !a.by(w) {
			fenced = append(fenced, r)
			continue
		}
		a.folder, a.deadline = w.folder, s.now()+s.timing.GivenAway()
	}
	for _, a := range s.attempts {
		if a.worker == w.name && a.folder == w.folder && !slices.Contains(held, a.ref) {
			s.endLocked(a, &worker.Lost{Cause: "worker " + w.name + " runs it no longer: its process ended, or its connection was gone for too long"})
		}
	}
	return fenced
}

// Member is a worker as others see it.
type Member struct {
	Name      string `json:"name"`
	Connected bool   `json:"connected"`
	Left      bool   `json:"left"`     // it said good-bye
	HeardMS   int64  `json:"heard_ms"` // milliseconds since it was heard of last
	Info
	Runs []string `json:"runs"`
}

// Members gives the workers that have joined since the server started, by name.
func (s *Server) Members() []Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Member{}
	for _, m := range s.members {
		out := Member{Name: m.name, Connected: s.alive(m), Left: m.left && m.instance != "", HeardMS: (s.now() - m.heard).Milliseconds(), Info: m.info, Runs: []string{}}
		for _, a := range s.attempts {
			if a.worker == m.name {
				out.Runs = append(out.Runs, a.Run)
			}
		}
		slices.Sort(out.Runs)
		list = append(list, out)
	}
	slices.SortFunc(list, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
