package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/store"
)

// value is a metric value on the wire: JSON has no word for NaN and the infinities, so strings and null
// (NaN, as we send it) stand for them.
type value float64

// UnmarshalJSON reads a number, null, or "NaN", "Infinity", "-Infinity".
func (v *value) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "null", `"NaN"`:
		*v = value(math.NaN())
	case `"Infinity"`:
		*v = value(math.Inf(1))
	case `"-Infinity"`:
		*v = value(math.Inf(-1))
	default:
		if bytes.HasPrefix(b, []byte{'"'}) {
			return fmt.Errorf("value %.40s: want a number, null, \"NaN\", \"Infinity\" or \"-Infinity\"", b)
		}
		return json.Unmarshal(b, (*float64)(v))
	}
	return nil
}

type point struct {
	Step  int64 `json:"step"`
	Time  int64 `json:"time"`
	Value value `json:"value"`
}

// UnmarshalJSON tells a value that is null, which is NaN, from one that is missing, an error.
func (p *point) UnmarshalJSON(b []byte) error {
	var in struct {
		Step  int64           `json:"step"`
		Time  int64           `json:"time"`
		Value json.RawMessage `json:"value"`
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	if in.Value == nil {
		return fmt.Errorf("a point without a value")
	}
	p.Step, p.Time = in.Step, in.Time
	return p.Value.UnmarshalJSON(in.Value)
}

type metricsBody map[string][]point

func (s *Server) logMetrics(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	var in metricsBody
	if err := readJSON(c, maxMetricsBody, &in); err != nil {
		return err
	}
	batch := make(experiments.MetricBatch, len(in))
	for name, points := range in {
		out := make([]experiments.Point, len(points))
		for i, p := range points {
			out[i] = experiments.Point{Step: p.Step, Time: p.Time, Value: float64(p.Value)}
		}
		batch[name] = out
	}
	if err := s.store.LogMetrics(c.Request().Context(), id, batch); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *Server) metrics(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	items, err := s.store.Series(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[store.SeriesInfo]{Items: items})
}

type seriesAnswer struct {
	Name   string `json:"name"`
	Points []any  `json:"points"` // each [step, time, value or null]
	Total  int64  `json:"total"`
}

func (s *Server) series(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	most, err := intQuery(c, "max_points", 2000, 8, 100_000)
	if err != nil {
		return err
	}
	name := c.QueryParam("name")
	if name == "" {
		return invalid("name is missing: which metric")
	}
	points, total, err := thinned(c.Request().Context(), s.store, id, name, most)
	if err != nil {
		return err
	}
	out := seriesAnswer{Name: name, Points: make([]any, len(points)), Total: total}
	for i, p := range points {
		out.Points[i] = []any{p.Step, p.Time, p.Value}
	}
	return sendJSON(c, http.StatusOK, out)
}
