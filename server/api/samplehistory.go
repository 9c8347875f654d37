package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/server/store"
)

type (
	sampleVisit struct {
		RunID        string    `json:"run_id"`
		Name         string    `json:"name"`
		ExperimentID string    `json:"experiment_id"`
		CreatedAt    time.Time `json:"created_at"`
		Arm          string    `json:"arm"`
		Model        string    `json:"model"`
		Label        string    `json:"label"`
		SampleAnswer
	}
	sampleHistory struct {
		Key      string        `json:"key"`
		Text     string        `json:"text"`
		Label    string        `json:"label"`
		Language string        `json:"language"`
		Items    []sampleVisit `json:"items"`
		Scanned  int           `json:"scanned"` // results that were looked at
		Next     string        `json:"next_cursor"`
	}
)

func (s *Server) sampleHistory(c echo.Context) error {
	ctx := c.Request().Context()
	free, err := s.load(c)
	if err != nil {
		return err
	}
	defer free()
	out := sampleHistory{Key: c.QueryParam("key"), Items: []sampleVisit{}}
	if run := c.QueryParam("run"); out.Key == "" && run != "" {
		index, err := intQuery(c, "index", -1, 0, 1<<31-1)
		if err != nil {
			return err
		}
		r, _, err := s.judged(ctx, run)
		if err != nil {
			return err
		}
		for i, k := range abtest.Keys(r.Samples) {
			if r.Samples[i].Index == index {
				out.Key = k
			}
		}
		if out.Key == "" {
			return experiments.Errorf(experiments.CodeNotFound, "run %s: no sample has the index %d", run, index)
		}
	}
	if out.Key == "" {
		return invalid("key is missing: that of a sample, or run and index")
	}
	out.Next = c.QueryParam("cursor")
	read := 0
	for more := true; more; more = out.Next != "" && out.Scanned < historyResults-historyRunsAPage && read < historyBytes {
		runs, next, err := s.store.Runs(ctx, store.RunFilter{Limit: historyRunsAPage, Cursor: out.Next})
		if err != nil {
			return err
		}
		out.Next = next
		for _, run := range runs {
			n, err := s.visit(ctx, run, &out)
			if read += n; err != nil {
				return err
			}
		}
	}
	return sendJSON(c, http.StatusOK, out)
}

// visit adds what a run's arms made of a sample, if it has an A/B result that has the sample.
func (s *Server) visit(ctx context.Context, run experiments.Run, out *sampleHistory) (read int, err error) {
	r, read, err := s.judged(ctx, run.ID)
	switch experiments.CodeOf(err) {
	case experiments.CodeNotFound, experiments.CodeInvalid, experiments.CodeTooLarge:
		if err != nil {
			return read, nil // no result, or none that can be read: it has no history to add
		}
	}
	if err != nil {
		return read, fmt.Errorf("history of a sample: %w", err)
	}
	out.Scanned++
	for i, k := range abtest.Keys(r.Samples) {
		if k != out.Key {
			continue
		}
		x := &r.Samples[i]
		if out.Text == "" {
			out.Text, out.Label, out.Language = x.Text, x.Label, x.Language
		}
		for arm, name := range []string{"A", "B"} {
			out.Items = append(out.Items, sampleVisit{RunID: run.ID, Name: run.Name, ExperimentID: run.ExperimentID, CreatedAt: run.CreatedAt,
				Arm: name, Model: r.Arms[arm].Model, Label: x.Label, SampleAnswer: answerOf(x, name)})
		}
	}
	return read, nil
}
