package hub

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
)

// commit posts the commit: one JSON object a line, a header, then each file, small ones with their
// content in base64, large ones by hash. It is tried again only where the endpoint said it did nothing:
// a commit whose answer was lost may have been made.
func (c *Client) commit(ctx context.Context, ref Ref, files []*uploadFile, message string, m *meter) (id, page string, err error) {
	s := subject{ref: ref}
	to := fmt.Sprintf("%s/api/models/%s/commit/%s", c.endpoint, ref.Repo, url.PathEscape(ref.Revision))
	var out struct {
		ID  string `json:"commitOid"`
		URL string `json:"commitUrl"`
	}
	err = c.retry(ctx, c.retries, func() (bool, error) {
		wctx, w := c.watch(ctx, patient*c.stall)
		defer w.stop()
		read, write := io.Pipe()
		var writing sync.WaitGroup
		writing.Go(func() { write.CloseWithError(writeCommit(write, files, message)) })
		defer writing.Wait()
		defer read.Close() // ends the writer where the request ended early
		req, err := http.NewRequestWithContext(wctx, http.MethodPost, to, io.NopCloser(w.reader(read)))
		if err != nil {
			return false, fmt.Errorf("%s: %w", s, err)
		}
		req.Header.Set("Content-Type", "application/x-ndjson")
		resp, err := c.send(req, s)
		if err != nil {
			return false, lost(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			err := c.statusFailure(resp, s)
			if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
				return false, err
			}
			return false, lost(err)
		}
		answer, err := io.ReadAll(io.LimitReader(w.reader(resp.Body), 1<<20))
		if err != nil {
			return false, lost(networkFailure(err, s))
		}
		if err := json.Unmarshal(answer, &out); err != nil {
			return false, failf(ErrRefused, "%s: the answer to the commit does not parse: %w", s, err)
		}
		return false, nil
	})
	if err != nil {
		return "", "", err
	}
	for _, f := range files {
		if !f.lfs {
			m.add(f.name, f.size)
			m.done(f.name)
		}
	}
	return out.ID, out.URL, nil
}

// lost makes a failure final.
func lost(err error) error {
	if t, ok := err.(*temporary); ok {
		return t.err
	}
	return err
}

func writeCommit(w io.Writer, files []*uploadFile, message string) error {
	type object map[string]any
	enc := json.NewEncoder(w)
	if err := enc.Encode(object{"key": "header", "value": object{"summary": message, "description": ""}}); err != nil {
		return err
	}
	for _, f := range files {
		if f.lfs {
			if err := enc.Encode(object{"key": "lfsFile", "value": object{"path": f.name, "algo": "sha256", "oid": f.hash, "size": f.size}}); err != nil {
				return err
			}
			continue
		}
		if err := writeSmall(w, f); err != nil {
			return err
		}
	}
	return nil
}

// writeSmall streams a file's line: its size is the endpoint's to judge, so it is not held in memory.
func writeSmall(w io.Writer, f *uploadFile) error {
	name, err := json.Marshal(f.name)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, `{"key":"file","value":{"path":%s,"encoding":"base64","content":"`, name); err != nil {
		return err
	}
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	content := base64.NewEncoder(base64.StdEncoding, w)
	if _, err := io.Copy(content, in); err != nil {
		return err
	}
	if err := content.Close(); err != nil {
		return err
	}
	_, err = io.WriteString(w, "\"}}\n")
	return err
}
