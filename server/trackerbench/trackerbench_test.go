package trackerbench

import (
	"context"
	"testing"
)

func TestASmallTrackerIsMeasured(t *testing.T) {
	r, err := Run(context.Background(), Options{Runs: 60, Metrics: 4, Params: 3, Points: 2, Columns: 900, Curve: 5000, Rounds: 20, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for name, timing := range map[string]Timing{"page": r.Page, "facets": r.Facets, "groups": r.Groups, "wide columns": r.WideColumns, "wide page": r.WidePage, "curve": r.Curve} {
		if timing.Requests == 0 || timing.P95MS <= 0 || timing.P50MS > timing.P95MS || timing.P95MS > timing.MaxMS || timing.Bytes == 0 {
			t.Errorf("%s: %+v", name, timing)
		}
	}
	if r.StartMS <= 0 || r.Memory.HeapMB <= 0 || r.Data.FileMB <= 0 || r.WideColumns.Bytes < 900*50 {
		t.Errorf("%+v", r)
	}
}
