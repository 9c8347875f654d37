package wasmmetrics_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"triality/runtime/metricabi"
)

// newerMetric is the metric of the vectors of version 1.1 in plain Go; ABI.md says what it computes.
func newerMetric(t metricabi.Table) []metricabi.Result {
	find := func(role metricabi.Role, arm metricabi.Arm) *metricabi.Column {
		i := slices.IndexFunc(t.Columns, func(c metricabi.Column) bool { return c.Role == role && c.Arm == arm })
		return &t.Columns[i]
	}
	label, topic := find(metricabi.RoleLabel, metricabi.ArmShared), find(metricabi.RoleExtra, metricabi.ArmShared)
	var out []metricabi.Result
	for _, arm := range t.Arms() {
		p, lists := find(metricabi.RolePrediction, arm), find(metricabi.RoleTokenLogProb, arm)
		var right, n, tokens float64
		for i := range t.Rows {
			if label.Valid(i) && p.Valid(i) {
				n++
				if label.Int32[i] == p.Int32[i] {
					right++
				}
			}
			if lists.Valid(i) {
				tokens += float64(len(lists.List(i)))
			}
		}
		rate := right / n
		out = append(out, finite("rate."+arm.String(), metricabi.Interval, rate, rate-1/n, rate+1/n), finite("tokens."+arm.String(), metricabi.Scalar, tokens))
	}
	var names []string
	rows, of := map[string]float64{}, map[string][]float64{}
	for i := range t.Rows {
		if !topic.Valid(i) {
			continue
		}
		name := topic.String(i)
		if rows[name] == 0 {
			names = append(names, name)
		}
		rows[name]++
		if lists := find(metricabi.RoleTokenLogProb, metricabi.ArmA); lists.Valid(i) {
			of[name] = append(of[name], lists.List(i)...)
		}
	}
	var counts, all []float64
	for _, name := range names {
		counts = append(counts, rows[name])
		mean, low, high := math.NaN(), math.NaN(), math.NaN()
		if v := of[name]; len(v) > 0 {
			sum := 0.0
			for _, x := range v {
				sum += x
			}
			mean, low, high = sum/float64(len(v)), slices.Min(v), slices.Max(v)
		}
		all = append(all, mean, low, high)
	}
	by, ci := finite("topic_rows", metricabi.Groups, counts...), finite("topic_logprob", metricabi.GroupIntervals, all...)
	by.Groups, ci.Groups = names, names
	return append(out, by, ci)
}

// newerTable has what version 1.1 adds, with values where there are none that must not be read.
func newerTable(seed uint64, rows, arms int) metricabi.Table {
	rng := rand.New(rand.NewPCG(seed, 13))
	column := func() ([]int32, []bool) {
		v, valid := make([]int32, rows), make([]bool, rows)
		for i := range v {
			if v[i], valid[i] = int32(rng.IntN(2)), rng.IntN(8) > 0; !valid[i] {
				v[i] = -1
			}
		}
		return v, valid
	}
	with := func(c metricabi.Column, valid []bool) metricabi.Column {
		c.SetValid(valid)
		return c
	}
	var names []string
	for a := range arms {
		names = append(names, fmt.Sprintf("model %c", 'A'+a))
	}
	labels, labelled := column()
	t := metricabi.Table{Rows: rows, Columns: append(metricabi.ClassColumns("no", "yes"), metricabi.ArmColumns(names...)...)}
	t.Columns = append(t.Columns, with(metricabi.Int32Column(metricabi.RoleLabel, metricabi.ArmShared, "", labels), labelled))
	for a := range arms {
		p, predicted := column()
		t.Columns = append(t.Columns, with(metricabi.Int32Column(metricabi.RolePrediction, metricabi.ArmA+metricabi.Arm(a), "", p), predicted))
	}
	for a := range arms {
		lists, wrote := make([][]float64, rows), make([]bool, rows)
		for i := range lists {
			wrote[i] = rng.IntN(8) > 0
			for range rng.IntN(5) {
				lists[i] = append(lists[i], -8*rng.Float64())
			}
		}
		t.Columns = append(t.Columns, with(metricabi.Float64ListColumn(metricabi.RoleTokenLogProb, metricabi.ArmA+metricabi.Arm(a), "", lists), wrote))
	}
	topics, has := make([]string, rows), make([]bool, rows)
	for i := range topics {
		topics[i], has[i] = []string{"billing", "保証", "é", "returns"}[rng.IntN(4)], rng.IntN(9) > 0
	}
	t.Columns = append(t.Columns, with(metricabi.StringColumn(metricabi.RoleExtra, metricabi.ArmShared, "topic", topics), has))
	return t
}

// addNewer adds the vectors of version 1.1: what its metric makes of tables, and slices of one of them.
func addNewer(out map[string][]byte, index *vectorIndex) {
	encode := func(t metricabi.Table) []byte {
		b, err := metricabi.Encode(t)
		if err != nil {
			panic(err) // a mistake above
		}
		return b
	}
	forty := newerTable(3, 40, 3)
	add := func(name, note string, t metricabi.Table) {
		v := metricVector{Table: "v1_1/" + name + ".table.bin", Results: "v1_1/" + name + ".results.bin", Note: note}
		out[v.Table], out[v.Results] = encode(t), block(newerMetric(t))
		index.Newer = append(index.Newer, v)
	}
	add("forty_rows", "three arms, lists with and without tokens, topics of every width of UTF-8", forty)
	add("no_rows", "no rows: rates are undefined and there are no groups", newerTable(1, 0, 2))
	add("one_arm", "one arm alone", newerTable(2, 9, 1))
	for name, rows := range map[string][]int{"some": {0, 1, 3, 8, 21, 39}, "one": {5}, "none": {}} {
		v := sliceVector{Table: "v1_1/forty_rows.table.bin", Rows: rows, Slice: "v1_1/slice_" + name + ".table.bin", Note: "the table that a metric is handed for these rows alone"}
		out[v.Slice] = encode(forty.Slice(rows))
		index.Slices = append(index.Slices, v)
		add("of_slice_"+name, "what the metric makes of a slice", forty.Slice(rows))
	}
	slices.SortFunc(index.Newer, func(a, b metricVector) int { return strings.Compare(a.Table, b.Table) })
	slices.SortFunc(index.Slices, func(a, b sliceVector) int { return strings.Compare(a.Slice, b.Slice) })
}

// newerExample is the worked example of version 1.1 in ABI.md.
func newerExample() []byte {
	groups := finite("g", metricabi.Groups, 1, 2)
	groups.Groups = []string{"en", "ja"}
	return block([]metricabi.Result{finite("x", metricabi.Interval, 0.5, 0.25, 0.75), groups})
}

func TestTheExampleOfVersion11IsWhatTheDocumentSays(t *testing.T) {
	text, err := os.ReadFile("ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "### Worked example of version 1.1")
	_, after, _ = strings.Cut(after, "```\n")
	dump, _, ok := strings.Cut(after, "\n```")
	if !ok {
		t.Fatal("ABI.md has no such example")
	}
	var got []byte
	for line := range strings.Lines(dump) {
		for _, pair := range strings.Fields(line[4:min(len(line), 4+3*16)]) {
			b, err := hex.DecodeString(pair)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			got = append(got, b...)
		}
	}
	if !bytes.Equal(got, newerExample()) {
		t.Errorf("ABI.md has\n%swant\n%s", hex.Dump(got), hex.Dump(newerExample()))
	}
}

func TestModulesOfVersion10RunUnchangedBesideVersion11(t *testing.T) {
	for name, table := range map[string]metricabi.Table{"accuracy": draw(1, 50).table(), "mcc": draw(2, 50).table(), "chrf": drawTexts(3, 20).table()} {
		wasm, err := os.ReadFile(filepath.Join("testdata", "v1_0", name+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		if rep, err := sandboxed.Validate(t.Context(), wasm); err != nil || !rep.OK {
			t.Errorf("%s: an upload refuses it: %+v %v", name, rep, err)
		}
		alone, _, err := sandboxed.Evaluate(t.Context(), wasm, table, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// What version 1.1 adds to a table, before and behind its columns.
		n := table.Rows
		more := table
		more.Columns = slices.Concat(metricabi.ArmColumns("A", "B", "C"), table.Columns, []metricabi.Column{
			metricabi.Float64ListColumn(metricabi.RoleTokenLogProb, metricabi.ArmA, "", make([][]float64, n)),
			metricabi.Int32Column(metricabi.RolePrediction, 3, "", make([]int32, n)),
			metricabi.StringColumn(metricabi.RoleOutput, 3, "", make([]string, n)),
			metricabi.StringColumn(metricabi.RoleExtra, metricabi.ArmShared, "topic", make([]string, n)),
		})
		beside, usage, err := sandboxed.Evaluate(t.Context(), wasm, more, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		d, err := sandboxed.Describe(t.Context(), wasm)
		if err != nil || d.ABI != "" {
			t.Fatalf("%s: abi %q, %v", name, d.ABI, err)
		}
		selected, err := d.Select(table)
		if err != nil {
			t.Fatal(err)
		}
		parameters, err := d.ParameterColumns(nil)
		if err != nil {
			t.Fatal(err)
		}
		selected.Columns = append(selected.Columns, parameters...)
		if usage.InputBytes != selected.EncodedSize() || !reflect.DeepEqual(alone, beside) || len(alone) == 0 {
			t.Errorf("%s: %d bytes and %+v, alone %d and %+v", name, usage.InputBytes, beside, selected.EncodedSize(), alone)
		}
		rows := []int{0, 3, 4}
		if part, _, err := sandboxed.Evaluate(t.Context(), wasm, more.Slice(rows), nil); err != nil || len(part) != len(alone) {
			t.Errorf("%s on a slice: %+v %v", name, part, err)
		}
	}
}

// newerBlocks are the blocks of version 1.1 that a host must accept or refuse.
func newerBlocks() map[string]struct {
	v blockVector
	b []byte
} {
	result := func(kind metricabi.Kind, groups []string, values ...float64) metricabi.Result {
		r := finite("x", kind, values...)
		r.Groups = groups
		return r
	}
	of := func(r metricabi.Result) []byte { return block([]metricabi.Result{r}) }
	two := func() []byte { return of(result(metricabi.Groups, []string{"en", "ja"}, 1, 2)) } // groups at 65: 0, 2, 4, "enja"
	put := func(b []byte, at int, v uint32) []byte {
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	out := map[string]struct {
		v blockVector
		b []byte
	}{}
	add := func(name string, accept bool, because string, b []byte) {
		out[name] = struct {
			v blockVector
			b []byte
		}{blockVector{Accept: accept, Because: because}, b}
	}
	nan := math.NaN()
	add("example_v1_1", true, "the example of version 1.1 in ABI.md", newerExample())
	add("interval", true, "a value and its interval", of(result(metricabi.Interval, nil, 0.5, 0.25, 0.75)))
	add("interval_open", true, "an interval without an upper end", of(result(metricabi.Interval, nil, 0.5, 0.25, nan)))
	add("interval_beside", true, "a value outside its interval, as a bootstrap's may be", of(result(metricabi.Interval, nil, 2, 0.25, 0.75)))
	add("groups", true, "two groups", two())
	add("groups_none", true, "no groups", of(result(metricabi.Groups, nil)))
	add("group_intervals", true, "two groups with intervals, one of them undefined", of(result(metricabi.GroupIntervals, []string{"en", "日本語"}, 1, 0, 2, nan, nan, nan)))
	add("interval_of_two", false, "an interval of two values", of(result(metricabi.Interval, nil, 1, 2)))
	add("interval_reversed", false, "an interval from 2 to 1", of(result(metricabi.Interval, nil, 1, 2, 1)))
	add("interval_reserved", false, "an interval with a last word", put(of(result(metricabi.Interval, nil, 1, 1, 1)), 16+28, 16))
	add("groups_at_0", false, "groups without names", put(two(), 16+28, 0))
	add("groups_in_header", false, "names in the header", put(two(), 16+28, 12))
	add("groups_outside", false, "the offsets end behind the block", put(two(), 16+28, 74))
	add("groups_overflow", false, "names offset + length is 8 in 32 bits", put(two(), 16+28, 0xfffffffc))
	add("groups_names_outside", false, "the names end behind the block", put(two(), 65+8, 5))
	add("groups_first_offset", false, "offsets that begin at 1", put(two(), 65, 1))
	add("groups_backwards", false, "offsets that go back", put(two(), 65+4, 5))
	add("groups_name_empty", false, "an empty name", of(result(metricabi.Groups, []string{"", "ja"}, 1, 2)))
	add("groups_name_twice", false, "two groups of one name", of(result(metricabi.Groups, []string{"en", "en"}, 1, 2)))
	add("groups_name_129", false, "a name of 129 bytes", of(result(metricabi.Groups, []string{strings.Repeat("n", 129)}, 1)))
	add("groups_name_control", false, "a name with a newline", of(result(metricabi.Groups, []string{"a\nb"}, 1)))
	add("groups_name_not_utf8", false, "names that are UTF-8 only together", of(result(metricabi.Groups, []string{"\xc3", "\xa9"}, 1, 2)))
	add("group_intervals_four", false, "four values of intervals", of(result(metricabi.GroupIntervals, []string{"a"}, 1, 0, 2, 3)))
	add("group_intervals_reversed", false, "a group's interval from 2 to 1", of(result(metricabi.GroupIntervals, []string{"a"}, 1, 2, 1)))
	return out
}
