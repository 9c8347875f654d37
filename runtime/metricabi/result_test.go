package metricabi

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

// The block of the worked example in wasm-metrics/ABI.md: the scalar rate =
// 0.5 and the vector v = {1, undefined}.
const exampleBlock = `
544d5231 01000000 00000000 02000000
01000000 03000000 50000000 04000000 54000000 08000000 00000000 00000000
02000000 03000000 5c000000 01000000 5d000000 10000000 6d000000 00000000
72617465 000000000000e03f 76 000000000000f03f 0000000000000000 01
`

func block(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(exampleBlock), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheBlockOfTheDocumentIsRead(t *testing.T) {
	got, err := DecodeResults(block(t), DefaultLimits(3))
	if err != nil {
		t.Fatal(err)
	}
	want := []Result{{Name: "rate", Kind: Scalar, Values: []float64{0.5}},
		{Name: "v", Kind: Vector, Values: []float64{1, 0}, Undefined: []bool{false, true}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got[1].Defined(1) || !got[1].Defined(0) || !got[0].Defined(0) {
		t.Error("Defined does not tell the undefined value")
	}
	if b, err := json.Marshal(got); err != nil || !strings.Contains(string(b), `"kind":"vector"`) {
		t.Errorf("%s %v", b, err)
	}
}

func TestAnErrorTextComesBackAsTheMetricsOwn(t *testing.T) {
	b := []byte("TMR1\x01\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00bad")
	var said *MetricError
	if _, err := DecodeResults(b, DefaultLimits(0)); !errors.As(err, &said) || said.Text != "bad" {
		t.Errorf("%v", err)
	}
}

func TestABlockOfResultsThatLiesIsRefused(t *testing.T) {
	rec := func(i int) int { return 16 + 32*i }
	lim := DefaultLimits(3)
	for name, c := range map[string]struct {
		at   int
		word uint32
		says string
	}{
		"another magic":                      {0, 0, "magic"},
		"another version":                    {4, 9, "version 9"},
		"an unknown status":                  {8, 2, "status 2"},
		"4294967295 results":                 {12, math.MaxUint32, "4294967295 results"},
		"more results than records":          {12, 4, "4 results"},
		"an unknown kind":                    {rec(0), 7, "unknown kind 7"},
		"kind 0":                             {rec(0), 0, "unknown kind 0"},
		"a column of another length":         {rec(1), 3, "2 values for 3 rows"},
		"a scalar of two values":             {rec(1), 1, "a scalar with 2"},
		"values of i32":                      {rec(0) + 4, 1, "want f64"},
		"a name outside":                     {rec(0) + 8, math.MaxUint32, "name is at"},
		"a name longer than allowed":         {rec(0) + 12, 129, "at most 128"},
		"a name of 4 GB":                     {rec(0) + 12, math.MaxUint32, "at most 128"},
		"no name":                            {rec(0) + 12, 0, "empty"},
		"a name of numbers that is not UTF8": {rec(0) + 8, 89, "not UTF-8"},
		"data outside":                       {rec(0) + 16, math.MaxUint32, "data is at"},
		"data whose end overflows":           {rec(1) + 16, 0xfffffff8, "data is at"},
		"data of an odd length":              {rec(0) + 20, 7, "no whole number"},
		"validity outside":                   {rec(1) + 24, math.MaxUint32, "validity is at"},
		"something reserved":                 {rec(0) + 28, 1, "reserved 1"},
	} {
		t.Run(name, func(t *testing.T) {
			b := block(t)
			binary.LittleEndian.PutUint32(b[c.at:], c.word)
			if _, err := DecodeResults(b, lim); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want it to say %q", err, c.says)
			}
		})
	}
	for name, c := range map[string]struct {
		change func([]byte) []byte
		says   string
	}{
		"NaN": {func(b []byte) []byte {
			binary.LittleEndian.PutUint64(b[0x54:], math.Float64bits(math.NaN()))
			return b
		}, `"rate": value 0 is NaN`},
		"infinity": {func(b []byte) []byte {
			binary.LittleEndian.PutUint64(b[0x5d:], math.Float64bits(math.Inf(-1)))
			return b
		}, `"v": value 0 is -Inf`},
		"a name twice":    {func(b []byte) []byte { copy(b[rec(1)+8:], b[rec(0)+8:rec(0)+16]); return b }, "used twice"},
		"a name with NUL": {func(b []byte) []byte { b[0x50] = 0; return b }, "control character"},
		"nothing":         {func([]byte) []byte { return nil }, "0 bytes"},
		"an error text longer than the block": {func(b []byte) []byte { b[8], b[12] = 1, 255; return b[:100] },
			"error text is at"},
		"an error text longer than allowed": {func(b []byte) []byte { b[8], b[14] = 1, 1; return b }, "at most 4096"},
		"an error text that is not UTF-8":   {func(b []byte) []byte { b[8], b[12], b[16] = 1, 1, 0xff; return b }, "not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := DecodeResults(c.change(block(t)), lim); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want it to say %q", err, c.says)
			}
		})
	}
	if _, err := DecodeResults(block(t), Limits{MaxResults: 1}); err == nil || !strings.Contains(err.Error(), "at most 1") {
		t.Errorf("%v with one result allowed", err)
	}
	if _, err := DecodeResults(block(t), Limits{MaxResults: 2, MaxVector: 2, MaxBytes: 23}); err == nil || !strings.Contains(err.Error(), "more than 23 bytes") {
		t.Errorf("%v with 23 bytes of values allowed for 24", err)
	}
	if _, err := DecodeResults(block(t), Limits{MaxResults: 2, MaxVector: 1, MaxBytes: 24}); err == nil || !strings.Contains(err.Error(), "at most 1") {
		t.Errorf("%v with vectors of one value allowed", err)
	}
}

func FuzzDecodeResults(f *testing.F) {
	f.Add(block(f), 3)
	for _, b := range newerBlocks() {
		f.Add(b, 3)
	}
	f.Add([]byte("TMR1\x01\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00bad"), 0)
	f.Fuzz(func(t *testing.T, b []byte, rows int) {
		results, err := DecodeResults(b, DefaultLimits(rows))
		if err != nil {
			return
		}
		for _, r := range results {
			for _, v := range r.Values {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%v got through", v)
				}
			}
			if r.Kind == PerSample && len(r.Values) != rows || r.Kind == Scalar && len(r.Values) != 1 || checkName(r.Name) != nil {
				t.Fatalf("%+v got through", r)
			}
			if len(r.Groups)*r.Kind.width() != len(r.Values) && r.Kind.grouped() || len(r.Groups) > 0 && !r.Kind.grouped() || r.checkIntervals() != nil {
				t.Fatalf("%+v got through", r)
			}
			seen := map[string]bool{}
			for _, g := range r.Groups {
				if checkName(g) != nil || seen[g] {
					t.Fatalf("the group %q got through", g)
				}
				seen[g] = true
			}
		}
	})
}
