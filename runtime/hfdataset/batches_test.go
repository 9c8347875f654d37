package hfdataset

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// mixed has columns of every kind, some rows without a value.
func mixed(rows int) Split {
	s := sample(rows)
	floats, bools := Floats("share", nil), Bools("kept", nil)
	holes, numbers := Strings("note", nil), Ints("count", nil)
	for i := range rows {
		has := i%3 != 1
		floats.Floats, bools.Bools = append(floats.Floats, float64(i)/7), append(bools.Bools, has && i%2 == 0)
		holes.Strings, numbers.Ints = append(holes.Strings, ""), append(numbers.Ints, int64(i)<<50)
		floats.Valid = append(floats.Valid, true)
		bools.Valid, holes.Valid, numbers.Valid = append(bools.Valid, has), append(holes.Valid, has), append(numbers.Valid, has || i > 4)
		if !numbers.Valid[i] {
			numbers.Ints[i] = 0
		}
	}
	floats.Valid = nil
	s.Columns = append(s.Columns, floats, bools, holes, numbers)
	return s
}

func TestValuesOfEveryKindAndMissingOnesAreReadAsWritten(t *testing.T) {
	for _, shardBytes := range []int64{shardBytes, 20_000} {
		dir := filepath.Join(t.TempDir(), "ds")
		want := mixed(2345)
		if err := write(dir, cutAll([]Split{want}), shardBytes); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(dir); err != nil || !reflect.DeepEqual(got, []Split{want}) {
			t.Errorf("shards of %d bytes: read something else: %v", shardBytes, err)
		}
	}
}

func TestAnErrorOfTheRowsLeavesNothing(t *testing.T) {
	root := t.TempDir()
	s, calls := sample(5000), 0
	b := s.batches()
	next := b.Next
	broken := errors.New("the rows ended")
	b.Next = func() ([]Column, error) {
		if calls++; calls == 3 {
			return nil, broken
		}
		return next()
	}
	if err := WriteBatches(filepath.Join(root, "ds"), []Batches{b}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	other := s.batches()
	other.Next = func() ([]Column, error) { return []Column{Ints("n", []int64{1})}, nil }
	if err := WriteBatches(filepath.Join(root, "ds"), []Batches{other}); err == nil || !strings.Contains(err.Error(), "columns") {
		t.Errorf("other columns: %v", err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
