package client

import (
	"context"
	"net/http"
	"net/url"

	"triality/server/search"
	"triality/server/store"
)

// Bulk is a change of many runs: of those named, or of those of a filter.
type Bulk struct {
	IDs          []string           `json:"ids,omitempty"`
	Where        *Where             `json:"where,omitempty"`
	Action       store.Action       `json:"action"`
	Tags         map[string]*string `json:"tags,omitempty"`          // of tag: nil removes one
	ExperimentID string             `json:"experiment_id,omitempty"` // of move
}

// Where are the runs of a filter, if they are as many as expected.
type Where struct {
	Filter      string          `json:"filter,omitempty"`
	Experiments []string        `json:"experiments,omitempty"`
	Archived    search.Archived `json:"archived,omitempty"`
	Expected    int             `json:"expected"`
}

// ChangeRuns changes runs; the change's token undoes it.
func (c *Client) ChangeRuns(ctx context.Context, b Bulk) (out store.Change, err error) {
	return out, c.send(ctx, http.MethodPost, "/api/v1/runs/bulk", "application/json", jsonOf(b), &out)
}

// Undo undoes a change. What was changed since is a CodeConflict error, or is left where skip is set.
func (c *Client) Undo(ctx context.Context, token string, skip bool) (out store.Change, err error) {
	return out, c.send(ctx, http.MethodPost, "/api/v1/undo/"+url.PathEscape(token), "application/json", jsonOf(map[string]bool{"skip_conflicts": skip}), &out)
}

// Changes gives the changes that are kept for undoing, the newest first.
func (c *Client) Changes(ctx context.Context) ([]store.Change, error) {
	var page struct {
		Items []store.Change `json:"items"`
	}
	return page.Items, c.get(ctx, "/api/v1/undo", nil, &page)
}

// Views gives the saved views, without their bodies.
func (c *Client) Views(ctx context.Context) ([]store.View, error) {
	var page struct {
		Items []store.View `json:"items"`
	}
	return page.Items, c.get(ctx, "/api/v1/views", nil, &page)
}
