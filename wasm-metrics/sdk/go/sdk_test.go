package metric

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The worked example of ABI.md.
const exampleTable = `
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

const exampleBlock = `
544d5231 01000000 00000000 02000000
01000000 03000000 50000000 04000000 54000000 08000000 00000000 00000000
02000000 03000000 5c000000 01000000 5d000000 10000000 6d000000 00000000
72617465 000000000000e03f 76 000000000000f03f 0000000000000000 01
`

func TestTheTableOfTheDocumentIsRead(t *testing.T) {
	table, err := Open(unhex(t, exampleTable))
	if err != nil {
		t.Fatal(err)
	}
	if c := table.Classes(); table.Rows != 3 || len(c) != 1 || c[0] != "ALLOW" {
		t.Errorf("%d rows, classes %q", table.Rows, c)
	}
	if l := table.Column(Label, Shared); l == nil || !l.Valid(2) || l.Int32(2) != 0 {
		t.Error("the label is not read")
	}
	note := table.Named("note", A)
	if note == nil || note.String(0) != "hi" || note.String(1) != "" || note.String(2) != "you" || !note.Valid(0) || note.Valid(1) {
		t.Errorf("note %+v", note)
	}
	if table.Named("note", B) != nil || table.Column(Prediction, A) != nil {
		t.Error("a column that is not there was found")
	}
}

func TestTheBlockOfTheDocumentIsWritten(t *testing.T) {
	Register("{}", func(_ *Table, r *Results) error {
		r.Scalar("rate", 0.5)
		r.Vector("v", []float64{1, math.NaN()})
		return nil
	})
	if got := Evaluate(unhex(t, exampleTable)); string(got) != string(unhex(t, exampleBlock)) {
		t.Errorf("got\n%s", hex.Dump(got))
	}
}

func TestAnErrorIsSentAsItsText(t *testing.T) {
	Register("{}", func(*Table, *Results) error { return errors.New("bad") })
	if got := string(Evaluate(unhex(t, exampleTable))); got != "TMR1\x01\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00bad" {
		t.Errorf("%q", got)
	}
	if got := string(Evaluate([]byte("no table"))); !strings.HasSuffix(got, "malformed") {
		t.Errorf("%q", got)
	}
}

// quadraticScore is the metric of the templates.
func quadraticScore(t *Table, r *Results) error {
	label, probabilities := t.Column(Label, Shared), t.Columns(Probability, A)
	rows := make([]float64, t.Rows)
	var sum, n float64
	for i := range rows {
		if !label.Valid(i) {
			rows[i] = math.NaN()
			continue
		}
		for c, p := range probabilities {
			if !p.Valid(i) {
				rows[i] = t.Number("missing")
				break
			}
			d := p.Float64(i)
			if c == int(label.Int32(i)) {
				d -= 1
			}
			rows[i] += float64(d * d) // rounded before it is added
		}
		sum += rows[i]
		n++
	}
	r.Scalar("score.A", sum/n)
	r.Column("row.A", rows)
	return nil
}

func TestTheVectorsAreGivenByteForByte(t *testing.T) {
	root := filepath.Join("..", "..", "vectors")
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var index struct {
		Metric []struct{ Table, Results string }
	}
	if err := json.Unmarshal(read("index.json"), &index); err != nil || len(index.Metric) == 0 {
		t.Fatalf("%d vectors, %v", len(index.Metric), err)
	}
	Register("{}", quadraticScore)
	for _, v := range index.Metric {
		if got := Evaluate(read(v.Table)); !bytes.Equal(got, read(v.Results)) {
			t.Errorf("%s: got\n%s", v.Table, hex.Dump(got[:min(len(got), 256)]))
		}
	}
}
