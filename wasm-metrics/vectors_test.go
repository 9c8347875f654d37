package wasmmetrics_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/metricabi"
)

var update = flag.Bool("update", false, "write wasm-metrics/vectors anew")

// vectorIndex is vectors/index.json. ABI.md says how to use it.
type vectorIndex struct {
	Metric  []metricVector `json:"metric"`
	Newer   []metricVector `json:"metric_v1_1"`
	Slices  []sliceVector  `json:"slices"`
	Results []blockVector  `json:"results"`
}

// sliceVector is a table, some of its rows, and the table of those.
type sliceVector struct {
	Table string `json:"table"`
	Rows  []int  `json:"rows"`
	Slice string `json:"slice"`
	Note  string `json:"note"`
}

// metricVector is a table and what the metric of the templates makes of it.
type metricVector struct {
	Table   string `json:"table"`
	Results string `json:"results"`
	Note    string `json:"note"`
}

// blockVector is a block of results that a host accepts, or refuses.
type blockVector struct {
	File    string `json:"file"`
	Rows    int    `json:"rows"`
	Accept  bool   `json:"accept"`
	Error   string `json:"error,omitempty"` // the text of status 1
	Because string `json:"because"`
}

// quadraticScore is the metric of the templates in plain Go.
func quadraticScore(t metricabi.Table) []metricabi.Result {
	var label *metricabi.Column
	var probabilities []*metricabi.Column
	missing := math.NaN()
	for i := range t.Columns {
		switch c := &t.Columns[i]; c.Role {
		case metricabi.RoleLabel:
			label = c
		case metricabi.RoleProbability:
			probabilities = append(probabilities, c)
		case metricabi.RoleParameter:
			missing = c.Float64[0]
		}
	}
	rows := make([]float64, t.Rows)
	var sum, n float64
	for i := range rows {
		if !label.Valid(i) {
			rows[i] = math.NaN()
			continue
		}
		for c, p := range probabilities {
			if !p.Valid(i) {
				rows[i] = missing
				break
			}
			d := p.Float64[i]
			if c == int(label.Int32[i]) {
				d -= 1
			}
			// Rounded before it is added, so that no processor fuses the two.
			rows[i] += float64(d * d)
		}
		sum += rows[i]
		n++
	}
	return []metricabi.Result{
		finite("score.A", metricabi.Scalar, sum/n),
		finite("row.A", metricabi.PerSample, rows...),
	}
}

// finite is a result in which what is not finite is undefined.
func finite(name string, kind metricabi.Kind, values ...float64) metricabi.Result {
	r := metricabi.Result{Name: name, Kind: kind, Values: values}
	for i, v := range values {
		if v-v != 0 {
			if r.Undefined == nil {
				r.Undefined = make([]bool, len(values))
			}
			r.Undefined[i], values[i] = true, 0
		}
	}
	return r
}

// block lays results out as ABI.md's canonical form does.
func block(results []metricabi.Result) []byte {
	le := binary.LittleEndian
	b := blockHeader(0, len(results))
	b = append(b, make([]byte, 32*len(results))...)
	for i := range results {
		r := &results[i]
		name := len(b)
		b = append(b, r.Name...)
		data := len(b)
		bitmap := make([]byte, (len(r.Values)+7)/8)
		for j, v := range r.Values {
			b = le.AppendUint64(b, math.Float64bits(v))
			if r.Defined(j) {
				bitmap[j/8] |= 1 << (j % 8)
			}
		}
		validity := 0
		if r.Undefined != nil {
			validity = len(b)
			b = append(b, bitmap...)
		}
		groups := 0
		if r.Kind == metricabi.Groups || r.Kind == metricabi.GroupIntervals {
			groups = len(b)
			end := 0
			b = le.AppendUint32(b, 0)
			for _, g := range r.Groups {
				end += len(g)
				b = le.AppendUint32(b, uint32(end))
			}
			b = append(b, strings.Join(r.Groups, "")...)
		}
		for j, v := range []int{int(r.Kind), 3, name, len(r.Name), data, 8 * len(r.Values), validity, groups} {
			le.PutUint32(b[16+32*i+4*j:], uint32(v))
		}
	}
	return b
}

func blockHeader(status, count int) []byte {
	b := append([]byte("TMR1"), 1, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(status))
	return binary.LittleEndian.AppendUint32(b, uint32(count))
}

// scoreTable is a table of the columns the templates' metric reads.
func scoreTable(labels []int32, labelled []bool, probabilities [][]float64, present [][]bool, missing float64) metricabi.Table {
	var names []string
	for c := range probabilities {
		names = append(names, string(rune('a'+c)))
	}
	label := metricabi.Int32Column(metricabi.RoleLabel, metricabi.ArmShared, "", labels)
	if labelled != nil {
		label.SetValid(labelled)
	}
	t := metricabi.Table{Rows: len(labels), Columns: append(metricabi.ClassColumns(names...), label)}
	for c, p := range probabilities {
		col := metricabi.Float64Column(metricabi.RoleProbability, metricabi.ArmA, names[c], p)
		if present != nil && present[c] != nil {
			col.SetValid(present[c])
		}
		t.Columns = append(t.Columns, col)
	}
	parameter := metricabi.Float64Column(metricabi.RoleParameter, metricabi.ArmShared, "missing", []float64{missing})
	t.Columns = append(t.Columns, parameter)
	return t
}

// randomScoreTable has rows without a label and without a probability, in
// which stand values that must not be read.
func randomScoreTable(seed uint64, rows, classes int, missing float64) metricabi.Table {
	rng := rand.New(rand.NewPCG(seed, 11))
	labels, labelled := make([]int32, rows), make([]bool, rows)
	p, present := make([][]float64, classes), make([][]bool, classes)
	for c := range p {
		p[c], present[c] = make([]float64, rows), make([]bool, rows)
	}
	for i := range rows {
		labels[i], labelled[i] = int32(rng.IntN(classes)), rng.IntN(9) > 0
		if !labelled[i] {
			labels[i] = -1
		}
		for c := range p {
			p[c][i], present[c][i] = rng.Float64(), rng.IntN(30) > 0
			if !present[c][i] {
				p[c][i] = math.NaN()
			}
		}
	}
	return scoreTable(labels, labelled, p, present, missing)
}

// metricTables are the tables of the metric vectors.
func metricTables() map[string]struct {
	note  string
	table metricabi.Table
} {
	type entry = struct {
		note  string
		table metricabi.Table
	}
	two := [][]float64{{0.75, 0.5, 0.25}, {0.25, 0.5, 0.75}}
	tiny, huge := 5e-324, 1e308
	return map[string]entry{
		"no_rows":     {"no rows: the mean is undefined", scoreTable([]int32{}, nil, [][]float64{{}, {}}, nil, 2)},
		"three_rows":  {"by hand: 0.125, 0.5, 0.125 and their mean 0.25", scoreTable([]int32{0, 1, 1}, nil, two, nil, 2)},
		"unlabelled":  {"no row has a label: everything is undefined", scoreTable([]int32{9, 9, 9}, []bool{false, false, false}, two, nil, 2)},
		"one_missing": {"the middle row lacks a probability and scores the parameter, 0.1", scoreTable([]int32{0, 1, 1}, nil, two, [][]bool{nil, {true, false, true}}, 0.1)},
		"one_class":   {"one class only", scoreTable([]int32{0, 0}, nil, [][]float64{{1, 0.1}}, nil, 2)},
		"extremes": {"the squares overflow, underflow and have signed zeros: what is infinite is undefined, and so is the mean",
			scoreTable([]int32{0, 1, 0, 1}, nil, [][]float64{{huge, tiny, math.Copysign(0, -1), 1}, {huge, 1 - 1e-16, 0, math.Nextafter(1, 2)}}, nil, 2)},
		"tiny": {"the smallest numbers stay what they are: no flushing to zero",
			scoreTable([]int32{1, 1}, nil, [][]float64{{1e-160, 1.5e-162}, {1, 1}}, nil, 2)},
		"nine_rows":      {"a bitmap of more than one byte", randomScoreTable(1, 9, 4, 0.1)},
		"thousand_rows":  {"sums in row order, by rounding after each addition", randomScoreTable(2, 1000, 4, 0.1)},
		"eleven_classes": {"sums in class order", randomScoreTable(3, 40, 11, 1.0/3)},
	}
}

// blocks are the blocks of results that a host must accept or refuse.
func blocks() map[string]struct {
	v blockVector
	b []byte
} {
	le := binary.LittleEndian
	two := func() []byte {
		return block([]metricabi.Result{finite("rate", metricabi.Scalar, 0.5), finite("v", metricabi.Vector, 1, math.NaN())})
	}
	with := func(change func([]byte)) []byte {
		b := two()
		change(b)
		return b
	}
	put := func(at int, v uint32) []byte { return with(func(b []byte) { le.PutUint32(b[at:], v) }) }
	scalar := func(bits uint64) []byte {
		return with(func(b []byte) { le.PutUint64(b[0x54:], bits) })
	}
	failure := func(text string) []byte { return append(blockHeader(1, len(text)), text...) }
	named := func(name string) []byte { return block([]metricabi.Result{finite(name, metricabi.Scalar, 1)}) }
	many := func(n int) []byte {
		var all []metricabi.Result
		for i := range n {
			all = append(all, finite(fmt.Sprintf("r%03d", i), metricabi.Scalar, float64(i)))
		}
		return block(all)
	}
	shared := block([]metricabi.Result{finite("one", metricabi.Scalar, 1), finite("two", metricabi.Scalar, 1)})
	le.PutUint32(shared[48+16:], le.Uint32(shared[16+16:])) // both read the first's value
	type entry = struct {
		v blockVector
		b []byte
	}
	yes := func(because string, b []byte) entry { return entry{blockVector{Accept: true, Because: because}, b} }
	no := func(because string, b []byte) entry { return entry{blockVector{Because: because}, b} }
	out := map[string]entry{
		"example":        yes("the example of ABI.md", two()),
		"nothing":        yes("no results at all", blockHeader(0, 0)),
		"results_256":    yes("as many results as there may be", many(256)),
		"trailing_bytes": yes("bytes that no record names", append(two(), 1, 2, 3)),
		"shared_values":  yes("two results that read the same bytes", shared),
		"undefined_nan":  yes("an undefined value may be any bits", with(func(b []byte) { le.PutUint64(b[0x5d+8:], 0x7ff8000000000000) })),
		"name_128":       yes("the longest name", named(strings.Repeat("é", 64))),

		"short_header":        no("15 bytes", two()[:15]),
		"cut_record":          no("the second record is cut off", two()[:16+32+31]),
		"magic":               no("magic is that of a table", put(0, 0x31544d54)),
		"version_2":           no("version 2", put(4, 2)),
		"status_2":            no("status 2", put(8, 2)),
		"results_257":         no("257 results", many(257)),
		"count_overflows":     no("count × 32 is 0 in 32 bits", put(12, 1<<27)),
		"kind_0":              no("kind 0", put(16, 0)),
		"kind_4":              no("kind 4, an interval, of one value", put(16, 4)),
		"kind_7":              no("kind 7", put(16, 7)),
		"dtype_i64":           no("dtype i64", put(20, 2)),
		"reserved":            no("the reserved word is 1", put(16+28, 1)),
		"name_outside":        no("the name ends behind the block", put(24, 0x6b)),
		"name_overflows":      no("name offset + length is 3 in 32 bits", put(24, 0xffffffff)),
		"name_empty":          no("a name without bytes", put(28, 0)),
		"name_129":            no("a name of 129 bytes", named(strings.Repeat("n", 129))),
		"name_control":        no("a name with a newline", named("a\nb")),
		"name_zero":           no("a name with a zero byte", named("a\x00b")),
		"name_not_utf8":       no("a name that is not UTF-8", named("a\xff")),
		"name_twice":          no("two results of one name", block([]metricabi.Result{finite("x", metricabi.Scalar, 1), finite("x", metricabi.Scalar, 2)})),
		"data_outside":        no("the values end behind the block", put(32, 0x67)),
		"data_overflows":      no("data offset + length is 0 in 32 bits", put(32, 0xfffffff8)),
		"data_length_7":       no("7 bytes of values", put(36, 7)),
		"scalar_of_two":       no("a scalar with two values", block([]metricabi.Result{finite("x", metricabi.Scalar, 1, 2)})),
		"column_short":        no("a column of two values for three rows", block([]metricabi.Result{finite("x", metricabi.PerSample, 1, 2)})),
		"vector_65537":        no("a vector of 65,537 values, as its length says; there are not so many bytes either", put(48+20, 8*65537)),
		"validity_outside":    no("the bitmap begins behind the block", put(48+24, 0x6e)),
		"nan":                 no("a NaN", scalar(0x7ff8000000000000)),
		"signalling_nan":      no("a NaN with other bits", scalar(0xfff0000000000001)),
		"infinity":            no("infinity", scalar(0x7ff0000000000000)),
		"minus_infinity":      no("minus infinity", scalar(0xfff0000000000000)),
		"error_long":          no("an error text of 4,097 bytes", failure(strings.Repeat("e", 4097))),
		"error_cut":           no("an error text longer than the block", failure("bad")[:18]),
		"error_not_utf8":      no("an error text that is not UTF-8", failure("\xc3")),
		"error_length_minus1": no("an error length of 2³²−1", with(func(b []byte) { b[8] = 1; le.PutUint32(b[12:], math.MaxUint32) })),
	}
	for name, e := range newerBlocks() {
		out[name] = entry{e.v, e.b}
	}
	out["error"] = entry{blockVector{Accept: true, Error: "bad", Because: "the example of an error text"}, failure("bad")}
	return out
}

// vectors are the files of the folder, by name.
func vectors() map[string][]byte {
	out := map[string][]byte{}
	var index vectorIndex
	for name, m := range metricTables() {
		b, err := metricabi.Encode(m.table)
		if err != nil {
			panic(fmt.Sprintf("%s: %v", name, err)) // a mistake above
		}
		v := metricVector{Table: "metric/" + name + ".table.bin", Results: "metric/" + name + ".results.bin", Note: m.note}
		out[v.Table], out[v.Results] = b, block(quadraticScore(m.table))
		index.Metric = append(index.Metric, v)
	}
	addNewer(out, &index)
	for name, e := range blocks() {
		e.v.File, e.v.Rows = "results/"+name+".bin", 3
		out[e.v.File] = e.b
		index.Results = append(index.Results, e.v)
	}
	slices.SortFunc(index.Metric, func(a, b metricVector) int { return strings.Compare(a.Table, b.Table) })
	slices.SortFunc(index.Results, func(a, b blockVector) int { return strings.Compare(a.File, b.File) })
	b, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		panic(err)
	}
	out["index.json"] = append(b, '\n')
	return out
}

func TestTheVectorsAreWhatTheGoSideGives(t *testing.T) {
	want := vectors()
	if *update {
		if err := os.RemoveAll("vectors"); err != nil {
			t.Fatal(err)
		}
		for name, b := range want {
			p := filepath.Join("vectors", filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	seen := 0
	err := filepath.WalkDir("vectors", func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seen++
		rel, err := filepath.Rel("vectors", p)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if w, known := want[filepath.ToSlash(rel)]; !known || !bytes.Equal(got, w) {
			t.Errorf("%s differs (known: %v); if that is meant, go test ./wasm-metrics -run Vectors -update", p, known)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen != len(want) {
		t.Errorf("%d files, want %d", seen, len(want))
	}
}

func TestTheVectorsAreReadAsTheyAreMeant(t *testing.T) {
	files := vectors()
	var index vectorIndex
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	for _, v := range slices.Concat(index.Metric, index.Newer) {
		table, err := metricabi.Decode(files[v.Table])
		if err != nil {
			t.Errorf("%s: %v", v.Table, err)
			continue
		}
		if again, err := metricabi.Encode(table); err != nil || !bytes.Equal(again, files[v.Table]) {
			t.Errorf("%s: encoding what was decoded gives other bytes (%v)", v.Table, err)
		}
		if got, err := metricabi.DecodeResults(files[v.Results], metricabi.DefaultLimits(table.Rows)); err != nil || len(got) < 2 {
			t.Errorf("%s: %d results, %v", v.Results, len(got), err)
		}
	}
	for _, v := range index.Slices {
		table, err := metricabi.Decode(files[v.Table])
		if err != nil {
			t.Errorf("%s: %v", v.Table, err)
			continue
		}
		if got, err := metricabi.Encode(table.Slice(v.Rows)); err != nil || !bytes.Equal(got, files[v.Slice]) {
			t.Errorf("%s: the rows %v are other bytes than %s (%v)", v.Table, v.Rows, v.Slice, err)
		}
	}
	for _, v := range index.Results {
		_, err := metricabi.DecodeResults(files[v.File], metricabi.DefaultLimits(v.Rows))
		var said *metricabi.MetricError
		switch {
		case v.Error != "":
			if !errors.As(err, &said) || said.Text != v.Error {
				t.Errorf("%s: %v, want the metric's own %q", v.File, err, v.Error)
			}
		case v.Accept != (err == nil):
			t.Errorf("%s (%s): %v, want accepted: %v", v.File, v.Because, err, v.Accept)
		case errors.As(err, &said):
			t.Errorf("%s: taken for an error text", v.File)
		}
	}
}

func TestTheThreeRowsComeToWhatTheHandSays(t *testing.T) {
	got := quadraticScore(metricTables()["three_rows"].table)
	if want := []float64{0.125, 0.5, 0.125}; got[0].Values[0] != 0.25 || !slices.Equal(got[1].Values, want) {
		t.Errorf("got %v and %v", got[0].Values, got[1].Values)
	}
}

func TestTheVectorRunnerFailsAModuleWithAnotherMetric(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("there is no node in PATH")
	}
	module(t, "accuracy") // skips where it was not built
	out, err := exec.Command("node", "vectors.mjs", filepath.Join("dist", "accuracy.wasm")).CombinedOutput()
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != 1 || !strings.Contains(string(out), "FAILED: other results") {
		t.Errorf("%v\n%s", err, out)
	}
}
