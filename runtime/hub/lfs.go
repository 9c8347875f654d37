package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
)

const lfsMedia = "application/vnd.git-lfs+json"

// lfsAction is one step that the LFS batch answer asks for.
type lfsAction struct {
	Href   string         `json:"href"`
	Header map[string]any `json:"header"`
}

type lfsObject struct {
	OID     string `json:"oid"`
	Size    int64  `json:"size"`
	Actions struct {
		Upload *lfsAction `json:"upload"`
		Verify *lfsAction `json:"verify"`
	} `json:"actions"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// sendLarge uploads the content of the large files that the endpoint does not have yet.
// https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md, and the Hub's multipart transfer.
func (c *Client) sendLarge(ctx context.Context, ref Ref, files []*uploadFile, m *meter) error {
	var large []*uploadFile
	byHash := map[string]*uploadFile{}
	for _, f := range files {
		if f.lfs && byHash[f.hash] != nil { // the same content twice is sent once
			m.add(f.name, f.size)
			m.done(f.name)
		} else if f.lfs {
			byHash[f.hash] = f
			large = append(large, f)
		}
	}
	for batch := range slices.Chunk(large, batchFiles) {
		objects, err := c.lfsBatch(ctx, ref, batch)
		if err != nil {
			return err
		}
		for _, o := range objects {
			f := byHash[o.OID]
			if f == nil || o.Size != f.size {
				return failf(ErrRefused, "%s: the endpoint answers about an object %.80q that was not asked for", ref.Repo, o.OID)
			}
			s := subject{ref, f.name}
			if o.Error != nil {
				return failf(ErrAccess, "%s: the endpoint does not take it: %d %.300q", s, o.Error.Code, o.Error.Message)
			}
			if err := c.sendObject(ctx, f, o, m, s); err != nil {
				return err
			}
			delete(byHash, o.OID)
			m.done(f.name)
		}
	}
	for _, f := range byHash {
		return failf(ErrRefused, "%s: the endpoint did not say how to upload %s", ref.Repo, f.name)
	}
	return nil
}

func (c *Client) lfsBatch(ctx context.Context, ref Ref, files []*uploadFile) ([]lfsObject, error) {
	type object struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	}
	in := struct {
		Operation string            `json:"operation"`
		Transfers []string          `json:"transfers"`
		Objects   []object          `json:"objects"`
		HashAlgo  string            `json:"hash_algo"`
		Ref       map[string]string `json:"ref"`
	}{Operation: "upload", Transfers: []string{"basic", "multipart"}, HashAlgo: "sha256", Ref: map[string]string{"name": ref.Revision}}
	for _, f := range files {
		in.Objects = append(in.Objects, object{f.hash, f.size})
	}
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref.Repo, err)
	}
	var out struct {
		Objects []lfsObject `json:"objects"`
	}
	to := fmt.Sprintf("%s/%s.git/info/lfs/objects/batch", c.endpoint, ref.Repo)
	err = c.callRaw(ctx, c.retries, http.MethodPost, to, lfsMedia, nil, body, &out, subject{ref: ref})
	return out.Objects, err
}

// sendObject uploads one large file and has the endpoint verify it.
func (c *Client) sendObject(ctx context.Context, f *uploadFile, o lfsObject, m *meter, s subject) error {
	up := o.Actions.Upload
	if up == nil { // the endpoint has this content
		m.add(f.name, f.size)
		return nil
	}
	if _, parts := up.Header["chunk_size"]; parts {
		if err := c.sendParts(ctx, f, *up, m, s); err != nil {
			return err
		}
	} else if _, err := c.put(ctx, f, c.href(up.Href), up.headers(), 0, f.size, m, s); err != nil {
		return err
	}
	if v := o.Actions.Verify; v != nil {
		body := fmt.Appendf(nil, `{"oid":%q,"size":%d}`, f.hash, f.size)
		return c.callRaw(ctx, c.retries, http.MethodPost, c.href(v.Href), lfsMedia, v.headers(), body, nil, s)
	}
	return nil
}

// headers are the action's header fields that are text.
func (a lfsAction) headers() map[string]string {
	out := map[string]string{}
	for k, v := range a.Header {
		if text, ok := v.(string); ok {
			out[k] = text
		}
	}
	return out
}

// href points an address of the public Hub at the endpoint: mirrors pass the Hub's answers on.
func (c *Client) href(to string) string {
	if rest, ok := strings.CutPrefix(to, DefaultEndpoint+"/"); ok {
		return c.endpoint + "/" + rest
	}
	return to
}

// sendParts uploads in parts: the header holds chunk_size and one address a part, numbered from 1; the
// action's own address is told the parts' ETags at the end.
func (c *Client) sendParts(ctx context.Context, f *uploadFile, up lfsAction, m *meter, s subject) error {
	chunk, err := chunkSize(up.Header["chunk_size"])
	if err != nil {
		return failf(ErrRefused, "%s: %w", s, err)
	}
	type done struct {
		Number int    `json:"partNumber"`
		ETag   string `json:"etag"`
	}
	completion := struct {
		OID   string `json:"oid"`
		Parts []done `json:"parts"`
	}{OID: f.hash}
	parts := (f.size + chunk - 1) / chunk
	addresses := map[int64]string{}
	for k, v := range up.Header {
		if n, err := strconv.ParseInt(k, 10, 64); err == nil {
			addresses[n], _ = v.(string)
		}
	}
	if int64(len(addresses)) != parts {
		return failf(ErrRefused, "%s: the endpoint gives %d addresses for %d parts of %d bytes", s, len(addresses), parts, chunk)
	}
	for n := int64(1); n <= parts; n++ {
		to := addresses[n]
		if to == "" {
			return failf(ErrRefused, "%s: the endpoint gives no address for part %d of %d", s, n, parts)
		}
		at := (n - 1) * chunk
		tag, err := c.put(ctx, f, to, nil, at, min(chunk, f.size-at), m, s)
		if err != nil {
			return err
		}
		if tag == "" {
			return failf(ErrRefused, "%s: part %d was taken without an ETag", s, n)
		}
		completion.Parts = append(completion.Parts, done{int(n), tag})
	}
	body, err := json.Marshal(completion)
	if err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return c.callRaw(ctx, c.retries, http.MethodPost, c.href(up.Href), lfsMedia, nil, body, nil, s)
}

func chunkSize(v any) (int64, error) {
	var n int64
	switch v := v.(type) {
	case float64:
		n = int64(v)
	case string:
		n, _ = strconv.ParseInt(v, 10, 64)
	}
	if n <= 0 {
		return 0, fmt.Errorf("the endpoint's chunk_size %v is none", v)
	}
	return n, nil
}

// put sends bytes [at, at+size) of a file and gives the answer's ETag.
func (c *Client) put(ctx context.Context, f *uploadFile, to string, header map[string]string, at, size int64, m *meter, s subject) (tag string, err error) {
	in, err := os.Open(f.path)
	if err != nil {
		return "", fmt.Errorf("upload: %w", err)
	}
	defer in.Close()
	err = c.retry(ctx, c.retries, func() (bool, error) {
		wctx, w := c.watch(ctx, patient*c.stall)
		defer w.stop()
		sent := &countedReader{Reader: w.reader(io.NewSectionReader(in, at, size)), count: func(n int64) { m.add(f.name, n) }}
		req, err := http.NewRequestWithContext(wctx, http.MethodPut, to, io.NopCloser(sent))
		if err != nil {
			return false, failf(ErrRefused, "%s: the endpoint's upload address is none", s)
		}
		req.ContentLength = size
		for k, v := range header {
			req.Header.Set(k, v)
		}
		resp, err := c.send(req, s)
		if err == nil {
			defer resp.Body.Close()
			if resp.StatusCode/100 != 2 {
				err = c.statusFailure(resp, s)
			} else {
				tag = resp.Header.Get("ETag")
			}
		}
		if err != nil {
			m.add(f.name, -sent.takeBack())
		}
		return false, err
	})
	return tag, err
}
