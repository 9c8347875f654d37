// Package hub reads models and tokenizers from, and writes them to, a Hub-compatible endpoint. What it
// downloads lies in the Hub's own cache layout, so that the cache is shared with huggingface_hub:
//
//	CACHE/models--org--name/blobs/ETAG               content, named by its hash
//	CACHE/models--org--name/refs/REVISION            the commit a branch or tag meant when last asked
//	CACHE/models--org--name/snapshots/COMMIT/FILE    relative link to ../../blobs/ETAG
//	CACHE/models--org--name/trees/COMMIT.json        the commit's listing
//	CACHE/.locks/models--org--name/ETAG.lock         held while a blob is written
//
// A download goes on where it was cut (blobs/ETAG.incomplete), is checked against the SHA-256 (large
// files) or the git blob SHA-1 (small ones) that the endpoint names, and gets its name only then.
//
// The protocol is the one huggingface_hub 1.x speaks: https://github.com/huggingface/huggingface_hub.
package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"triality/runtime/disk"
)

// Client talks to one endpoint and keeps one cache. It is safe for concurrent use.
type Client struct {
	endpoint string // no slash at the end
	origin   *url.URL
	token    string
	cache    cache
	offline  bool
	parallel int
	retries  int
	http     *http.Client
	progress func(Progress)
	note     func(string)
	tell     sync.Mutex // held while progress or note is called

	stall time.Duration // a connection that moves nothing for this long is cut
	sleep func(context.Context, time.Duration) error
	free  func(dir string) (uint64, error)
}

// New makes a client.
func New(o Options) (*Client, error) {
	endpoint := strings.TrimRight(or(o.Endpoint, DefaultEndpoint), "/")
	origin, err := url.Parse(endpoint)
	if err != nil || origin.Host == "" || origin.Scheme != "http" && origin.Scheme != "https" || origin.RawQuery != "" || origin.User != nil {
		return nil, fmt.Errorf("HF_ENDPOINT: %q is no http or https address", o.Endpoint)
	}
	if o.CacheDir == "" {
		return nil, errors.New("hub client: no cache folder; set HF_HOME or HF_HUB_CACHE")
	}
	if strings.ContainsAny(o.Token, "\r\n \t") {
		return nil, errors.New("HF_TOKEN: the token has white space in it")
	}
	c := &Client{
		endpoint: endpoint, origin: origin, token: o.Token, cache: cache{dir: o.CacheDir, copies: o.NoSymlinks, symlink: disk.Symlink},
		offline: o.Offline, parallel: o.Parallel, retries: defaultRetries, note: o.Note,
		stall: time.Minute, sleep: sleepFor, free: freeBytes,
	}
	if o.Progress != nil {
		c.progress = func(p Progress) {
			c.tell.Lock()
			defer c.tell.Unlock()
			o.Progress(p)
		}
	}
	if c.parallel <= 0 {
		c.parallel = 4
	}
	client := http.Client{}
	if o.HTTP != nil {
		client = *o.HTTP
	}
	client.CheckRedirect = c.followRedirect
	c.http = &client
	return c, nil
}

// CacheDir is the folder of the client's cache.
func (c *Client) CacheDir() string { return c.cache.dir }

func (c *Client) say(text string) {
	if c.note == nil {
		return
	}
	c.tell.Lock()
	defer c.tell.Unlock()
	c.note(text)
}

// sameOrigin says whether a URL is the endpoint's, scheme and port included: only there the token goes.
func (c *Client) sameOrigin(u *url.URL) bool {
	return strings.EqualFold(u.Host, c.origin.Host) && u.Scheme == c.origin.Scheme
}

type stopAtForeign struct{}

// followRedirect keeps the token from other hosts. net/http alone would send it on to subdomains.
func (c *Client) followRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return failf(ErrRefused, "%s redirects without end", via[0].URL.Host)
	}
	if c.sameOrigin(req.URL) {
		return nil
	}
	if req.Context().Value(stopAtForeign{}) != nil {
		return http.ErrUseLastResponse
	}
	req.Header.Del("Authorization")
	return nil
}

// send makes one request. The answer's status is the caller's to look at.
func (c *Client) send(req *http.Request, s subject) (*http.Response, error) {
	if c.offline {
		return nil, failf(ErrOffline, "%s: HF_HUB_OFFLINE allows no request", s)
	}
	req.Header.Set("User-Agent", "triality")
	if c.token != "" && c.sameOrigin(req.URL) {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, networkFailure(err, s)
	}
	return resp, nil
}

// maxAnswer bounds a JSON answer: a listing of 100,000 files is about 20 MiB.
const maxAnswer = 64 << 20

// call posts in as JSON, or gets where in is nil, and decodes the answer into out. It retries.
func (c *Client) call(ctx context.Context, retries int, path string, in, out any, s subject) error {
	method, mediaType := http.MethodGet, ""
	var body []byte
	if in != nil {
		method, mediaType = http.MethodPost, "application/json"
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return c.callRaw(ctx, retries, method, c.endpoint+path, mediaType, nil, body, out, s)
}

func (c *Client) callRaw(ctx context.Context, retries int, method, to, mediaType string, header map[string]string, body []byte, out any, s subject) error {
	return c.retry(ctx, retries, func() (bool, error) {
		limit := c.stall
		if method == http.MethodPost {
			limit *= patient
		}
		wctx, w := c.watch(ctx, limit)
		defer w.stop()
		req, err := http.NewRequestWithContext(wctx, method, to, bytes.NewReader(body))
		if err != nil {
			return false, fmt.Errorf("%s: %w", s, err)
		}
		for k, v := range header {
			req.Header.Set(k, v)
		}
		if mediaType != "" {
			req.Header.Set("Content-Type", mediaType)
			req.Header.Set("Accept", mediaType)
		}
		resp, err := c.send(req, s)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			return false, c.statusFailure(resp, s)
		}
		answer, err := io.ReadAll(io.LimitReader(w.reader(resp.Body), maxAnswer+1))
		switch {
		case err != nil:
			return false, networkFailure(err, s)
		case len(answer) > maxAnswer:
			return false, failf(ErrRefused, "%s: %s sent an answer of more than %d MiB", s, c.endpoint, maxAnswer>>20)
		case out == nil:
			return false, nil
		}
		if raw, ok := out.(*[]byte); ok {
			*raw = answer
			return false, nil
		}
		if err := json.Unmarshal(answer, out); err != nil {
			return false, failf(ErrRefused, "%s: the answer of %s does not parse: %w", s, c.endpoint, err)
		}
		return false, nil
	})
}
