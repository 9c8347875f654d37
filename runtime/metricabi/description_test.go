package metricabi

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

const probe = `{"name":"probe","version":"1","description":"d","formula":"f","source":"s",
	"columns":[{"role":"label"},{"role":"prediction","arm":"A"},{"role":"probability","arm":"B","optional":true},
		{"role":"extra","name":"tokens","dtype":"i64","arm":"A","optional":true}],
	"outputs":[{"name":"x","kind":"scalar","direction":"lower","min":0,"max":1},{"name":"c","kind":"column","direction":"none","arm":"B"}],
	"parameters":[{"name":"bins","type":"integer","default":10,"min":1,"max":100},{"name":"scale","type":"number"},
		{"name":"strict","type":"boolean","default":true},{"name":"mode","type":"string","default":"fast"},
		{"name":"cost","type":"numbers","default":[1,2.5]}]}`

func parsed(t testing.TB) *Description {
	t.Helper()
	d, err := ParseDescription([]byte(probe))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestADescriptionSurvivesJSON(t *testing.T) {
	d := parsed(t)
	if d.Columns[2].Role != RoleProbability || d.Columns[2].Arm != ArmB || d.Outputs[1].Kind != PerSample || *d.Outputs[0].Max != 1 {
		t.Errorf("%+v", d)
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseDescription(b)
	if err != nil || !reflect.DeepEqual(d, again) {
		t.Errorf("%s became %+v (%v)", b, again, err)
	}
}

func TestADescriptionWithAFaultIsRefusedByName(t *testing.T) {
	for name, c := range map[string]struct{ from, to, says string }{
		"an unknown field":                    {`"formula"`, `"formulae"`, `"formulae"`},
		"an unknown field of an output":       {`"min":0`, `"mini":0`, `"mini"`},
		"a field in capitals":                 {`"formula"`, `"Formula"`, `unknown field "Formula"`},
		"a field twice":                       {`"source":"s"`, `"formula":"g"`, `"formula" is given twice`},
		"a second value":                      {`[1,2.5]}]}`, `[1,2.5]}]} {}`, "more than one"},
		"deep nesting":                        {`[1,2.5]`, `[[[[[[[[1]]]]]]]]`, "deep"},
		"a broken end":                        {`[1,2.5]}]}`, `[1,2.5]`, "EOF"},
		"no name":                             {`"name":"probe",`, ``, "name"},
		"a name in capitals":                  {`"probe"`, `"Probe"`, `name "Probe"`},
		"no version":                          {`"version":"1",`, ``, "version"},
		"no description":                      {`"description":"d",`, ``, "description is missing"},
		"an unknown role":                     {`"role":"label"`, `"role":"lable"`, `unknown role "lable"`},
		"a label of an arm":                   {`{"role":"label"}`, `{"role":"label","arm":"A"}`, "shared"},
		"a prediction of no arm":              {`"arm":"A"},{"role":"prob`, `"arm":"shared"},{"role":"prob`, "arm A or B"},
		"a parameter among the columns":       {`{"role":"label"}`, `{"role":"parameter"}`, "come by themselves"},
		"a label with a dtype":                {`{"role":"label"}`, `{"role":"label","dtype":"i32"}`, "only an extra"},
		"an extra without a name":             {`"name":"tokens",`, ``, "name is empty"},
		"an extra without a dtype":            {`"dtype":"i64",`, ``, "unknown dtype"},
		"a column twice":                      {`{"role":"label"},`, `{"role":"label"},{"role":"label"},`, "given twice"},
		"an output without a kind":            {`"kind":"scalar",`, ``, "kind is missing"},
		"an unknown direction":                {`"lower"`, `"down"`, `direction "down"`},
		"an output twice":                     {`"name":"c"`, `"name":"x"`, "given twice"},
		"a range that is none":                {`"min":0,"max":1}`, `"min":2,"max":1}`, "above max"},
		"an unknown parameter type":           {`"type":"number"`, `"type":"float"`, `type "float"`},
		"a default of another type":           {`"default":"fast"`, `"default":1`, "default"},
		"a default outside its range":         {`"default":10`, `"default":1000`, "outside its range"},
		"a default that is no whole number":   {`"default":10`, `"default":1.5`, "no integer"},
		"a default of null":                   {`"default":10`, `"default":null`, "null"},
		"a list with null":                    {`[1,2.5]`, `[1,null]`, "null"},
		"bytes that are not UTF-8":            {`"d"`, "\"\xff\"", "not UTF-8"},
		"no outputs":                          {`"outputs":[{"name":"x","kind":"scalar","direction":"lower","min":0,"max":1},{"name":"c","kind":"column","direction":"none","arm":"B"}],`, ``, "without any"},
		"an object where a list is asked for": {`"columns":[`, `"columns":{"role":[`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(probe, c.from) {
				t.Fatalf("%q is not in the description", c.from)
			}
			_, err := ParseDescription([]byte(strings.Replace(probe, c.from, c.to, 1)))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want it to say %q", err, c.says)
			}
		})
	}
	if _, err := ParseDescription(make([]byte, MaxDescriptionBytes+1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("%v for a description too long", err)
	}
}

func TestParametersBecomeConstantColumns(t *testing.T) {
	d := parsed(t)
	got, err := d.ParameterColumns(map[string]any{"scale": 3, "cost": []any{1, 2.0}, "strict": false, "bins": json.Number("7")})
	if err != nil {
		t.Fatal(err)
	}
	want := []Column{
		{Role: RoleParameter, DType: I64, Name: "bins", Int64: []int64{7}},
		{Role: RoleParameter, DType: F64, Name: "scale", Float64: []float64{3}},
		{Role: RoleParameter, DType: I32, Name: "strict", Int32: []int32{0}},
		{Role: RoleParameter, DType: UTF8, Name: "mode", Bytes: []byte("fast")},
		{Role: RoleParameter, DType: F64, Name: "cost", Float64: []float64{1, 2}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for name, c := range map[string]struct {
		values map[string]any
		says   string
	}{
		"one that is not set":     {nil, "scale has no default"},
		"one that is unknown":     {map[string]any{"scale": 1, "bin": 3}, `no parameter "bin"`},
		"one outside its range":   {map[string]any{"scale": 1, "bins": 0}, "outside its range"},
		"one of another type":     {map[string]any{"scale": "1"}, "want number"},
		"one that JSON lacks":     {map[string]any{"scale": func() {}}, "scale"},
		"one that is nil":         {map[string]any{"scale": nil}, "null"},
		"a string that is longer": {map[string]any{"scale": 1, "mode": strings.Repeat("a", MaxParameterValues+1)}, "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := d.ParameterColumns(c.values); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want it to say %q", err, c.says)
			}
		})
	}
}

func TestAMetricIsHandedTheColumnsItNamesAndNoOthers(t *testing.T) {
	d := parsed(t)
	all := full()
	got, err := d.Select(all)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range got.Columns {
		names = append(names, c.Role.String()+" "+c.Arm.String()+" "+c.Name)
	}
	want := []string{"class shared ", "class shared ", "label shared ", "prediction A ", "extra A tokens"}
	if !reflect.DeepEqual(names, want) || got.Rows != all.Rows {
		t.Errorf("got %q of %d rows, want %q", names, got.Rows, want)
	}
	if _, err := d.Select(Table{}); err == nil || !strings.Contains(err.Error(), "needs the label column") {
		t.Errorf("without a label: %v", err)
	}
	all.Columns = append(all.Columns[:0:0], Int32Column(RoleLabel, ArmShared, "", make([]int32, 3)), Int32Column(RolePrediction, ArmA, "", make([]int32, 3)),
		Int32Column(RoleExtra, ArmA, "tokens", make([]int32, 3)))
	if _, err := d.Select(all); err == nil || !strings.Contains(err.Error(), "as i64") {
		t.Errorf("with tokens as i32: %v", err)
	}
}

func TestResultsAreHeldAgainstTheDescription(t *testing.T) {
	d := parsed(t)
	for name, c := range map[string]struct {
		r    Result
		says string // empty: accepted
	}{
		"inside the range":           {Result{Name: "x", Kind: Scalar, Values: []float64{1}}, ""},
		"above it by rounding":       {Result{Name: "x", Kind: Scalar, Values: []float64{1 + 1e-15}}, ""},
		"above it":                   {Result{Name: "x", Kind: Scalar, Values: []float64{1.01}}, "above its maximum"},
		"below it":                   {Result{Name: "x", Kind: Scalar, Values: []float64{-0.01}}, "below its minimum"},
		"undefined":                  {Result{Name: "x", Kind: Scalar, Values: []float64{0}, Undefined: []bool{true}}, ""},
		"of another kind":            {Result{Name: "x", Kind: Vector, Values: []float64{0}}, "says scalar"},
		"of a name not described":    {Result{Name: "y", Kind: Scalar, Values: []float64{0}}, "not among"},
		"without a range to hold to": {Result{Name: "c", Kind: PerSample, Values: []float64{1e300}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := d.CheckResults([]Result{c.r})
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want it to say %q", err, c.says)
			}
		})
	}
}

func FuzzParseDescription(f *testing.F) {
	f.Add([]byte(probe))
	f.Add([]byte(`{"name":1}`))
	f.Add([]byte(`[{}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDescription(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseDescription(again); err != nil && len(again) <= MaxDescriptionBytes {
			t.Fatalf("%s: %v", again, err)
		}
	})
}
