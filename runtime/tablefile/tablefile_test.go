package tablefile_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"triality/runtime/tablefile"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == tablefile.Arg {
		os.Exit(tablefile.Main(os.Stdin, os.Stdout, os.Args[2:]))
	}
	os.Exit(m.Run())
}

var nested = arrow.StructOf(arrow.Field{Name: "lang", Type: arrow.BinaryTypes.String, Nullable: true}, arrow.Field{Name: "n", Type: arrow.PrimitiveTypes.Int32, Nullable: true})

var schema = arrow.NewSchema([]arrow.Field{
	{Name: "id", Type: arrow.PrimitiveTypes.Int64},
	{Name: "text", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "scores", Type: arrow.ListOf(arrow.PrimitiveTypes.Float64), Nullable: true},
	{Name: "meta", Type: nested, Nullable: true},
}, nil)

// rows makes rows [from, to); the text of every fifth is null.
func rows(from, to int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i := from; i < to; i++ {
		b.Field(0).(*array.Int64Builder).Append(int64(i) << 40)
		if i%5 == 0 {
			b.Field(1).AppendNull()
		} else {
			b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("行 %d", i))
		}
		list := b.Field(2).(*array.ListBuilder)
		list.Append(true)
		list.ValueBuilder().(*array.Float64Builder).AppendValues([]float64{float64(i), 0.5}, nil)
		meta := b.Field(3).(*array.StructBuilder)
		meta.Append(true)
		meta.FieldBuilder(0).(*array.StringBuilder).Append("ja")
		meta.FieldBuilder(1).(*array.Int32Builder).Append(int32(i))
	}
	return b.NewRecordBatch()
}

type record struct {
	ID     int64     `parquet:"id"`
	Text   *string   `parquet:"text,optional"`
	Scores []float64 `parquet:"scores,list"`
	Meta   struct {
		Lang string `parquet:"lang"`
		N    int32  `parquet:"n"`
	} `parquet:"meta"`
}

// parquetOf writes n rows in row groups of 40.
func parquetOf(t testing.TB, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[record](&out, parquet.MaxRowsPerRowGroup(40), parquet.PageBufferSize(100), parquet.Compression(&parquet.Zstd))
	for i := range n {
		r := record{ID: int64(i) << 40, Scores: []float64{float64(i), 0.5}}
		if r.Meta.Lang, r.Meta.N = "ja", int32(i); i%5 != 0 {
			text := fmt.Sprintf("行 %d", i)
			r.Text = &text
		}
		if _, err := w.Write([]record{r}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type ipcWriter interface {
	Write(arrow.RecordBatch) error
	io.Closer
}

// arrowOf writes n rows in batches of 30, as a file or as a stream.
func arrowOf(t testing.TB, n int, stream bool, o ...ipc.Option) []byte {
	t.Helper()
	var out bytes.Buffer
	o = append(o, ipc.WithSchema(schema))
	var w ipcWriter = ipc.NewWriter(&out, o...)
	if !stream {
		var err error
		if w, err = ipc.NewFileWriter(&out, o...); err != nil {
			t.Fatal(err)
		}
	}
	for at := 0; at < n; at += 30 {
		if err := w.Write(rows(at, min(n, at+30))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(b []byte, offset int64, limit int) (tablefile.Page, error) {
	return tablefile.Read(context.Background(), bytes.NewReader(b), int64(len(b)), tablefile.Ask{Offset: offset, Limit: limit})
}

func TestAnyPageOfAFileHasItsRows(t *testing.T) {
	const n = 130
	for name, b := range map[string][]byte{
		"Parquet": parquetOf(t, n), "an Arrow file": arrowOf(t, n, false), "an Arrow stream": arrowOf(t, n, true),
		"an Arrow file in LZ4": arrowOf(t, n, false, ipc.WithLZ4()), "an Arrow stream in Zstandard": arrowOf(t, n, true, ipc.WithZstd()),
	} {
		t.Run(name, func(t *testing.T) {
			for _, at := range []struct {
				offset      int64
				limit, want int
			}{{0, 10, 10}, {0, 1000, n}, {35, 10, 10}, {39, 2, 2}, {120, 100, 10}, {129, 1, 1}, {130, 5, 0}, {1 << 40, 5, 0}} {
				p, err := read(b, at.offset, at.limit)
				if err != nil {
					t.Fatalf("%d from %d: %v", at.limit, at.offset, err)
				}
				if len(p.Rows) != at.want || p.Total != n || p.Offset != at.offset {
					t.Fatalf("%d from %d: %d rows of %d, want %d", at.limit, at.offset, len(p.Rows), p.Total, at.want)
				}
				for i, row := range p.Rows {
					k := int(at.offset) + i
					if got, want := *row[0], fmt.Sprint(int64(k)<<40); got != want {
						t.Fatalf("row %d has the id %s", k, got)
					}
					if (row[1] == nil) != (k%5 == 0) || row[1] != nil && *row[1] != fmt.Sprintf("行 %d", k) {
						t.Errorf("row %d has the text %v", k, row[1])
					}
					if got, want := *row[2], fmt.Sprintf("[%d,0.5]", k); got != want {
						t.Errorf("row %d has the list %s, want %s", k, got, want)
					}
					if got, want := *row[3], fmt.Sprintf(`{"lang":"ja","n":%d}`, k); got != want {
						t.Errorf("row %d has the struct %s, want %s", k, got, want)
					}
				}
			}
			p, err := read(b, 0, 1)
			if err != nil || len(p.Columns) != 4 || p.Columns[0].Name != "id" || !strings.HasPrefix(strings.ToLower(p.Columns[0].Type), "int") || !strings.HasPrefix(strings.ToLower(p.Columns[2].Type), "list<") || !strings.HasPrefix(strings.ToLower(p.Columns[3].Type), "struct<") {
				t.Errorf("columns %v, %v", p.Columns, err)
			}
		})
	}
}

func TestNestedAndTypedValuesAreJSONAndText(t *testing.T) {
	type inner struct {
		A *int32   `parquet:"a,optional"`
		B []string `parquet:"b,list"`
	}
	type outer struct {
		Items   []inner           `parquet:"items,list"`
		Labels  map[string]int64  `parquet:"labels"`
		When    time.Time         `parquet:"when,timestamp(microsecond)"`
		Day     int32             `parquet:"day,date"`
		Price   int64             `parquet:"price,decimal(2:18)"`
		Big     uint64            `parquet:"big"`
		Bytes   []byte            `parquet:"bytes"`
		ID      uuid.UUID         `parquet:"uid,uuid"`
		Missing float64           `parquet:"missing"`
		None    []string          `parquet:"none,list"`
		Tags    map[string]string `parquet:"tags,optional"`
	}
	one := int32(1)
	var out bytes.Buffer
	w := parquet.NewGenericWriter[outer](&out)
	first := outer{
		Items:  []inner{{A: &one, B: []string{"x", "<y>"}}, {B: []string{}}, {A: nil, B: []string{"z"}}},
		Labels: map[string]int64{"deny": 7}, When: time.Date(2026, 11, 30, 1, 2, 3, 4000, time.UTC), Day: 20422, Price: -105,
		Big: 1<<64 - 1, Bytes: []byte{0, 255}, ID: uuid.MustParse("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), Missing: math.NaN(),
	}
	if _, err := w.Write([]outer{first, {}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p, err := read(out.Bytes(), 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][2]string{
		"items":  {`[{"a":1,"b":["x","<y>"]},{"a":null,"b":[]},{"a":null,"b":["z"]}]`, "[]"},
		"labels": {`{"deny":7}`, "{}"}, "when": {"2026-11-30T01:02:03.000004Z", ""}, "day": {"2025-11-30", "1970-01-01"}, "price": {"-1.05", "0.00"},
		"big": {"18446744073709551615", "0"}, "bytes": {"AP8=", ""}, "uid": {"6ba7b810-9dad-11d1-80b4-00c04fd430c8", "00000000-0000-0000-0000-000000000000"},
		"missing": {"NaN", "0"}, "none": {"[]", "[]"},
	}
	for j, c := range p.Columns {
		texts, ok := want[c.Name]
		for i, w := range texts {
			if !ok {
				break
			}
			if got := p.Rows[i][j]; (got == nil || *got != w) && c.Name != "when" || c.Name == "when" && i == 0 && *got != w {
				t.Errorf("%s of type %s, row %d: %v, want %s", c.Name, c.Type, i, deref(got), w)
			}
		}
	}
	types := map[string]string{}
	for _, c := range p.Columns {
		types[c.Name] = c.Type
	}
	if got := types["items"]; !strings.HasPrefix(got, "LIST<STRUCT<a: INT") || !strings.HasSuffix(got, "b: LIST<STRING>>>") {
		t.Errorf("items are of the type %s", got)
	}
	if got := types["labels"]; !strings.HasPrefix(got, "MAP<STRING, INT") {
		t.Errorf("labels are of the type %s", got)
	}
}

func deref(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

func TestLongValuesAreCutBetweenCharacters(t *testing.T) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "t", Type: arrow.BinaryTypes.String}}, nil))
	b.Field(0).(*array.StringBuilder).Append(strings.Repeat("長い", 10_000))
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(b.Schema()))
	if err := errors.Join(w.Write(b.NewRecordBatch()), w.Close()); err != nil {
		t.Fatal(err)
	}
	p, err := read(out.Bytes(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := *p.Rows[0][0]; len(got) > 2003 || !strings.HasSuffix(got, "…") || strings.ContainsRune(got, '\ufffd') {
		t.Errorf("%d bytes, ending %q", len(got), got[len(got)-9:])
	}
}

// claiming is a Parquet file with another description of itself.
func claiming(t *testing.T, b []byte, change func(*format.FileMetaData)) []byte {
	t.Helper()
	r, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	said := r.Metadata()
	change(said)
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), said)
	if err != nil {
		t.Fatal(err)
	}
	length := binary.LittleEndian.Uint32(b[len(b)-8:])
	out := append([]byte(nil), b[:len(b)-8-int(length)]...)
	out = append(out, footer...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(footer)))
	return append(out, "PAR1"...)
}

func TestFilesThatLieAreRefused(t *testing.T) {
	good, stream, arrowFile := parquetOf(t, 30), arrowOf(t, 60, true), arrowOf(t, 60, false)
	put := func(b []byte, at int, v uint32) []byte {
		b = append([]byte(nil), b...)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	const many = 1_000_000_000_000
	tests := map[string]struct {
		b             []byte
		offset        int64
		want, wantToo string
	}{
		"nothing":                     {nil, 0, "neither a Parquet nor an Arrow file", ""},
		"text":                        {[]byte("id,text\n1,a\n"), 0, "neither a Parquet nor an Arrow file", ""},
		"Feather 1":                   {[]byte("FEA1 and so on"), 0, "first version of Feather", ""},
		"cut Parquet":                 {good[:len(good)-20], 0, "the mark at the end of a Parquet file is missing", ""},
		"Parquet's mark alone":        {[]byte("PAR1"), 0, "cut", ""},
		"encrypted Parquet":           {append(append([]byte(nil), good[:len(good)-4]...), "PARE"...), 0, "encrypted", ""},
		"a footer of 4 GB":            {put(good, len(good)-8, 0xfffffff0), 0, "takes 4294967280 bytes", ""},
		"10^12 rows":                  {claiming(t, good, func(m *format.FileMetaData) { m.NumRows = many; m.RowGroups[0].NumRows = many }), 0, "has 1000000000000 rows, and ends after 30", ""},
		"10^12 rows, read from afar":  {claiming(t, good, func(m *format.FileMetaData) { m.NumRows = many; m.RowGroups[0].NumRows = many }), many / 2, "", ""},
		"rows that no group has":      {claiming(t, good, func(m *format.FileMetaData) { m.NumRows = 31 }), 0, "its row groups have 30", ""},
		"a group of less than none":   {claiming(t, good, func(m *format.FileMetaData) { m.RowGroups[0].NumRows = -5 }), 0, "row group 0", "-5"},
		"an Arrow file that is cut":   {arrowFile[:len(arrowFile)*2/3], 0, "", ""},
		"a stream that is cut":        {stream[:len(stream)*2/3], 0, "ends before", ""},
		"a header of 16 MB and a bit": {put(stream, 4, 16<<20+8), 0, "a header has 16777224 bytes", ""},
		"a stream of another kind":    {append(append([]byte(nil), stream[:len(stream)-8]...), "somewhat"...), 0, "does not go on as an Arrow stream", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := read(tt.b, tt.offset, 100)
			if err == nil {
				t.Fatalf("it gave %d rows of %d", len(p.Rows), p.Total)
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.wantToo) {
				t.Errorf("it said: %v", err)
			}
		})
	}
	for _, ask := range []tablefile.Ask{{Limit: 0}, {Limit: 1001}, {Offset: -1, Limit: 1}} {
		if _, err := tablefile.Read(t.Context(), bytes.NewReader(good), int64(len(good)), ask); err == nil {
			t.Errorf("%+v was answered", ask)
		}
	}
}

// apart writes a file and reads it as a server does.
func apart(t *testing.T, b []byte, ask tablefile.Ask) (tablefile.Page, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return tablefile.Apart(t.Context(), f, ask)
}

func TestAFileThatIsBrokenAnywhereEndsNoMoreThanItsReader(t *testing.T) {
	for name, b := range map[string][]byte{"Parquet": parquetOf(t, 60), "Arrow": arrowOf(t, 60, false)} {
		for seed := range uint64(10) {
			t.Run(fmt.Sprint(name, " ", seed), func(t *testing.T) {
				t.Parallel()
				rnd := rand.New(rand.NewPCG(seed, 1))
				broken := append([]byte(nil), b...)
				for range 1 + rnd.IntN(8) {
					broken[4+rnd.IntN(len(broken)-4)] = byte(rnd.Uint32())
				}
				if p, err := apart(t, broken, tablefile.Ask{Limit: 60}); err != nil && !errors.Is(err, tablefile.ErrFile) {
					t.Errorf("%v", err)
				} else if err == nil && len(p.Rows) > 60 {
					t.Errorf("%d rows", len(p.Rows))
				}
			})
		}
	}
	p, err := apart(t, parquetOf(t, 60), tablefile.Ask{Offset: 50, Limit: 60})
	if err != nil || len(p.Rows) != 10 || *p.Rows[9][0] != fmt.Sprint(int64(59)<<40) {
		t.Errorf("a sound file: %v, %v", p, err)
	}
}

func TestAFileThatNeedsMoreMemoryThanThereIsSaysSo(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is bounded on Linux")
	}
	if raced {
		t.Skip("the race detector reserves the address space that is bounded here")
	}
	var out bytes.Buffer
	type long struct {
		A []int64 `parquet:"a,list"`
	}
	w := parquet.NewGenericWriter[long](&out, parquet.Compression(&parquet.Zstd))
	if _, err := w.Write([]long{{make([]int64, 2_000_000)}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 1<<20 {
		t.Fatalf("the file has %d bytes", out.Len())
	}
	_, err := apart(t, out.Bytes(), tablefile.Ask{Limit: 1, Memory: 48 << 20})
	if !errors.Is(err, tablefile.ErrFile) || !strings.Contains(err.Error(), "more than 48 MiB of memory") {
		t.Errorf("it said: %v", err)
	}
	if p, err := apart(t, out.Bytes(), tablefile.Ask{Limit: 1}); err != nil || len(p.Rows) != 1 {
		t.Errorf("with enough of it: %v", err)
	}
}
