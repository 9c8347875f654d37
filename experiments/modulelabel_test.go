package experiments

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestResultsShownTogetherAreToldApartByWhatDiffers(t *testing.T) {
	of := func(name, version, sha string, params map[string]any) ModuleResult {
		key, err := GivenKey(sha, params)
		if err != nil {
			t.Fatal(err)
		}
		return ModuleResult{Key: key, Name: name, Version: version, SHA256: sha, Params: params}
	}
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	long := strings.Repeat("x", 50)
	for name, c := range map[string]struct {
		results []ModuleResult
		want    []string
	}{
		"names alone":     {[]ModuleResult{of("x", "1", a, nil), of("y", "1", b, nil)}, []string{"x", "y"}},
		"another version": {[]ModuleResult{of("x", "1", a, nil), of("x", "2", b, nil)}, []string{"x 1", "x 2"}},
		"another module":  {[]ModuleResult{of("x", "1", a, nil), of("x", "1", b, nil)}, []string{"x aaaaaaaaaa", "x bbbbbbbbbb"}},
		"parameters": {[]ModuleResult{of("x", "1", a, map[string]any{"n": 1, "same": true}), of("x", "1", a, map[string]any{"n": 2, "same": true}), of("x", "1", a, map[string]any{"same": true})},
			[]string{"x n=1", "x n=2", "x n=default"}},
		"all of it": {[]ModuleResult{of("x", "1", a, nil), of("x", "2", a, nil), of("x", "1", a, map[string]any{"n": 1}), of("x", "1", b, nil)},
			[]string{"x 1 aaaaaaaaaa n=default", "x 2", "x 1 aaaaaaaaaa n=1", "x 1 bbbbbbbbbb"}},
	} {
		if got := ModuleLabels(c.results); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	clipped := ModuleLabels([]ModuleResult{of("x", "1", a, map[string]any{"s": long + "1"}), of("x", "1", a, map[string]any{"s": long + "2"})})
	if clipped[0] == clipped[1] {
		t.Errorf("texts that differ behind what is shown: %q", clipped)
	}
}

func TestAnOutputWithFewerValuesThanGroupsHasUndefinedOnes(t *testing.T) {
	o := MetricOutput{Kind: "group_intervals", Groups: []string{"a", "b"}, Values: Values{1, 0, 2, 3}}
	if got := o.Of(0); !slices.Equal(got, Values{1, 0, 2}) {
		t.Errorf("%v", got)
	}
	if got := o.Of(1); len(got) != 3 || got[0] != 3 || !math.IsNaN(got[1]) || !math.IsNaN(o.Of(9)[0]) {
		t.Errorf("%v", got)
	}
}

func TestAStoredResultWithoutAKeyGetsTheOneOfItsParameters(t *testing.T) {
	var old, again ModuleResult
	for text, into := range map[string]*ModuleResult{
		`{"name":"x","sha256":"ab","params":{"b":1,"a":5.0},"wall_ms":2}`: &old,
		`{"name":"y","sha256":"ab","params":{"a":5,"b":1}}`:               &again,
	} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	if old.Key == "" || old.Key != again.Key || old.WallMS != 2 {
		t.Errorf("%+v and %+v", old, again)
	}
	var kept ModuleResult
	if err := json.Unmarshal([]byte(`{"key":"k","sha256":"ab"}`), &kept); err != nil || kept.Key != "k" {
		t.Errorf("%+v %v", kept, err)
	}
}
