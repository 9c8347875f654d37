package fleet

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"triality/experiments"
	"triality/server/worker"
)

// calls are those of an attempt whose answers its worker has not had yet: a call that is said again is done once.
type calls struct {
	mu    sync.Mutex
	acked uint64
	open  map[uint64]*call
}

// call is one being put together, being done, or answered.
type call struct {
	method string
	parts  [][]byte
	got    int
	done   chan struct{}
	answer [][]byte
	err    error
}

// maxCall bounds a call's arguments; an adapter on its way to the store is the largest.
const maxCall = 1<<30 + 1<<20

// errAgain asks the worker to say a call from its beginning.
var errAgain = errors.New("say the call again")

// take adds a part. first is true for the one that makes the call whole; c is nil where parts are missing, or where
// the worker has had its answer.
func (cs *calls) take(h head, part []byte) (c *call, first bool, err error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if h.ID < cs.acked {
		return nil, false, nil // a late repetition
	}
	for id := range cs.open {
		if id < h.Acked {
			delete(cs.open, id)
		}
	}
	cs.acked = max(cs.acked, h.Acked)
	if cs.open == nil {
		cs.open = map[uint64]*call{}
	}
	if c = cs.open[h.ID]; c == nil {
		if h.Want != 0 || h.Part != 0 {
			return nil, false, errAgain
		}
		if h.Parts < 1 || h.Parts > maxCall/partBytes {
			return nil, false, experiments.Errorf(experiments.CodeTooLarge, "%s: %d parts", h.Method, h.Parts)
		}
		c = &call{method: h.Method, parts: make([][]byte, h.Parts), done: make(chan struct{})}
		cs.open[h.ID] = c
	}
	if h.Want != 0 {
		return c, false, nil
	}
	if h.Part < 0 || h.Part >= len(c.parts) {
		return nil, false, experiments.Errorf(experiments.CodeInvalid, "%s: part %d of %d", h.Method, h.Part, len(c.parts))
	}
	if c.got < len(c.parts) && c.parts[h.Part] == nil {
		c.parts[h.Part] = append([]byte{}, part...)
		c.got++
		first = c.got == len(c.parts)
	}
	if c.got < len(c.parts) {
		return nil, false, nil
	}
	return c, first, nil
}

// called answers a call of a job.
func (s *Server) called(name string, m *nats.Msg) {
	var h head
	if err := json.Unmarshal([]byte(m.Header.Get(headKey)), &h); err != nil {
		s.answer(m, answerHead{Code: string(experiments.CodeInvalid), Message: "the call's head: " + err.Error()}, nil)
		return
	}
	a, calls, err := s.current(name, h)
	if err != nil {
		s.answerError(m, err)
		return
	}
	defer a.inflight.Done()
	if m.Reply == "" { // nothing is lost with it
		if h.Method == "Progress" {
			<-a.files
			_, _ = a.host.Answer(h.Method, m.Data)
		}
		return
	}
	c, first, err := calls.take(h, m.Data)
	switch {
	case err != nil:
		s.answerError(m, err)
		return
	case c == nil:
		s.answer(m, answerHead{}, nil)
		return
	case first:
		var args []byte
		for _, p := range c.parts {
			args = append(args, p...)
		}
		var answer []byte
		answer, c.err = s.do(a, c.method, args)
		c.answer = parted(answer)
		for i := range c.parts {
			c.parts[i] = []byte{}
		}
		close(c.done)
	}
	<-c.done
	if c.err != nil {
		s.answerError(m, c.err)
		return
	}
	if h.Want < 0 || h.Want >= len(c.answer) {
		s.answerError(m, experiments.Errorf(experiments.CodeInvalid, "%s: part %d of an answer of %d", c.method, h.Want, len(c.answer)))
		return
	}
	s.answer(m, answerHead{Parts: len(c.answer)}, c.answer[h.Want])
}

// current gives the attempt that a call is of, or refuses it. The caller calls inflight.Done.
func (s *Server) current(name string, h head) (*attempt, *calls, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.members[name]; w == nil || w.instance == "" || w.instance != h.Instance || s.adopted[h.ref] == name {
		return nil, nil, errAgain // it joins first, or is told that it may not
	}
	a := s.attempts[h.Run]
	if a == nil || a.ref != h.ref || !a.by(s.members[name]) {
		return nil, nil, fmt.Errorf("attempt %d of run %s by %s: %w", h.Attempt, h.Run, name, worker.ErrFenced)
	}
	a.folder = s.members[name].folder
	if a.instance != h.Instance { // a new process counts anew
		a.instance, a.calls = h.Instance, &calls{}
	}
	a.inflight.Add(1)
	return a, a.calls, nil
}

// by says whether a worker is the one that an attempt was given to: of that name and, once it has begun, of that folder.
func (a *attempt) by(m *member) bool {
	return a.worker == m.name && (a.folder == "" || a.folder == m.folder)
}

// What a worker calls besides the tracker's methods, and the files' with their prefix.
const (
	methodJob   = "fleet.job"
	methodLog   = "fleet.log"
	methodEnd   = "fleet.end"
	prefixFiles = "transfer."
)

func (s *Server) do(a *attempt, method string, args []byte) ([]byte, error) {
	switch {
	case method == methodJob:
		a.log.Lock()
		defer a.log.Unlock()
		a.log.at = 0 // the job's process, and what it prints, begins now
		return encode(a.job), nil
	case method == methodLog:
		return nil, a.write(args)
	case method == methodEnd:
		var e ending
		if err := json.Unmarshal(args, &e); err != nil {
			return nil, experiments.Errorf(experiments.CodeInvalid, "%s: %w", method, err)
		}
		s.mu.Lock()
		s.endLocked(a, e.err())
		s.mu.Unlock()
		return nil, nil
	}
	if rest, ok := strings.CutPrefix(method, prefixFiles); ok {
		if s.opts.Files == nil {
			return nil, experiments.Errorf(experiments.CodeInvalid, "%s: this server transfers no files", method)
		}
		<-a.files // until then it does not know the attempt
		return s.opts.Files.Serve(a.ctx, a.Run, a.Attempt, rest, args)
	}
	<-a.files
	return a.host.Answer(method, args)
}

// write appends to the job's log what comes at an offset of the worker's, each byte once.
func (a *attempt) write(args []byte) error {
	if len(args) < 8 {
		return experiments.Errorf(experiments.CodeInvalid, "%s: %d bytes", methodLog, len(args))
	}
	from, text := int64(binary.LittleEndian.Uint64(args)), args[8:]
	a.log.Lock()
	defer a.log.Unlock()
	if a.log.at < 0 {
		a.log.at = from
	}
	if had := a.log.at - from; had > 0 {
		text = text[min(had, int64(len(text))):]
	}
	if len(text) == 0 {
		return nil
	}
	n, err := a.log.to.Write(text)
	a.log.at = max(a.log.at, from) + int64(n)
	return err
}

func (s *Server) answer(m *nats.Msg, h answerHead, body []byte) {
	out := nats.NewMsg(m.Reply)
	out.Header.Set(headKey, string(encode(h)))
	out.Data = body
	if err := m.RespondMsg(out); err != nil {
		s.log.Debug("workers: answer", "error", err) // the worker asks again
	}
}

func (s *Server) answerError(m *nats.Msg, err error) {
	if m.Reply == "" {
		return
	}
	h := answerHead{Code: string(experiments.CodeOf(err)), Message: err.Error()}
	switch {
	case errors.Is(err, errAgain):
		h.Code = codeAgain
	case errors.Is(err, worker.ErrFenced), errors.Is(err, context.Canceled): // the attempt ended while it was done
		h.Code = codeFenced
	}
	s.answer(m, h, nil)
}

// ending says how a worker's process ended.
type ending struct {
	Code   experiments.Code `json:"code,omitempty"` // of the job's own error
	Error  string           `json:"error,omitempty"`
	Death  string           `json:"death,omitempty"` // the cause, where the process died
	Detail string           `json:"detail,omitempty"`
	Left   string           `json:"left,omitempty"` // why the worker gave the job back
	Memory int64            `json:"memory,omitempty"`
	Card   int64            `json:"card,omitempty"` // of a shortage, as Memory
}

func endingOf(err error) ending {
	var death *worker.Death
	var lost *worker.Lost
	switch {
	case err == nil:
		return ending{}
	case errors.As(err, &lost):
		return ending{Left: lost.Cause}
	case errors.As(err, &death):
		return ending{Death: death.Cause, Detail: death.Detail}
	}
	e := ending{Code: experiments.CodeOf(err), Error: err.Error()}
	var short *experiments.Shortage
	if errors.As(err, &short) {
		e.Memory, e.Card = short.Memory, short.Card
	}
	return e
}

func (e ending) err() error {
	switch {
	case e.Left != "":
		return &worker.Lost{Cause: e.Left, Left: true}
	case e.Death != "":
		return &worker.Death{Cause: e.Death, Detail: e.Detail}
	case e.Memory > 0 || e.Card > 0:
		return experiments.Errorf(e.Code, "%w", &experiments.Shortage{Memory: e.Memory, Card: e.Card, Text: e.Error})
	case e.Error != "":
		return experiments.Errorf(e.Code, "%s", e.Error)
	}
	return nil
}
