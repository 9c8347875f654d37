package model

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// A weight of more than one part, beside others.
func testSource(t *testing.T) *Fresh {
	t.Helper()
	cfg, err := NamedShape{Name: "x", Hidden: 64, Layers: 1, Heads: 2, KVHeads: 2, FFN: 128, Positions: 64}.Config("llama", 40_000)
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewFresh(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPartsComeInOrderAndMakeTheWeights(t *testing.T) {
	src := testSource(t)
	all, err := ReadAll(src)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	parts := map[string]int{}
	err = EachPart(src, func(p Part, values []float32) error {
		if parts[p.Name]++; parts[p.Name] == 1 {
			names = append(names, p.Name)
		}
		x, _ := all.Get(p.Name)
		if !slices.Equal(values, x.Data[p.At:p.At+p.N]) {
			t.Errorf("%s from %d on differs", p.Name, p.At)
		}
		if p.At%p.Shape[len(p.Shape)-1] != 0 && len(p.Shape) > 1 {
			t.Errorf("%s is cut within a row, at %d", p.Name, p.At)
		}
		return nil
	})
	if err != nil || !slices.Equal(names, src.Names()) || parts[embedName] != 3 {
		t.Errorf("%v, %v, %v", names, parts, err)
	}
	one, err := Read(src, embedName)
	if x, _ := all.Get(embedName); err != nil || !slices.Equal(one.Data, x.Data) {
		t.Errorf("read alone it differs: %v", err)
	}
	if _, err := Read(src, "none"); err == nil {
		t.Error("a weight that is not there was read")
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	src := WithContext(ctx, testSource(t))
	seen := 0
	err := EachPart(src, func(Part, []float32) error {
		if seen++; seen == 2 {
			cancel(why)
		}
		return nil
	})
	if parts, _ := Parts(src); !errors.Is(err, why) && seen < len(parts) {
		t.Errorf("%v after %d parts", err, seen)
	}
	if _, err := ReadAll(src); !errors.Is(err, why) {
		t.Errorf("a new reading: %v", err)
	}
}

func TestReadingALargeModelIsTold(t *testing.T) {
	src := testSource(t)
	var said [][2]int
	w := Watch(src, func(done, total int) { said = append(said, [2]int{done, total}) }).(*watched)
	dst := make([]float32, 64_000)
	read := func() {
		t.Helper()
		if err := w.ReadAt(embedName, dst, 0); err != nil {
			t.Fatal(err)
		}
	}
	if read(); len(said) > 0 {
		t.Errorf("told at once: %v", said)
	}
	w.told = w.told.Add(-tellEvery)
	if read(); !slices.Equal(said, [][2]int{{128_000, Elements(src)}}) {
		t.Errorf("told %v", said)
	}
	w.told, w.done = w.told.Add(-tellEvery), Elements(src)
	if read(); len(said) != 1 {
		t.Errorf("told more than all: %v", said)
	}
}
