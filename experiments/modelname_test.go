package experiments

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// The pages' own naming is held to the same cases (frontend/tests/abtest.test.ts).
func TestModelsOfAnABTestAreNamedByWhatTheyAreMadeOf(t *testing.T) {
	text, err := os.ReadFile("testdata/modelnames.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		About string
		Run   Run
		Arms  [2]ArmResult
		Want  [2]ModelName
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.About, func(t *testing.T) {
			if got := ModelNames(c.Run, &ABResult{Arms: c.Arms}); !reflect.DeepEqual(got, c.Want) {
				t.Errorf("%+v, want %+v", got, c.Want)
			}
		})
	}
}
