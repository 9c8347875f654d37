// Package trackerbench measures a tracker with many runs over HTTP on loopback: pages of searches, thousands of
// columns, long curves, memory and start.
package trackerbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"triality/runtime/disk"
	"triality/server/api"
	"triality/server/store"
)

// Options say what is made and measured. The zero value of a field is the figure after it.
type Options struct {
	Runs     int    // 20,000
	Metrics  int    // of each run; 50
	Params   int    // of each run; 30
	Points   int    // of each metric; 10
	Columns  int    // distinct metrics of the runs with many; 12,000
	Curve    int    // points of the long curve; 1,000,000
	Curves   int    // points of each of 24 metrics of 10 runs, for pages of charts; 0: there are no such runs
	Rounds   int    // requests of each kind; 200
	Dir      string // where the data folder is made; the system's folder for temporary files
	Keep     string // a data folder that stays, made once and measured again; "": one for this measurement
	Progress func(begins string)
}

// shape is what of the options the data follow from.
type shape struct {
	Runs    int `json:"runs"`
	Metrics int `json:"metrics"`
	Params  int `json:"params"`
	Points  int `json:"points"`
	Columns int `json:"columns"`
	Curve   int `json:"curve"`
	Curves  int `json:"curves"`
}

func (o Options) shape() shape {
	return shape{o.Runs, o.Metrics, o.Params, o.Points, o.Columns, o.Curve, o.Curves}
}

func (o Options) withDefaults() Options {
	for _, f := range []struct {
		p *int
		v int
	}{{&o.Runs, 20_000}, {&o.Metrics, 50}, {&o.Params, 30}, {&o.Points, 10}, {&o.Columns, 12_000}, {&o.Curve, 1_000_000}, {&o.Rounds, 200}} {
		if *f.p <= 0 {
			*f.p = f.v
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// Report is what was measured. Times are of whole requests, answers read to their end.
type Report struct {
	Machine Machine `json:"machine"`
	Data    Data    `json:"data"`
	// StartMS is from opening the data folder to the first answer of a search, its pages checked and its index filled.
	StartMS float64 `json:"start_ms"`
	OpenMS  float64 `json:"open_ms"`  // of which opening the data folder
	IndexMS float64 `json:"index_ms"` // of which filling the index
	Page    Timing  `json:"page"`     // filtered and ordered pages of 100 runs with 20 columns
	Facets  Timing  `json:"facets"`   // the columns of the runs that match
	Groups  Timing  `json:"groups"`   // by a parameter, with mean and spread of ten metrics
	// WideColumns lists the distinct columns of the runs with many, WidePage gives 100 of those runs with all of their
	// values.
	WideColumns Timing `json:"wide_columns"`
	WidePage    Timing `json:"wide_page"`
	Curve       Timing `json:"curve"` // the long curve, thinned to 2,000 points
	Memory      Memory `json:"memory"`
}

// Machine is where it was measured.
type Machine struct {
	CPU  string  `json:"cpu"`
	CPUs int     `json:"cpus"`
	Go   string  `json:"go"`
	Load float64 `json:"load_1m"` // when it ended; more than the cpus means that others took part of the time
}

// Data is what was made.
type Data struct {
	Runs          int     `json:"runs"`
	Metrics       int     `json:"metrics_per_run"`
	Params        int     `json:"params_per_run"`
	Points        int     `json:"points_per_metric"`
	Columns       int     `json:"distinct_columns"`
	Curve         int     `json:"curve_points"`
	Curves        int     `json:"curves_points,omitempty"` // of each of 24 metrics of 10 runs
	FileMB        float64 `json:"file_mb"`
	SecondsToMake float64 `json:"seconds_to_make"`
}

// Timing is of requests of one kind.
type Timing struct {
	Requests int     `json:"requests"`
	P50MS    float64 `json:"p50_ms"`
	P95MS    float64 `json:"p95_ms"`
	MaxMS    float64 `json:"max_ms"`
	Bytes    int     `json:"bytes"` // of an answer, on average
	Least    float64 `json:"least_ms"`
}

// Memory of this process after all requests, in MB. Mapped pages of the database are the system's to take back.
type Memory struct {
	HeapMB   float64 `json:"heap_mb"`            // live after a collection
	Resident float64 `json:"resident_mb"`        // 0: this system does not say
	OwnMB    float64 `json:"resident_own_mb"`    // without mapped files
	MappedMB float64 `json:"resident_mapped_mb"` // pages of the database in memory
}

// Run makes the data, in a temporary folder where none is kept, and measures.
func Run(ctx context.Context, o Options) (r Report, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("bench tracker: %w", err)
		}
	}()
	o = o.withDefaults()
	dir := o.Keep
	if dir == "" {
		if dir, err = disk.MkdirTemp(o.Dir, "triality-bench-*"); err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, disk.RemoveAll(dir)) }()
	}
	made, err := Fill(ctx, dir, o)
	if err != nil {
		return r, err
	}
	r.Data = Data{Runs: o.Runs, Metrics: o.Metrics, Params: o.Params, Points: o.Points, Columns: o.Columns, Curve: o.Curve, Curves: o.Curves, SecondsToMake: made.Seconds}
	if st, err := os.Stat(filepath.Join(dir, store.FileName)); err == nil {
		r.Data.FileMB = mb(uint64(st.Size()))
	}
	runtime.GC() // what making them left is not the server's
	if err := measure(ctx, dir, o, made, &r); err != nil {
		return r, err
	}
	r.Machine = machine()
	return r, nil
}

func mb(bytes uint64) float64 { return float64(bytes) / 1e6 }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// measure starts a server on the folder and asks it.
func measure(ctx context.Context, dir string, o Options, made Made, r *Report) (err error) {
	o.Progress("starting a server on them")
	start := time.Now()
	st, err := store.Open(dir, store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	r.OpenMS = ms(time.Since(start))
	at := time.Now()
	if err := st.Index(ctx); err != nil {
		return err
	}
	r.IndexMS = ms(time.Since(at))
	server, err := api.New(api.Options{Store: st})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- server.Serve(serving, l) }()
	defer func() { stop(); err = errors.Join(err, <-done) }()
	c := client{url: "http://" + l.Addr().String() + "/api/v1"}
	if _, _, err := c.get(ctx, "/runs/search?limit=1"); err != nil {
		return err
	}
	r.StartMS = ms(time.Since(start))

	random := rand.New(rand.NewPCG(7, 7))
	for _, kind := range []struct {
		what   string
		into   *Timing
		rounds int
		path   func() string
	}{
		{"filtered and ordered pages", &r.Page, o.Rounds, func() string { return "/runs/search?" + pageOf(random, made, o).Encode() }},
		{"columns", &r.Facets, max(o.Rounds/4, 1), func() string {
			return "/runs/columns?" + url.Values{"filter": {filterOf(random, o)}, "experiments": {made.Many}}.Encode()
		}},
		{"groups", &r.Groups, max(o.Rounds/4, 1), func() string { return "/runs/groups?" + groupsOf(random, made, o).Encode() }},
		{"thousands of columns", &r.WideColumns, max(o.Rounds/4, 1), func() string { return "/runs/columns?experiments=" + made.Wide }},
		{"a curve of many points", &r.Curve, max(o.Rounds/10, 1), func() string { return "/runs/" + made.Long + "/metrics/series?name=loss&max_points=2000" }},
	} {
		o.Progress("asking for " + kind.what)
		if err := c.time(ctx, kind.into, kind.rounds, func() (int, time.Duration, error) { return c.get(ctx, kind.path()) }); err != nil {
			return fmt.Errorf("%s: %w", kind.what, err)
		}
	}
	o.Progress("asking for runs with thousands of columns")
	body, err := json.Marshal(map[string]any{"experiments": []string{made.Wide}, "columns": made.columns, "order_by": []string{made.columns[0] + " DESC"}, "limit": 100})
	if err != nil {
		return err
	}
	if err := c.time(ctx, &r.WidePage, max(o.Rounds/4, 1), func() (int, time.Duration, error) { return c.post(ctx, "/runs/search", body) }); err != nil {
		return fmt.Errorf("runs with thousands of columns: %w", err)
	}
	r.Memory = memory()
	return nil
}

// client asks the server.
type client struct {
	url  string
	http http.Client
}

func (c *client) get(ctx context.Context, path string) (int, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		return 0, 0, err
	}
	return c.do(req)
}

func (c *client) post(ctx context.Context, path string, body []byte) (int, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, newReader(body))
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	return c.do(req)
}

func (c *client) do(req *http.Request) (int, time.Duration, error) {
	start := time.Now()
	res, err := c.http.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, 0, err
	}
	if res.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("%s: %s: %.300s", req.URL.Path, res.Status, b)
	}
	return len(b), time.Since(start), nil
}

func (c *client) time(ctx context.Context, into *Timing, rounds int, ask func() (int, time.Duration, error)) error {
	var took []time.Duration
	bytes := 0
	for i := range rounds + 1 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, d, err := ask()
		if err != nil {
			return err
		}
		if i > 0 { // the first warms up
			took, bytes = append(took, d), bytes+n
		}
	}
	slices.Sort(took)
	at := func(share float64) float64 { return ms(took[min(int(share*float64(len(took))), len(took)-1)]) }
	*into = Timing{Requests: rounds, P50MS: at(0.5), P95MS: at(0.95), MaxMS: ms(took[len(took)-1]), Bytes: bytes / rounds, Least: ms(took[0])}
	return nil
}
