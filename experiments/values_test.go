package experiments

import (
	"encoding/json"
	"math"
	"testing"
)

func TestUndefinedFiguresAreNullInJSONAndNaNInGo(t *testing.T) {
	text, err := json.Marshal(MetricOutput{Name: "x", Values: Values{1.5, math.NaN(), math.Inf(1)}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"name":"x","kind":"","direction":"","values":[1.5,null,null]}`; string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	var back MetricOutput
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Values) != 3 || back.Values[0] != 1.5 || !math.IsNaN(back.Values[1]) || !math.IsNaN(back.Values[2]) {
		t.Errorf("read back as %v", back.Values)
	}
}
