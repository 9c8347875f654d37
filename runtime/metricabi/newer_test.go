package metricabi

import (
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// newer is a table with what version 1.1 adds: three arms, their names, token log-probabilities.
func newer() Table {
	t := Table{Rows: 3, Columns: append(ClassColumns("a", "b"), ArmColumns("base", "tuned", "tuned again")...)}
	t.Columns = append(t.Columns, Int32Column(RoleLabel, ArmShared, "", []int32{0, 1, 1}), StringColumn(RoleExtra, ArmShared, "topic", []string{"x", "y", "x"}))
	for arm := ArmA; arm <= 3; arm++ {
		c := Float64ListColumn(RoleTokenLogProb, arm, "", [][]float64{{-0.5, -1}, {}, {-2}})
		c.SetValid([]bool{true, arm == ArmA, true})
		t.Columns = append(t.Columns, Int32Column(RolePrediction, arm, "", []int32{0, int32(arm) % 2, 1}), c)
	}
	return t
}

func TestATableOfVersion11SurvivesAndSaysWhatItHas(t *testing.T) {
	b, err := Encode(newer())
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b)
	if err != nil || !got.Equal(newer()) {
		t.Fatalf("%+v, %v", got, err)
	}
	if arms := got.Arms(); !slices.Equal(arms, []Arm{1, 2, 3}) || arms[2].String() != "C" {
		t.Errorf("arms %v", arms)
	}
	lists := &got.Columns[len(got.Columns)-1]
	if lists.DType != F64List || !slices.Equal(lists.List(0), []float64{-0.5, -1}) || lists.Valid(1) || len(lists.List(1)) != 0 {
		t.Errorf("%+v", lists)
	}
	for name, change := range map[string]func(*Column){
		"offsets that end early":   func(c *Column) { c.Offsets = []int32{0, 2, 2, 2} },
		"offsets that go back":     func(c *Column) { c.Offsets = []int32{0, 3, 2, 3} },
		"offsets of too few rows":  func(c *Column) { c.Offsets = c.Offsets[:3] },
		"a list that is an f64":    func(c *Column) { c.DType = F64 },
		"an arm's name of no arm":  func(c *Column) { *c = Column{Role: RoleArm, DType: UTF8, Bytes: []byte("x")} },
		"log-probabilities of all": func(c *Column) { c.Arm = ArmShared },
		"a parameter that is lists": func(c *Column) {
			*c = Column{Role: RoleParameter, Name: "p", DType: F64List}
		},
	} {
		bad := newer()
		change(&bad.Columns[len(bad.Columns)-1])
		if bad.Check() == nil {
			t.Errorf("%s: got through", name)
		}
	}
}

func TestASliceIsTheTableOfItsRows(t *testing.T) {
	s := newer().Slice([]int{0, 2})
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	want := newer()
	want.Rows = 2
	for i := range want.Columns {
		c := &want.Columns[i]
		switch {
		case c.Role.constant():
		case c.DType == I32:
			c.Int32 = []int32{c.Int32[0], c.Int32[2]}
		case c.Role == RoleExtra:
			*c = StringColumn(RoleExtra, ArmShared, "topic", []string{"x", "x"})
		default:
			*c = Float64ListColumn(c.Role, c.Arm, "", [][]float64{{-0.5, -1}, {-2}}) // every row of the slice has a value
		}
	}
	if !s.Equal(want) {
		t.Errorf("got %+v\nwant %+v", s, want)
	}
	one := newer().Slice([]int{1})
	if c := one.Columns[len(one.Columns)-1]; c.Valid(0) || one.Rows != 1 {
		t.Errorf("a row without a value has one: %+v", c)
	}
	if none := newer().Slice(nil); none.Check() != nil || none.Rows != 0 {
		t.Errorf("no rows: %v", none.Check())
	}
}

const newerDescription = `{"name":"m","version":"1","abi":"1.1","description":"d",
	"columns":[{"role":"label"},{"role":"prediction","arm":"each"},{"role":"token_logprob","arm":"C","optional":true},{"role":"extra","name":"l","dtype":"f64_list","optional":true}],
	"outputs":[{"name":"rate","kind":"interval","direction":"higher","arm":"each","level":0.9,"min":0,"max":1},
	{"name":"by","kind":"groups","direction":"none"},{"name":"ci","kind":"group_intervals","direction":"lower","level":0.95},{"name":"x.A","kind":"scalar","direction":"none"}]}`

func TestADescriptionOfVersion11SaysSo(t *testing.T) {
	d, err := ParseDescription([]byte(newerDescription))
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Select(newer())
	if err != nil {
		t.Fatal(err)
	}
	var is []string
	for _, c := range got.Columns {
		is = append(is, c.Role.String()+" "+c.Arm.String())
	}
	if want := "class shared, class shared, arm A, arm B, arm C, label shared, prediction A, prediction B, prediction C, token_logprob C"; strings.Join(is, ", ") != want {
		t.Errorf("it is handed %q, want %q", is, want)
	}
	short := newer()
	short.Columns = slices.DeleteFunc(short.Columns, func(c Column) bool { return c.Role == RolePrediction && c.Arm == 3 })
	if _, err := d.Select(short); err == nil || !strings.Contains(err.Error(), "prediction column of arm C") {
		t.Errorf("an arm without predictions: %v", err)
	}
	for fault, c := range map[string]struct{ from, to, says string }{
		"no abi":                         {`"abi":"1.1",`, ``, `"abi": "1.1"`},
		"another abi":                    {`"1.1"`, `"1.2"`, `abi "1.2"`},
		"an interval without a level":    {`"level":0.9,`, ``, "confidence"},
		"a level that is none":           {`0.95`, `1`, "confidence"},
		"a scalar with a level":          {`"kind":"scalar"`, `"level":0.5,"kind":"scalar"`, "confidence"},
		"a shared log-probability":       {`"role":"token_logprob","arm":"C"`, `"role":"token_logprob"`, "an arm"},
		"an arm's output by another's":   {`"name":"x.A"`, `"name":"rate.B"`, "each arm has"},
		"a column of an arm beyond Z":    {`"arm":"C"`, `"arm":"AA"`, "unknown arm"},
		"an unknown field, in 1.1 still": {`"abi":"1.1",`, `"abi":"1.1","sliceable":true,`, "unknown field"},
		"an arm's name as a column":      {`{"role":"label"}`, `{"role":"arm","arm":"A"}`, "come by themselves"},
	} {
		text := strings.Replace(newerDescription, c.from, c.to, 1)
		if _, err := ParseDescription([]byte(text)); text == newerDescription || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", fault, err, c.says)
		}
	}
	// Each thing that is new is refused of a module that does not say 1.1.
	for _, columns := range []string{`{"role":"token_logprob","arm":"A"}`, `{"role":"prediction","arm":"C"}`, `{"role":"prediction","arm":"each"}`, `{"role":"extra","name":"l","dtype":"f64_list"}`} {
		text := `{"name":"m","version":"1","description":"d","columns":[` + columns + `],"outputs":[{"name":"x","kind":"scalar","direction":"none"}]}`
		if _, err := ParseDescription([]byte(text)); err == nil || !strings.Contains(err.Error(), "1.1") {
			t.Errorf("%s: %v", columns, err)
		}
	}
	for _, output := range []string{`"kind":"interval","level":0.9`, `"kind":"groups"`, `"kind":"scalar","arm":"each"`, `"kind":"scalar","arm":"C"`} {
		text := `{"name":"m","version":"1","description":"d","columns":[],"outputs":[{"name":"x","direction":"none",` + output + `}]}`
		if _, err := ParseDescription([]byte(text)); err == nil || !strings.Contains(err.Error(), "1.1") {
			t.Errorf("%s: %v", output, err)
		}
	}
}

func TestAModuleOfVersion10SeesNothingOfVersion11(t *testing.T) {
	d, err := ParseDescription([]byte(`{"name":"m","version":"1","description":"d","columns":[{"role":"label"},{"role":"prediction","arm":"A"},{"role":"extra","name":"topic","dtype":"utf8"}],"outputs":[{"name":"x","kind":"scalar","direction":"none"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	old := newer()
	old.Columns = slices.DeleteFunc(old.Columns, func(c Column) bool { return c.Role > RoleParameter || c.Arm > ArmB })
	want, err := d.Select(old)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Select(newer())
	if err != nil || !got.Equal(want) {
		t.Errorf("%+v, want the table of version 1.0 (%v)", got, err)
	}
}

// group11 is a block with one result of version 1.1, laid out as in ABI.md.
func group11(kind Kind, groups []string, values ...float64) []byte {
	le := binary.LittleEndian
	b := append([]byte("TMR1"), 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0)
	groupsAt := 0
	if kind.grouped() {
		groupsAt = 52 + 8*len(values)
	}
	for _, v := range []int{int(kind), 3, 48, 4, 52, 8 * len(values), 0, groupsAt} {
		b = le.AppendUint32(b, uint32(v))
	}
	b = append(b, "name"...)
	for _, v := range values {
		b = le.AppendUint64(b, math.Float64bits(v))
	}
	if kind.grouped() {
		end := 0
		b = le.AppendUint32(b, 0)
		for _, g := range groups {
			end += len(g)
			b = le.AppendUint32(b, uint32(end))
		}
		b = append(b, strings.Join(groups, "")...)
	}
	return b
}

func newerBlocks() [][]byte {
	return [][]byte{
		group11(Interval, nil, 0.5, 0.25, 0.75), group11(Groups, []string{"en", "日本語"}, 1, 2), group11(Groups, nil),
		group11(GroupIntervals, []string{"en", "ja"}, 0.5, 0.25, 0.75, 1, 1, 1),
	}
}

func TestResultsOfVersion11AreRead(t *testing.T) {
	want := []Result{
		{Name: "name", Kind: Interval, Values: []float64{0.5, 0.25, 0.75}},
		{Name: "name", Kind: Groups, Values: []float64{1, 2}, Groups: []string{"en", "日本語"}},
		{Name: "name", Kind: Groups, Values: []float64{}, Groups: []string{}},
		{Name: "name", Kind: GroupIntervals, Values: []float64{0.5, 0.25, 0.75, 1, 1, 1}, Groups: []string{"en", "ja"}},
	}
	for i, b := range newerBlocks() {
		got, err := DecodeResults(b, DefaultLimits(9))
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want[i]) {
			t.Errorf("%+v %v, want %+v", got, err, want[i])
		}
	}
	d, err := ParseDescription([]byte(newerDescription))
	if err != nil {
		t.Fatal(err)
	}
	result := func(name string, kind Kind, values ...float64) []Result {
		return []Result{{Name: name, Kind: kind, Values: values}}
	}
	for _, r := range []Result{result("rate.A", Interval, 0.5, 0, 1)[0], result("rate.Z", Interval, 1, 1, 1)[0], result("by", Groups)[0], result("x.A", Scalar, 1)[0]} {
		if err := d.CheckResults([]Result{r}); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
	for name, r := range map[string][]Result{
		"of each arm, of none": result("rate", Interval, 0.5, 0, 1), "of no arm": result("rate.AA", Interval, 0.5, 0, 1), "of a small letter": result("rate.a", Interval, 0.5, 0, 1),
		"another kind": result("rate.A", Scalar, 0.5), "an end outside the range": result("rate.A", Interval, 0.5, 0, 1.5), "not of each arm": result("by.A", Groups),
	} {
		if d.CheckResults(r) == nil {
			t.Errorf("%s: got through", name)
		}
	}
	if o, arm := d.OutputOf("rate.C"); o == nil || o.Name != "rate" || arm != 3 {
		t.Errorf("%+v %v", o, arm)
	}
}

func TestABlockOfVersion11ThatLiesIsRefused(t *testing.T) {
	put := func(b []byte, at int, v uint32) []byte {
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	two := func() []byte { return group11(Groups, []string{"en", "ja"}, 1, 2) } // names at 68: 0, 2, 4, "enja"
	long := make([]float64, MaxGroups+1)
	names := make([]string, len(long))
	for i := range names {
		names[i] = string(rune('A'+i/100)) + string(rune(1000+i))
	}
	for name, c := range map[string]struct {
		b    []byte
		says string
	}{
		"two numbers":                    {group11(Interval, nil, 1, 2), "2 values"},
		"an interval the wrong way":      {group11(Interval, nil, 1, 2, 1.5), "from 2 to 1.5"},
		"a NaN":                          {group11(Interval, nil, 1, math.NaN(), 2), "NaN"},
		"an interval with groups":        {put(group11(Interval, nil, 1, 1, 1), 44, 52), "reserved"},
		"groups without names":           {put(two(), 44, 0), "within the header"},
		"names in the header":            {put(two(), 44, 12), "within the header"},
		"names outside":                  {put(two(), 44, 84), "offsets of the groups' names"},
		"names at the end of all":        {put(two(), 44, 0xfffffffc), "offsets of the groups' names"},
		"names that end outside":         {put(two(), 68+8, 5), "names of the groups"},
		"names of 4 GiB":                 {put(two(), 68+8, 0xffffffff), "name has"},
		"an offset that goes back":       {put(two(), 68+4, 5), "name has"},
		"an empty name":                  {put(two(), 68+4, 0), "name has"},
		"offsets that begin behind":      {put(two(), 68, 1), "begin at 1"},
		"a name twice":                   {group11(Groups, []string{"en", "en"}, 1, 2), "used twice"},
		"a control character":            {group11(Groups, []string{"e\n", "ja"}, 1, 2), "control"},
		"a name that is not UTF-8":       {group11(Groups, []string{"e\xff", "ja"}, 1, 2), "not UTF-8"},
		"a name cut in a character":      {group11(Groups, []string{"\xe6\x97", "\xa5"}, 1, 2), "not UTF-8"},
		"a name of 129 bytes":            {group11(Groups, []string{strings.Repeat("n", 129), "ja"}, 1, 2), "129 bytes"},
		"too many":                       {group11(Groups, names, long...), "4096 groups"},
		"intervals of no whole group":    {group11(GroupIntervals, []string{"en"}, 1, 2, 3, 4), "4 values"},
		"a group's interval, wrong ways": {group11(GroupIntervals, []string{"a", "b"}, 1, 1, 1, 1, 3, 2), "from 3 to 2"},
	} {
		if _, err := DecodeResults(c.b, DefaultLimits(3)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.says)
		}
	}
	small := DefaultLimits(3)
	small.MaxBytes = 19
	if _, err := DecodeResults(two(), small); err == nil || !strings.Contains(err.Error(), "names of groups") {
		t.Errorf("16 bytes of values and 4 of names in 19: %v", err)
	}
	undefined := put(group11(Interval, nil, 1, 5, 0), 40, uint32(76)) // the end 0 is none
	undefined = append(undefined, 0b011)
	if got, err := DecodeResults(undefined, DefaultLimits(3)); err != nil || got[0].Defined(2) {
		t.Errorf("an end that is undefined: %+v %v", got, err)
	}
}
