package store

import (
	"encoding/json"

	"triality/experiments"
	"triality/server/events/wire"
)

var _ experiments.Tracker = (*Store)(nil)

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
