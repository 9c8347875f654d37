package mlflow

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"triality/experiments"
	"triality/server/search"
	"triality/server/search/query"
)

// maxResults is the most that may be asked for at once.
const maxResults = 50_000

type runSearch struct {
	Experiments texts   `json:"experiment_ids"`
	Filter      text    `json:"filter"`
	View        text    `json:"run_view_type"`
	Most        integer `json:"max_results"`
	Order       texts   `json:"order_by"`
	Page        text    `json:"page_token"`
}

type foundRuns struct {
	Runs []run  `json:"runs"`
	Next string `json:"next_page_token,omitempty"`
}

func limit(n integer, usual int) (int, error) {
	if n == 0 {
		return usual, nil
	}
	if n < 0 || n > maxResults {
		return 0, invalid("Invalid value %d for parameter 'max_results' supplied. It must be at most %d, but got value %d", n, maxResults, n)
	}
	return int(n), nil
}

func (a *API) searchRuns(ctx context.Context, in runSearch) (any, error) {
	out := foundRuns{Runs: []run{}}
	most, err := limit(in.Most, 1000)
	if err != nil {
		return nil, err
	}
	archived, err := view(in.View)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, id := range in.Experiments {
		at, err := a.experimentID(ctx, text(id))
		if err != nil {
			return nil, err
		}
		ids = append(ids, at)
	}
	if len(ids) == 0 {
		return out, nil // as MLflow has it: no experiment has no runs
	}
	q, err := search.Request{Filter: string(in.Filter), OrderBy: in.Order, Experiments: ids, Archived: archived, Cursor: string(in.Page)}.Query()
	if err != nil {
		return nil, err
	}
	q.Limit = min(most, search.MaxLimit) // whole runs are large; a token leads to the rest
	found, err := a.Store.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, row := range found.Items {
		r, err := a.Store.Run(ctx, row.ID)
		if experiments.CodeOf(err) == experiments.CodeNotFound {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		whole, err := a.whole(ctx, r)
		if err != nil {
			return nil, err
		}
		out.Runs = append(out.Runs, whole)
	}
	out.Next = found.Next
	return out, nil
}

type experimentSearch struct {
	Filter text    `json:"filter"`
	View   text    `json:"view_type"`
	Most   integer `json:"max_results"`
	Order  texts   `json:"order_by"`
	Page   text    `json:"page_token"`
}

type foundExperiments struct {
	Experiments []experimentInfo `json:"experiments"`
	Next        string           `json:"next_page_token,omitempty"`
}

// searchExperiments goes through all of them: they are few beside runs. A page begins after the experiment that its
// token names.
func (a *API) searchExperiments(ctx context.Context, in experimentSearch) (any, error) {
	most, err := limit(in.Most, 1000)
	if err != nil {
		return nil, err
	}
	archived, err := view(in.View)
	if err != nil {
		return nil, err
	}
	filter, err := query.Parse(string(in.Filter))
	if err != nil {
		return nil, invalid("filter: %v", err)
	}
	orders := []query.Order{}
	for _, o := range in.Order {
		order, err := query.ParseOrder(o)
		if err != nil {
			return nil, invalid("order_by: %v", err)
		}
		if _, err := property(experimentInfo{}, order.Key); err != nil {
			return nil, err
		}
		orders = append(orders, order)
	}
	var found []experimentInfo
	for cursor := ""; ; {
		items, next, err := a.Store.Experiments(ctx, search.MaxLimit, cursor)
		if err != nil {
			return nil, err
		}
		for _, e := range items {
			deleted := !e.ArchivedAt.IsZero()
			if archived == search.Without && deleted || archived == search.Only && !deleted {
				continue
			}
			info := infoOf(e.Experiment)
			ok, err := matches(info, filter)
			if err != nil {
				return nil, err
			}
			if ok {
				found = append(found, info)
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	slices.SortStableFunc(found, func(x, y experimentInfo) int {
		for _, o := range orders {
			a, _ := property(x, o.Key)
			b, _ := property(y, o.Key)
			if c := compare(a, b); c != 0 {
				if o.Descending {
					return -c
				}
				return c
			}
		}
		return cmp.Or(cmp.Compare(y.Created, x.Created), strings.Compare(y.ID, x.ID))
	})
	if in.Page != "" {
		at := slices.IndexFunc(found, func(e experimentInfo) bool { return e.ID == string(in.Page) })
		if at < 0 {
			return nil, invalid("Invalid page token: the experiment that it names is no longer found; begin anew")
		}
		found = found[at+1:]
	}
	out := foundExperiments{Experiments: found}
	if len(found) > most {
		out.Experiments, out.Next = found[:most], found[most-1].ID
	}
	if out.Experiments == nil {
		out.Experiments = []experimentInfo{}
	}
	return out, nil
}
