package api

import (
	"context"

	"triality/experiments"
	"triality/server/report/thin"
	"triality/server/store"
)

// thinned reads a series with at most most points, and its full length.
func thinned(ctx context.Context, st *store.Store, run, name string, most int) (points []experiments.Point, total int64, err error) {
	var t *thin.Thinner
	err = st.Points(ctx, run, name, func(n int64, part []experiments.Point) error {
		if t == nil {
			t, total = thin.New(n, most), n
		}
		t.Add(part)
		return nil
	})
	if err != nil || t == nil {
		return nil, total, err
	}
	return t.Points(), total, nil
}
