package store

import (
	"encoding/json"

	"triality/experiments"
	"triality/server/events/wire"
)

var _ experiments.Tracker = (*Store)(nil)

// Announce tells watchers what is not stored; the event has id 0.
func (s *Store) Announce(typ string, data any) {
	b, err := wire.Marshal(data)
	if err != nil {
		s.log.Error("an event was not sent", "type", typ, "error", err)
		return
	}
	s.broker.Publish(experiments.Event{Type: typ, Data: json.RawMessage(b)})
}

// Progress tells watchers how far a step is; nothing is stored and the event has id 0.
func (s *Store) Progress(run, step string, p experiments.Progress) {
	data, err := wire.Marshal(struct {
		RunID    string               `json:"run_id"` // whoever hears all runs must tell them apart
		Step     string               `json:"step"`
		Progress experiments.Progress `json:"progress"`
	}{run, step, p})
	if err != nil {
		s.log.Error("a progress event was not sent", "run", run, "error", err)
		return
	}
	s.broker.Publish(experiments.Event{Type: experiments.EventProgress, RunID: run, Data: json.RawMessage(data)})
}
