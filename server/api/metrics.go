package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/store"
)

// value is a metric value on the wire: JSON has no word for NaN and the infinities, so strings and null
// (NaN, as we send it) stand for them.
type value float64

// point is a point on the wire. What is wrong with it is kept until it is known where it stands.
type point struct {
	Step  int64 `json:"step"`
	Time  int64 `json:"time"`
	Value value `json:"value"`

	timed bool
	wrong string
}

// UnmarshalJSON reads a point. It tells a value that is null, which is NaN, from one that is missing, an
// error, and a time that is missing from 1970.
func (p *point) UnmarshalJSON(b []byte) error {
	*p = point{}
	if len(b) == 0 || b[0] != '{' {
		p.wrong = `: want an object: {"step": 1, "value": 0.5}`
		return nil
	}
	var in map[string]json.RawMessage
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if _, ok := in["value"]; !ok {
		p.wrong = `.value: it is missing: give a number, null, "NaN", "Infinity" or "-Infinity"`
	}
	if _, ok := in["step"]; !ok {
		p.wrong = ".step: it is missing: give a whole number; points of one step would lie over each other"
	}
	for name, raw := range in {
		switch name {
		case "step":
			p.whole(name, raw, &p.Step, "")
		case "time":
			p.timed = true
			p.whole(name, raw, &p.Time, wantTime)
			if p.wrong == "" && (p.Time < 0 || p.Time > maxTime) {
				p.wrong = fmt.Sprintf(".time: %d: want a whole number%s", p.Time, wantTime)
			}
		case "value":
			p.number(raw)
		default:
			p.wrong = fmt.Sprintf(".%.40s: unknown field; a point has step, time and value", name)
		}
	}
	return nil
}

func (p *point) whole(name string, raw []byte, to *int64, of string) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		p.wrong = fmt.Sprintf(".%s: %.40s: want a whole number%s", name, raw, of)
	}
	*to = n
}

func (p *point) number(raw []byte) {
	switch string(raw) {
	case "null", `"NaN"`:
		p.Value = value(math.NaN())
	case `"Infinity"`:
		p.Value = value(math.Inf(1))
	case `"-Infinity"`:
		p.Value = value(math.Inf(-1))
	default:
		f, err := strconv.ParseFloat(string(raw), 64)
		if err != nil {
			p.wrong = fmt.Sprintf(`.value: %.40s: want a number, null, "NaN", "Infinity" or "-Infinity"`, raw)
		}
		p.Value = value(f)
	}
}

// maxTime is the end of year 9999 in milliseconds since 1970: what is later was counted in micro- or nanoseconds.
const (
	maxTime  = 253402300799999
	wantTime = " of milliseconds since 1970, up to year 9999, or leave it out for the time of receipt"
)

type metricsBody map[string][]point

// batch gives the points, or says which is wrong. Those without a time are of now.
func (in metricsBody) batch(now time.Time) (experiments.MetricBatch, error) {
	batch := make(experiments.MetricBatch, len(in))
	for _, name := range slices.Sorted(maps.Keys(in)) {
		out := make([]experiments.Point, len(in[name]))
		for i, p := range in[name] {
			if p.wrong != "" {
				return nil, invalid("body: %.100s[%d]%s", name, i, p.wrong)
			}
			if !p.timed {
				p.Time = now.UnixMilli()
			}
			out[i] = experiments.Point{Step: p.Step, Time: p.Time, Value: float64(p.Value)}
		}
		batch[name] = out
	}
	return batch, nil
}

func (s *Server) logMetrics(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	var in metricsBody
	body, err := readJSON(c, maxMetricsBody, &in)
	if err != nil {
		return err
	}
	batch, err := in.batch(time.Now())
	if err != nil {
		return err
	}
	ctx, replayed, err := once(c, body)
	if err != nil {
		return err
	}
	if err := s.store.LogMetrics(ctx, id, batch); err != nil {
		return err
	}
	replayed()
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
