package hfdataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"triality/runtime/allocation"
	"triality/runtime/disk"
	"triality/runtime/disk/powercut"
)

func sample(rows int) Split {
	var text []string
	var n []int64
	var ids [][]int32
	for i := range rows {
		text = append(text, fmt.Sprintf("row %d 日本", i))
		n = append(n, int64(i)<<33)
		list := make([]int32, i%5)
		for j := range list {
			list[j] = int32(i - 100*j)
		}
		ids = append(ids, list)
	}
	return Split{Name: "train", Columns: []Column{Strings("text", text), Ints("n", n), Lists("input_ids", ids)}}
}

// tree returns every file below dir by its path.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		files[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestWriteThenRead(t *testing.T) {
	for _, rows := range []int{0, 1, 999, 1000, 2345} {
		t.Run(fmt.Sprintf("%d rows", rows), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "ds")
			train := sample(rows)
			test := Split{Name: "test", Columns: []Column{Strings("only", []string{"", "b"})}}
			if err := Write(dir, []Split{train, test}); err != nil {
				t.Fatal(err)
			}
			got, err := Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, []Split{train, test}) {
				t.Errorf("read something else than was written")
			}
		})
	}
}

func TestReadTakesTheColumnsAskedFor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ds")
	if err := Write(dir, []Split{sample(3)}); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir, "input_ids", "text")
	if err != nil {
		t.Fatal(err)
	}
	s := got[0]
	if len(s.Columns) != 2 || s.Columns[0].Name != "input_ids" || s.Rows() != 3 || s.Column("text").Strings[2] != "row 2 日本" {
		t.Errorf("got %+v", s)
	}
	if s.Column("n") != nil {
		t.Error("a column that was not asked for is there")
	}
	if _, err := Read(dir, "labels"); err == nil || !strings.Contains(err.Error(), `0 columns "labels"`) {
		t.Errorf("error %v", err)
	}
}

func TestFilesAreThoseOfSaveToDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ds")
	if err := Write(dir, []Split{sample(2)}); err != nil {
		t.Fatal(err)
	}
	files := tree(t, dir)
	features := `"features": {
    "text": {
      "dtype": "string",
      "_type": "Value"
    },
    "n": {
      "dtype": "int64",
      "_type": "Value"
    },
    "input_ids": {
      "feature": {
        "dtype": "int32",
        "_type": "Value"
      },
      "_type": "Sequence"
    }
  }`
	want := map[string]string{
		"dataset_dict.json":       `{"splits":["train"]}`,
		"train/dataset_info.json": "{\n  \"citation\": \"\",\n  \"description\": \"\",\n  " + features + ",\n  \"homepage\": \"\",\n  \"license\": \"\"\n}",
		"train/state.json": "{\n  \"_data_files\": [\n    {\n      \"filename\": \"data-00000-of-00001.arrow\"\n    }\n  ],\n  \"_fingerprint\": \"" +
			fingerprint(sample(2)) + "\",\n  \"_format_columns\": null,\n  \"_format_kwargs\": {},\n  \"_format_type\": null,\n  \"_output_all_columns\": false,\n  \"_split\": \"train\"\n}",
	}
	for name, text := range want {
		if files[name] != text {
			t.Errorf("%s:\n%s\nwant\n%s", name, files[name], text)
		}
	}
	if len(files) != 4 {
		t.Errorf("files %v", len(files))
	}
	r, err := ipc.NewReader(strings.NewReader(files["train/data-00000-of-00001.arrow"]))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if got := r.Schema().Fields(); fmt.Sprint(got[0].Type, got[1].Type, got[2].Type) != "utf8 int64 list<item: int32, nullable>" {
		t.Errorf("schema %v", got)
	}
	i := r.Schema().Metadata().FindKey("huggingface")
	if i < 0 {
		t.Fatal("the schema has no huggingface metadata")
	}
	var hf struct {
		Info struct {
			Features map[string]struct {
				Type string `json:"_type"`
			}
		}
	}
	if err := json.Unmarshal([]byte(r.Schema().Metadata().Values()[i]), &hf); err != nil || hf.Info.Features["input_ids"].Type != "Sequence" {
		t.Errorf("metadata %+v, %v", hf, err)
	}
}

func TestBatchesHoldAThousandRows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ds")
	if err := Write(dir, []Split{sample(2345)}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "train", "data-00000-of-00001.arrow"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ipc.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	var rows []int64
	for r.Next() {
		rows = append(rows, r.RecordBatch().NumRows())
	}
	if fmt.Sprint(rows) != "[1000 1000 345]" {
		t.Errorf("batches %v", rows)
	}
}

func TestWritingTwiceGivesTheSameBytes(t *testing.T) {
	root := t.TempDir()
	splits := []Split{sample(1500), {Name: "val", Columns: sample(3).Columns}}
	for _, d := range []string{"a", "b", "b"} {
		if err := Write(filepath.Join(root, d), splits); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := tree(t, filepath.Join(root, "a")), tree(t, filepath.Join(root, "b")); !reflect.DeepEqual(a, b) {
		t.Error("the bytes differ")
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func fingerprint(s Split) string {
	p := newPrints(len(s.Columns))
	p.add(s.Columns)
	return p.sum(s.Name, s.Columns, s.Rows())
}

func TestTheFingerprintTellsContentApart(t *testing.T) {
	base := sample(3)
	seen := map[string]string{fingerprint(base): "the sample"}
	for name, change := range map[string]func(*Split){
		"the split's name": func(s *Split) { s.Name = "test" },
		"a column's name":  func(s *Split) { s.Columns[0].Name = "texts" },
		"a text":           func(s *Split) { s.Columns[0].Strings[1] = "x" },
		"a number":         func(s *Split) { s.Columns[1].Ints[2] = 1 },
		"a list's value":   func(s *Split) { s.Columns[2].Lists[2][0]++ },
		"a list's length":  func(s *Split) { s.Columns[2].Lists[1] = append(s.Columns[2].Lists[1], 0) },
		"a row":            func(s *Split) { *s = sample(4) },
	} {
		s := sample(3)
		change(&s)
		fp := fingerprint(s)
		if other, ok := seen[fp]; ok || len(fp) != 16 {
			t.Errorf("changing %s gives fingerprint %q, as %s", name, fp, other)
		}
		seen[fp] = name
	}
}

func TestLargeSplitsAreSharded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ds")
	s := sample(10)
	total := int64(0)
	for row := range 10 {
		total += rowBytes(s.Columns, row)
	}
	if err := write(dir, cutAll([]Split{s}), total/3+1); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := os.Stat(filepath.Join(dir, "train", fmt.Sprintf("data-%05d-of-00003.arrow", i))); err != nil {
			t.Error(err)
		}
	}
	got, err := Read(dir)
	if err != nil || !reflect.DeepEqual(got, []Split{s}) {
		t.Errorf("read something else: %v", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	one := []Column{Strings("a", []string{"x"})}
	tests := map[string]struct {
		splits []Split
		says   string
	}{
		"no splits":                {nil, "no splits"},
		"a split without columns":  {[]Split{{Name: "train"}}, "no columns"},
		"a name that leaves dir":   {[]Split{{Name: "../train", Columns: one}}, "../train"},
		"an empty name":            {[]Split{{Columns: one}}, "name"},
		"a split given twice":      {[]Split{{Name: "a", Columns: one}, {Name: "a", Columns: one}}, "twice"},
		"a column given twice":     {[]Split{{Name: "a", Columns: append(one[:1:1], one[0])}}, "twice"},
		"a column without a name":  {[]Split{{Name: "a", Columns: []Column{Ints("", nil)}}}, "name"},
		"columns of other lengths": {[]Split{{Name: "a", Columns: []Column{one[0], Ints("b", nil)}}}, "0 rows"},
		"text that is not UTF-8":   {[]Split{{Name: "a", Columns: []Column{Strings("t", []string{"ok", "\xff"})}}}, "row 1"},
		"an unknown kind":          {[]Split{{Name: "a", Columns: []Column{{Name: "t", Kind: 9}}}}, "kind 9"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, "ds")
			err := Write(dir, tt.splits)
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v, want one that says %q and names the folder", err, tt.says)
			}
			if left, _ := os.ReadDir(root); len(left) != 0 {
				t.Errorf("left %v behind", left)
			}
		})
	}
}

func TestWriteLeavesOtherFoldersAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, []Split{sample(1)}); err == nil || !strings.Contains(err.Error(), "not a dataset") {
		t.Fatalf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "thesis.txt")); err != nil {
		t.Error(err)
	}
	file := filepath.Join(dir, "thesis.txt")
	if err := Write(file, []Split{sample(1)}); err == nil {
		t.Error("a file was replaced")
	}
}

func TestADatasetOutlivesAPowerCutAtAnyMoment(t *testing.T) {
	noExchange := func(op disk.Op) error {
		if op.Kind == disk.OpExchange {
			return errors.ErrUnsupported
		}
		return nil
	}
	for name, tt := range map[string]struct {
		before  int // rows; 0: no dataset
		prepare []func(disk.Op) error
	}{
		"new":                          {},
		"replaced":                     {before: 3},
		"replaced by way of two names": {3, []func(disk.Op) error{noExchange}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			if tt.before > 0 {
				if err := Write(filepath.Join(root, "ds"), []Split{sample(tt.before)}); err != nil {
					t.Fatal(err)
				}
			}
			rec := powercut.Record(t, root, tt.prepare...)
			if err := Write(filepath.Join(root, "ds"), []Split{sample(2)}); err != nil {
				t.Fatal(err)
			}
			rec.Mark("written")
			rec.Check(t, func(cut powercut.Cut) error {
				dir := filepath.Join(cut.Dir, "ds")
				rows := 0
				splits, err := Read(dir)
				if err == nil {
					rows = splits[0].Rows()
				} else if !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				if rows != 2 && (rows != tt.before || cut.Marked("written")) {
					return fmt.Errorf("%d rows", rows)
				}
				if err := Write(dir, []Split{{Name: "bad"}}); err == nil {
					return errors.New("a split without columns was written")
				}
				if now, _ := Read(dir); rows > 0 && (len(now) == 0 || !reflect.DeepEqual(now, splits)) {
					return errors.New("a call that failed changed the dataset")
				}
				if err := Write(dir, []Split{sample(1)}); err != nil {
					return err
				}
				if left, _ := os.ReadDir(cut.Dir); len(left) != 1 {
					return fmt.Errorf("left %v behind", left)
				}
				return nil
			})
		})
	}
}

// stream is an Arrow stream of one batch made by json.
func stream(t testing.TB, schema *arrow.Schema, rows string) []byte {
	t.Helper()
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(schema))
	if err := errors.Join(w.Write(rec), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func field(name string, typ arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: typ, Nullable: true}
}

func TestReadTakesWhatPythonWrites(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{
		field("s", arrow.BinaryTypes.LargeString),
		field("mask", arrow.ListOf(arrow.PrimitiveTypes.Int8)),
		field("labels", arrow.ListOf(arrow.PrimitiveTypes.Int64)),
		field("big", arrow.LargeListOf(arrow.PrimitiveTypes.Uint16)),
		field("u", arrow.PrimitiveTypes.Uint8),
	}, nil)
	b := stream(t, schema, `[{"s":"x","mask":[1,0],"labels":[-100,7],"big":[65535],"u":255},{"s":"","mask":[],"labels":[],"big":[],"u":0}]`)
	cols, err := decode(bytes.NewReader(b), int64(len(b)), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Column{
		Strings("s", []string{"x", ""}), Lists("mask", [][]int32{{1, 0}, {}}), Lists("labels", [][]int32{{-100, 7}, {}}),
		Lists("big", [][]int32{{65535}, {}}), Ints("u", []int64{255, 0}),
	}
	if !reflect.DeepEqual(cols, want) {
		t.Errorf("got %+v", cols)
	}
}

func TestDecodeRefuses(t *testing.T) {
	schema := func(typ arrow.DataType) *arrow.Schema {
		return arrow.NewSchema([]arrow.Field{field("c", typ)}, nil)
	}
	whole := stream(t, schema(arrow.PrimitiveTypes.Int64), `[{"c":1},{"c":2}]`)
	tests := map[string]struct {
		b    []byte
		says string
	}{
		"a null for a list":             {stream(t, schema(arrow.ListOf(arrow.PrimitiveTypes.Int32)), `[{"c":[1]},{"c":null}]`), "row 1 is null"},
		"a null in a list":              {stream(t, schema(arrow.ListOf(arrow.PrimitiveTypes.Int32)), `[{"c":[1,null]}]`), "row 0: value 1"},
		"a list value beyond int32":     {stream(t, schema(arrow.ListOf(arrow.PrimitiveTypes.Int64)), `[{"c":[2147483648]}]`), "row 0: value 0"},
		"a number beyond int64":         {stream(t, schema(arrow.PrimitiveTypes.Uint64), `[{"c":9223372036854775808}]`), "row 0"},
		"a column of dates":             {stream(t, schema(arrow.PrimitiveTypes.Date32), `[{"c":1}]`), "date32"},
		"a list of texts":               {stream(t, schema(arrow.ListOf(arrow.BinaryTypes.String)), `[{"c":["a"]}]`), "list<item: utf8"},
		"an empty file":                 {nil, ErrStream.Error()},
		"text":                          {[]byte("this is no arrow stream"), ErrStream.Error()},
		"a stream without its end mark": {whole[:len(whole)-8], ErrStream.Error()},
		"a stream cut in a batch":       {whole[:len(whole)-20], ErrStream.Error()},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := decode(bytes.NewReader(tt.b), int64(len(tt.b)), nil)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	tests := map[string]struct {
		damage func(dir string) error
		says   string
	}{
		"a folder that is no dataset":  {func(d string) error { return os.Remove(filepath.Join(d, dictName)) }, "not a dataset folder"},
		"a dictionary that is no JSON": {func(d string) error { return os.WriteFile(filepath.Join(d, dictName), []byte("{"), 0o600) }, dictName},
		"a dictionary without splits":  {func(d string) error { return os.WriteFile(filepath.Join(d, dictName), []byte("{}"), 0o600) }, "splits"},
		"a split outside the folder": {func(d string) error {
			return os.WriteFile(filepath.Join(d, dictName), []byte(`{"splits":[".."]}`), 0o600)
		}, `".."`},
		"a missing split folder": {func(d string) error { return os.RemoveAll(filepath.Join(d, "train")) }, "folder is missing"},
		"a missing state":        {func(d string) error { return os.Remove(filepath.Join(d, "train", stateName)) }, stateName},
		"a state without files":  {func(d string) error { return os.WriteFile(filepath.Join(d, "train", stateName), []byte("{}"), 0o600) }, "_data_files"},
		"a data file outside the folder": {func(d string) error {
			return os.WriteFile(filepath.Join(d, "train", stateName), []byte(`{"_data_files":[{"filename":"../x"}]}`), 0o600)
		}, "../x"},
		"a missing data file": {func(d string) error { return os.Remove(filepath.Join(d, "train", "data-00000-of-00001.arrow")) }, "data-00000"},
		"a data file that is not a stream": {func(d string) error {
			return os.WriteFile(filepath.Join(d, "train", "data-00000-of-00001.arrow"), []byte("no arrow"), 0o600)
		}, "data-00000-of-00001.arrow: not a whole arrow stream"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "ds")
			if err := Write(dir, []Split{sample(1)}); err != nil {
				t.Fatal(err)
			}
			if err := tt.damage(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	schema := arrow.NewSchema([]arrow.Field{field("s", arrow.BinaryTypes.String), field("l", arrow.ListOf(arrow.PrimitiveTypes.Int32)), field("n", arrow.PrimitiveTypes.Int64)}, nil)
	f.Add(stream(f, schema, `[{"s":"ab","l":[1,2],"n":3},{"s":"","l":[],"n":0}]`))
	f.Add([]byte("ARROW1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var cols []Column
		var err error
		if got := allocation.Bytes(func() { cols, err = decode(bytes.NewReader(b), int64(len(b)), nil) }); got > allocation.Bound(len(b)) {
			t.Fatalf("%d bytes made %d bytes of memory", len(b), got)
		}
		if err != nil {
			return
		}
		for i := range cols {
			if cols[i].Len() != cols[0].Len() {
				t.Fatalf("column %d has %d rows, column 0 has %d", i, cols[i].Len(), cols[0].Len())
			}
		}
	})
}
