package metricabi

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"
)

// full is a table with every role, dtype and shape of buffer.
func full() Table {
	group := StringColumn(RoleGroup, ArmShared, "", []string{"", "é", "群"})
	group.SetValid([]bool{true, false, true})
	t := Table{Rows: 3, Columns: ClassColumns("ALLOW", "DENY")}
	t.Columns = append(t.Columns,
		Int32Column(RoleLabel, ArmShared, "", []int32{0, 1, 1}),
		Int32Column(RolePrediction, ArmA, "", []int32{1, 0, 1}),
		Int32Column(RolePrediction, ArmB, "", []int32{1, 1, 1}),
		Float64Column(RoleProbability, ArmA, "ALLOW", []float64{0.25, math.NaN(), math.Copysign(0, -1)}),
		StringColumn(RoleText, ArmShared, "", []string{"a", "", "bcd"}),
		StringColumn(RoleOutput, ArmB, "", []string{"x", "y", "z"}),
		Float64Column(RoleLatency, ArmB, "", []float64{1, 2, 3}),
		group,
		Int64Column(RoleExtra, ArmA, "tokens", []int64{math.MinInt64, 0, 7}),
		Column{Role: RoleParameter, DType: UTF8, Name: "mode", Bytes: []byte("fast")},
		Column{Role: RoleParameter, DType: F64, Name: "cost", Float64: []float64{1, 2, 3, 4, 5}},
		Column{Role: RoleParameter, DType: F64, Name: "none"})
	return t
}

func TestATableSurvivesEncodingAndDecoding(t *testing.T) {
	for name, table := range map[string]Table{
		"of every kind of column": full(),
		"without columns":         {Rows: 5},
		"without rows": {Columns: []Column{Int32Column(RoleLabel, ArmShared, "", nil),
			StringColumn(RoleText, ArmShared, "", nil)}},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Encode(table)
			if err != nil {
				t.Fatal(err)
			}
			if len(b)%16 != 0 || int64(len(b)) > table.EncodedSize() {
				t.Errorf("%d bytes, announced %d", len(b), table.EncodedSize())
			}
			got, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Equal(table) {
				t.Errorf("got %+v, want %+v", got, table)
			}
			for n := range b {
				if _, err := Decode(b[:n]); err == nil && n < len(b)-15 {
					t.Errorf("the first %d of %d bytes decoded", n, len(b))
				}
			}
		})
	}
}

func TestEveryBufferIsAlignedAndInsideTheBlock(t *testing.T) {
	b, err := Encode(full())
	if err != nil {
		t.Fatal(err)
	}
	for i := range full().Columns {
		rec := b[16+32*i:]
		for f, name := range map[int]string{12: "name", 16: "data", 24: "offsets", 28: "validity"} {
			off := binary.LittleEndian.Uint32(rec[f:])
			if name == "name" {
				off &^= 15
			}
			if off%16 != 0 || int(off) > len(b) || off != 0 && int(off) < 16+32*len(full().Columns) {
				t.Errorf("column %d: %s at %d", i, name, off)
			}
		}
	}
}

// The bytes of the worked example in wasm-metrics/ABI.md.
const example = `
544d5431 01000000 03000000 03000000
09000000 00000000 04000000 01000000 70000000 05000000 00000000 00000000
01000000 00000000 01000000 00000000 80000000 0c000000 00000000 00000000
08000000 01000000 04000000 90000000 c0000000 05000000 b0000000 a0000000
414c4c4f 57000000 00000000 00000000
00000000 00000000 00000000 00000000
04000000 6e6f7465 00000000 00000000
05000000 00000000 00000000 00000000
00000000 02000000 02000000 05000000
6869796f 75000000 00000000 00000000
`

func exampleTable() Table {
	note := StringColumn(RoleExtra, ArmA, "note", []string{"hi", "", "you"})
	note.SetValid([]bool{true, false, true})
	return Table{Rows: 3, Columns: append(ClassColumns("ALLOW"),
		Int32Column(RoleLabel, ArmShared, "", []int32{0, 0, 0}), note)}
}

func TestTheBytesAreThoseOfTheDocument(t *testing.T) {
	got, err := Encode(exampleTable())
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(example), ""))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s", hex.Dump(got))
	}
}

func TestATableThatIsNoneIsRefused(t *testing.T) {
	label := func(v ...int32) Column { return Int32Column(RoleLabel, ArmShared, "", v) }
	bad := func(c Column, change func(*Column)) Column { change(&c); return c }
	text := StringColumn(RoleText, ArmShared, "", []string{"é", "b"})
	for name, c := range map[string]struct {
		table Table
		says  string
	}{
		"too few values":             {Table{2, []Column{label(0)}}, "1 values for 2 rows"},
		"negative rows":              {Table{-1, nil}, "-1 rows"},
		"a class id without a class": {Table{2, append(ClassColumns("A"), label(0, 1))}, "row 1: class id 1"},
		"a column twice":             {Table{1, []Column{label(0), label(0)}}, "another column"},
		"a class twice":              {Table{0, ClassColumns("A", "A")}, "another column"},
		"an unknown role":            {Table{0, []Column{{Role: 77, DType: I32}}}, "unknown role 77"},
		"an unknown arm":             {Table{0, []Column{{Role: RoleExtra, Arm: 27, DType: I32, Name: "x"}}}, "unknown arm"},
		"a label of f64":             {Table{0, []Column{{Role: RoleLabel, DType: F64}}}, "want i32"},
		"a label of arm A":           {Table{0, []Column{{Role: RoleLabel, Arm: ArmA, DType: I32}}}, "shared"},
		"a shared prediction":        {Table{0, []Column{{Role: RolePrediction, DType: I32}}}, "arm A or B"},
		"a label with a name":        {Table{0, []Column{{Role: RoleLabel, DType: I32, Name: "x"}}}, "takes no name"},
		"an extra without a name":    {Table{0, []Column{{Role: RoleExtra, DType: I32}}}, "needs a name"},
		"a name with NUL":            {Table{0, []Column{{Role: RoleExtra, DType: I32, Name: "a\x00"}}}, "control character"},
		"a name too long":            {Table{0, []Column{{Role: RoleExtra, DType: I32, Name: strings.Repeat("a", 129)}}}, "at most 128"},
		"text that is not UTF-8":     {Table{1, []Column{StringColumn(RoleText, ArmShared, "", []string{"\xff"})}}, "not UTF-8"},
		"a row that splits a character": {Table{2, []Column{bad(text, func(c *Column) { c.Offsets = []int32{0, 1, 3} })}},
			"row 1: text is not UTF-8"},
		"offsets that go back":        {Table{2, []Column{bad(text, func(c *Column) { c.Offsets = []int32{0, 9, 3} })}}, "follows"},
		"offsets that end elsewhere":  {Table{2, []Column{bad(text, func(c *Column) { c.Offsets = []int32{0, 1, 2} })}}, "offsets run"},
		"too few offsets":             {Table{2, []Column{bad(text, func(c *Column) { c.Offsets = []int32{0, 3} })}}, "2 offsets"},
		"validity too short":          {Table{9, []Column{bad(label(make([]int32, 9)...), func(c *Column) { c.Validity = []byte{1} })}}, "validity has 1 bytes"},
		"values of two dtypes":        {Table{1, []Column{bad(label(0), func(c *Column) { c.Int64 = []int64{1} })}}, "values of another are set too"},
		"a parameter with a validity": {Table{1, []Column{{Role: RoleParameter, DType: F64, Name: "p", Validity: []byte{1}}}}, "neither validity"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Encode(c.table); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want it to say %q", err, c.says)
			}
		})
	}
}

func TestABlockThatReachesOutsideItselfIsRefused(t *testing.T) {
	whole, err := Encode(exampleTable())
	if err != nil {
		t.Fatal(err)
	}
	rec := func(i int) int { return 16 + 32*i }
	for name, c := range map[string]struct {
		at   int
		word uint32
		says string
	}{
		"another magic":                {0, 1, "magic"},
		"another version":              {4, 2, "version 2"},
		"4294967295 rows":              {8, math.MaxUint32, "do not fit"},
		"more rows than values":        {8, 4, "for 4 rows"},
		"4294967295 columns":           {12, math.MaxUint32, "do not fit"},
		"more columns than records":    {12, 100, "do not fit"},
		"an unknown role":              {rec(0), 99, "unknown role"},
		"an unknown arm":               {rec(2) + 4, 27, "unknown arm"},
		"an unknown dtype":             {rec(0) + 8, 9, "unknown dtype"},
		"an unknown flag":              {rec(1) + 12, 2, "flags"},
		"a constant flag on a label":   {rec(1) + 12, 1, "flags"},
		"a name outside":               {rec(2) + 12, 0xfffffff0, "name is at"},
		"a name longer than the block": {0x90, math.MaxUint32, "name is at"},
		"data outside":                 {rec(1) + 16, 0xfffffff0, "data is at"},
		"data that is not aligned":     {rec(1) + 16, 0x81, "multiple of 16"},
		"data of an odd length":        {rec(1) + 20, 11, "11 bytes of i32"},
		"data of 4 GB":                 {rec(0) + 20, math.MaxUint32, "data is at"},
		"offsets outside":              {rec(2) + 24, 0xfffffff0, "offsets is at"},
		"offsets in the header":        {rec(2) + 24, 0, "after the header"},
		"offsets of an i32 column":     {rec(1) + 24, 0xc0, "no offsets"},
		"validity outside":             {rec(2) + 28, 0xfffffff0, "validity is at"},
		"an offset beyond the data":    {0xb4, 100, "follows"},
	} {
		t.Run(name, func(t *testing.T) {
			b := append([]byte{}, whole...)
			binary.LittleEndian.PutUint32(b[c.at:], c.word)
			if _, err := Decode(b); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want it to say %q", err, c.says)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, t := range []Table{full(), newer(), exampleTable(), {}} {
		b, err := Encode(t)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := Decode(b)
		if err != nil {
			return
		}
		// What decodes can be encoded, and means the same again.
		again, err := Encode(table)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Decode(again); err != nil || !got.Equal(table) {
			t.Fatalf("%+v became %+v (%v)", table, got, err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	v := make([]float64, 1<<20)
	t := Table{Rows: len(v), Columns: []Column{Float64Column(RoleLatency, ArmA, "", v)}}
	b.SetBytes(8 << 20)
	for b.Loop() {
		if _, err := Encode(t); err != nil {
			b.Fatal(err)
		}
	}
}
