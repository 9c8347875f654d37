package books

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/experiments"
)

func called(items []Present) string {
	var out []string
	for _, p := range items {
		out = append(out, p.Name+"@"+p.Cell)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestARoomTellsWhoCameMovedAndWent(t *testing.T) {
	var told []string
	r := NewRoom(func(book string, items []Present) { told = append(told, book+": "+called(items)) })
	defer r.Close()
	mika, yuta := Present{Window: "window-1", Name: "Mika", Cell: "tune"}, Present{Window: "window-2", Name: "Yuta"}
	here := func(book string, p Present, want string) {
		t.Helper()
		if items, err := r.Here(book, p); err != nil || called(items) != want {
			t.Errorf("%s %v", called(items), err)
		}
	}
	here("a.md", mika, "Mika@tune")
	here("a.md", yuta, "Mika@tune Yuta@")
	here("a.md", mika, "Mika@tune Yuta@") // nothing is new, nothing is told
	here("b.md", yuta, "Yuta@")
	mika.Cell = "ab"
	here("a.md", mika, "Mika@ab Yuta@")
	r.Gone("a.md", "window-2")
	r.Gone("a.md", "window-2")
	r.Gone("c.md", "window-2")
	want := []string{"a.md: Mika@tune", "a.md: Mika@tune Yuta@", "b.md: Yuta@", "a.md: Mika@ab Yuta@", "a.md: Mika@ab"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestAPageThatIsNotHeardOfIsGone(t *testing.T) {
	told := make(chan string, 9)
	r := NewRoom(func(_ string, items []Present) { told <- called(items) })
	r.away = 30 * time.Millisecond
	defer r.Close()
	if _, err := r.Here("a.md", Present{Window: "window-1", Name: "Mika"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Mika@", ""} {
		select {
		case got := <-told:
			if got != want {
				t.Errorf("told %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("not told of %q", want)
		}
	}
}

func TestWhatPagesSayIsBounded(t *testing.T) {
	r := NewRoom(func(string, []Present) {})
	defer r.Close()
	for name, p := range map[string]Present{
		"no window":       {Name: "x"},
		"an odd window":   {Window: "wind ow-1"},
		"a long name":     {Window: "window-1", Name: strings.Repeat("x", maxCalled+1)},
		"lines in a cell": {Window: "window-1", Cell: "a\nb"},
		"an odd colour":   {Window: "window-1", Colour: -1},
	} {
		if _, err := r.Here("a.md", p); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range MaxPresent {
		if _, err := r.Here(fmt.Sprintf("%d.md", i%7), Present{Window: fmt.Sprintf("window-%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Here("a.md", Present{Window: "one-more"}); experiments.CodeOf(err) != experiments.CodeUnavailable {
		t.Errorf("one more: %v", err)
	}
	if _, err := r.Here("0.md", Present{Window: "window-0", Cell: "x"}); err != nil {
		t.Errorf("one that is there: %v", err)
	}
}
