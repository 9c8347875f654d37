//go:build unix

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const code = `package small

import "time"

const Limit = 2 * 5

func Sum(v []int) (sum int) {
	for i := 0; i < len(v); i++ {
		sum += v[i] - 0
	}
	return sum
}

func Short(v []int) bool { return len(v) < Limit }

func Late(d time.Duration) bool { return d >= 3*time.Second || d == -1 }

func Unused(a, b float64) float64 { return a / b }

func Name(a, b string) string { return a + b }
`

const tests = `package small

import (
	"testing"
	"time"
)

func TestSum(t *testing.T) {
	if Sum([]int{1, 2}) != 3 {
		t.Error()
	}
}

func TestShort(t *testing.T) {
	if !Short(nil) || Short(make([]int, 20)) || Name("a", "b") != "ab" {
		t.Error()
	}
}

func TestLate(t *testing.T) {
	if Late(2*time.Second) || !Late(3*time.Second) || !Late(-1) {
		t.Error()
	}
}
`

func folder(t *testing.T, tests string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{"go.mod": "module small\n\ngo 1.26\n", "small.go": code, "small_test.go": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return dir
}

func run(t *testing.T, again string) string {
	t.Helper()
	var b strings.Builder
	o := options{skip: regexp.MustCompile("^$"), only: regexp.MustCompile(""), slow: time.Minute, patience: 10, again: again, out: &b}
	if err := mutate(".", o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWhatNoTestNoticesIsListedAndTheCodeIsLeftAsItWas(t *testing.T) {
	dir := folder(t, tests)
	got := run(t, "")
	for _, want := range []string{
		"== small: 13 changes\n",
		"NOT TRIED ARITHMETIC_BASE at small.go:5:17 * -> / | const Limit = 2 * 5\n",
		"LIVED ARITHMETIC_BASE at small.go:9:15 - -> + | sum += v[i] - 0\n",
		"LIVED CONDITIONALS_BOUNDARY at small.go:14:42 < -> <= | func Short",
		"NOT REACHED ARITHMETIC_BASE at small.go:18:46 / -> * | func Unused",
		": 9 killed 0 timed out 2 LIVED 1 NOT REACHED 1 NOT TRIED\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n != 6 {
		t.Errorf("%d lines:\n%s", n, got)
	}
	text, err := os.ReadFile(filepath.Join(dir, "small.go"))
	if err != nil || string(text) != code {
		t.Errorf("the code is now\n%s", text)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 3 {
		t.Errorf("left: %v", entries)
	}
	// What lived is tried again where there is a test more.
	folder(t, tests+"\nfunc TestLimit(t *testing.T) {\n\tif Short(make([]int, Limit)) {\n\t\tt.Error()\n\t}\n}\n")
	if got := run(t, regexp.MustCompile(`:\d+:\d+ `).ReplaceAllString(got, " ")); strings.Contains(got, "small.go:14") || !strings.Contains(got, ": 1 killed 0 timed out 1 LIVED 1 NOT REACHED 0 NOT TRIED\n") {
		t.Errorf("tried again:\n%s", got)
	}
}

func TestATestThatFailsAnywayIsToldAndLeftOut(t *testing.T) {
	folder(t, strings.Replace(tests, "!= 3", "!= 4", 1))
	got := run(t, "")
	if !strings.Contains(got, "left out TestSum fails on the code as it is") || !strings.Contains(got, "NOT REACHED ARITHMETIC_BASE at small.go:9:15") {
		t.Errorf("got\n%s", got)
	}
}
