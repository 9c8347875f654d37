// Package client speaks to a running server: to the one that has a data folder open, since that folder has one
// owner at a time.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/server/api"
	"triality/server/search"
	"triality/server/store"
)

// Door is how a server that has a data folder open is reached: a file of that folder, which only its user
// reads.
type Door struct {
	URL   string `json:"url"`
	Token string `json:"token"` // lets a request name a folder of this machine
}

// doorFile is its name.
const doorFile = "server.json"

// Open writes the door of a server; close removes it.
func Open(dataDir string, d Door) (close func() error, err error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", doorFile, err)
	}
	path := filepath.Join(dataDir, doorFile)
	err = atomicfile.WriteFile(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", doorFile, err)
	}
	return func() error { return disk.Remove(path) }, nil
}

// Client calls a server's API. It is safe for concurrent use.
type Client struct {
	data string // folder
	http http.Client

	mu   sync.Mutex
	door Door
}

// Of gives a client of the server that has a data folder open. Where none answers, ok is false.
func Of(ctx context.Context, dataDir string) (c *Client, ok bool) {
	c = &Client{data: dataDir}
	if !c.knock() {
		return nil, false
	}
	// A server that was killed leaves its door behind.
	var info struct{ Version string }
	return c, c.get(ctx, "/api/v1/info", nil, &info) == nil
}

// knock reads where the server is; it may have been started again elsewhere.
func (c *Client) knock() (ok bool) {
	text, err := os.ReadFile(filepath.Join(c.data, doorFile))
	var d Door
	if err != nil || json.Unmarshal(text, &d) != nil || d.URL == "" {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.door = d
	return true
}

func (c *Client) at() Door {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.door
}

// URL is where the server answers.
func (c *Client) URL() string { return c.at().URL }

// Submit queues a pipeline whose relative paths begin at dir.
func (c *Client) Submit(ctx context.Context, config, name, dir string) (run experiments.Run, err error) {
	body := map[string]string{"config": config, "name": name, "dir": dir}
	return run, c.send(ctx, http.MethodPost, "/api/v1/jobs", "application/json", jsonOf(body), &run)
}

// Run gives a run.
func (c *Client) Run(ctx context.Context, id string) (run experiments.Run, err error) {
	return run, c.get(ctx, "/api/v1/runs/"+url.PathEscape(id), nil, &run)
}

// Runs gives runs, the newest first, at most limit.
func (c *Client) Runs(ctx context.Context, query url.Values, limit int) ([]experiments.Run, error) {
	if query == nil {
		query = url.Values{}
	}
	var runs []experiments.Run
	for {
		var page struct {
			Items []experiments.Run `json:"items"`
			Next  string            `json:"next_cursor"`
		}
		query.Set("limit", strconv.Itoa(limit-len(runs)))
		if err := c.get(ctx, "/api/v1/runs", query, &page); err != nil {
			return runs, err
		}
		runs = append(runs, page.Items...)
		if page.Next == "" || len(runs) >= limit {
			return runs, nil
		}
		query.Set("cursor", page.Next) // a page of large runs has fewer
	}
}

// Search finds runs.
func (c *Client) Search(ctx context.Context, in search.Request) (out search.Result, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	return out, c.send(ctx, http.MethodPost, "/api/v1/runs/search", "application/json", bytes.NewReader(body), &out)
}

// Experiments gives a page of experiments and the cursor of the next.
func (c *Client) Experiments(ctx context.Context, cursor string) ([]store.ExperimentInfo, string, error) {
	var page struct {
		Items []store.ExperimentInfo `json:"items"`
		Next  string                 `json:"next_cursor"`
	}
	err := c.get(ctx, "/api/v1/experiments", url.Values{"limit": {"1000"}, "cursor": {cursor}}, &page)
	return page.Items, page.Next, err
}

// Queue gives the runs under way and those that wait, in the order in which they start.
func (c *Client) Queue(ctx context.Context) ([]experiments.Run, error) {
	var page struct {
		Items []experiments.Run `json:"items"`
	}
	return page.Items, c.get(ctx, "/api/v1/queue", nil, &page)
}

// Plan says what a run of a configuration would do; dir is the folder at which its paths begin.
func (c *Client) Plan(ctx context.Context, config, dir string) ([]pipeline.PlannedStep, error) {
	var answer struct {
		Steps []pipeline.PlannedStep `json:"steps"`
	}
	err := c.send(ctx, http.MethodPost, "/api/v1/plan", "application/json", jsonOf(map[string]any{"config": config, "dir": dir}), &answer)
	return answer.Steps, err
}

// Cancel stops a queued or running run.
func (c *Client) Cancel(ctx context.Context, id string) (run experiments.Run, err error) {
	return run, c.send(ctx, http.MethodPost, "/api/v1/runs/"+url.PathEscape(id)+"/cancel", "", nil, &run)
}

// Resume queues an interrupted or failed run again.
func (c *Client) Resume(ctx context.Context, id string) (run experiments.Run, err error) {
	return run, c.send(ctx, http.MethodPost, "/api/v1/runs/"+url.PathEscape(id)+"/resume", "", nil, &run)
}

// Prioritize changes the priority of a waiting run.
func (c *Client) Prioritize(ctx context.Context, id string, priority int) (run experiments.Run, err error) {
	return run, c.send(ctx, http.MethodPatch, "/api/v1/runs/"+url.PathEscape(id), "application/json", jsonOf(map[string]any{"priority": priority}), &run)
}

// ABTest gives the result of a run's A/B test.
func (c *Client) ABTest(ctx context.Context, id string) (*experiments.ABResult, error) {
	r := new(experiments.ABResult)
	return r, c.get(ctx, "/api/v1/runs/"+url.PathEscape(id)+"/abtest", nil, r)
}

// AddModule validates and adds a metric module.
func (c *Client) AddModule(ctx context.Context, wasm []byte) (m experiments.Module, err error) {
	return m, c.send(ctx, http.MethodPost, "/api/v1/modules", "application/wasm", bytes.NewReader(wasm), &m)
}

// TryModule runs a stored module on a run's A/B test.
func (c *Client) TryModule(ctx context.Context, run, sha256 string, params map[string]any, slices []string) (r experiments.ModuleResult, err error) {
	body := map[string]any{"module": sha256, "params": params, "slices": slices}
	return r, c.send(ctx, http.MethodPost, "/api/v1/runs/"+url.PathEscape(run)+"/abtest/metrics", "application/json", jsonOf(body), &r)
}

// Report gives a run's report as HTML.
func (c *Client) Report(ctx context.Context, run, language string) ([]byte, error) {
	return c.read(ctx, "/api/v1/runs/"+url.PathEscape(run)+"/report", url.Values{"lang": {language}})
}

// Log gives what a run's workers printed, from an offset in bytes on.
func (c *Client) Log(ctx context.Context, run string, from int64) ([]byte, error) {
	return c.read(ctx, "/api/v1/runs/"+url.PathEscape(run)+"/log", url.Values{"from": {strconv.FormatInt(from, 10)}})
}

// Problems checks the store of the server.
func (c *Client) Problems(ctx context.Context) ([]string, error) {
	var answer api.StoreCheck
	return answer.Problems, c.send(ctx, http.MethodPost, "/api/v1/store/check", "", nil, &answer)
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 30

func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	text, err := c.read(ctx, path, query)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (c *Client) read(ctx context.Context, path string, query url.Values) ([]byte, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, "", nil)
}

func (c *Client) send(ctx context.Context, method, path, mediaType string, body io.Reader, into any) error {
	text, err := c.do(ctx, method, path, mediaType, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path, mediaType string, body io.Reader) (*http.Response, error) {
	door := c.at()
	req, err := http.NewRequestWithContext(ctx, method, door.URL+path, body)
	if err != nil {
		return nil, err
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	req.Header.Set("Authorization", "Bearer "+door.Token)
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, experiments.Errorf(experiments.CodeUnavailable, "the server at %s does not answer: %w", door.URL, err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	var f api.Failure
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || json.Unmarshal(text, &f) != nil || f.Message == "" {
		return nil, fmt.Errorf("%s %s: the server answered %s", method, path, res.Status)
	}
	e := experiments.Errorf(f.Code, "%s", f.Message)
	if e.Details = f.Details; f.Details["checks"] != nil {
		var checks []experiments.Check // of a refused module, as api.Modules gives them
		if text, err := json.Marshal(f.Details["checks"]); err == nil && json.Unmarshal(text, &checks) == nil {
			e.Details["checks"] = checks
		}
	}
	return nil, e
}

func (c *Client) do(ctx context.Context, method, path, mediaType string, body io.Reader) ([]byte, error) {
	res, err := c.request(ctx, method, path, mediaType, body)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return text, nil
}

func jsonOf(v any) io.Reader {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings and of what a YAML file held
	}
	return bytes.NewReader(text)
}
