package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestCount(t *testing.T) {
	tests := []struct {
		name   string
		in     []string
		want   counts
		shows  string // must be in what is shown
		hidden string // must not
	}{
		{
			name: "a passing test counts once and its output is not shown",
			in: []string{
				`{"Action":"start","Package":"p"}`,
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}`,
				`{"Action":"pass","Package":"p","Elapsed":0.2}`,
			},
			want: counts{Passed: 1}, shows: "ok    p", hidden: "chatter",
		},
		{
			name: "subtests count and their parent does not",
			in: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"run","Package":"p","Test":"TestA/x"}`,
				`{"Action":"run","Package":"p","Test":"TestA/y"}`,
				`{"Action":"output","Package":"p","Test":"TestA/y","Output":"the fault\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA/x"}`,
				`{"Action":"fail","Package":"p","Test":"TestA/y"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: counts{Passed: 1, Failed: 1}, shows: "the fault",
		},
		{
			name: "a parent that fails by itself counts",
			in: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"run","Package":"p","Test":"TestA/x"}`,
				`{"Action":"pass","Package":"p","Test":"TestA/x"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: counts{Passed: 1, Failed: 1},
		},
		{
			name: "the reason of a skip is shown",
			in: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: no GPU here\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestA"}`,
				`{"Action":"pass","Package":"p"}`,
			},
			want: counts{Skipped: 1}, shows: "no GPU here",
		},
		{
			name: "a test cut off by a crash fails and its output is shown",
			in: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: boom\n"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: counts{Failed: 1}, shows: "panic: boom",
		},
		{
			name: "a package that does not build counts as one failure with the compiler's words",
			in: []string{
				`{"ImportPath":"p","Action":"build-output","Output":"p.go:1: undefined: x\n"}`,
				`{"ImportPath":"p","Action":"build-fail"}`,
				`{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}`,
				`{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			},
			want: counts{Failed: 1}, shows: "undefined: x",
		},
		{
			name: "node's TAP summary counts",
			in:   []string{"ok 1 - a", "# tests 9", "# pass 3", "# fail 1", "# cancelled 1", "# skipped 2", "# todo 1"},
			want: counts{Passed: 3, Failed: 2, Skipped: 3}, shows: "ok 1 - a",
		},
		{
			name: "node's spec summary counts",
			in:   []string{"✔ a", "ℹ pass 3", "ℹ fail 0", "ℹ skipped 0"},
			want: counts{Passed: 3},
		},
		{
			name: "the project's own node reporter counts",
			in:   []string{"✓ a (0 ms)", "28 passed, 1 failed, 2 skipped"},
			want: counts{Passed: 28, Failed: 1, Skipped: 2},
		},
		{
			name: "the project's own node reporter names no skips where there are none",
			in:   []string{"5 passed, 0 failed"},
			want: counts{Passed: 5},
		},
		{
			name: "other lines pass through, JSON or not",
			in:   []string{`{"hello":1}`, "plain"},
			want: counts{}, shows: "{\"hello\":1}\nplain",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			got, err := count(strings.NewReader(strings.Join(tt.in, "\n")), &out)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("counts %+v, want %+v", got, tt.want)
			}
			if !strings.Contains(out.String(), tt.shows) {
				t.Errorf("output %q lacks %q", out.String(), tt.shows)
			}
			if tt.hidden != "" && strings.Contains(out.String(), tt.hidden) {
				t.Errorf("output %q shows %q", out.String(), tt.hidden)
			}
		})
	}
}

func TestSuitesAddUp(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("needs sh")
	}
	file := filepath.Join(t.TempDir(), "out", "counts.jsonl")
	testcount := func(args ...string) (string, error) {
		var out, errs strings.Builder
		err := run(append([]string{"-file", file}, args...), &out, &errs)
		return out.String(), err
	}
	must := func(args ...string) {
		t.Helper()
		if out, err := testcount(args...); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	if _, err := testcount("run", "early", "sh", "-c", "true"); err == nil {
		t.Error("run without reset succeeded")
	}
	must("reset")
	if out, err := testcount("sum"); err == nil {
		t.Errorf("a sum in which no test ran succeeded: %s", out)
	}
	must("run", "node", "sh", "-c", "echo '# pass 2'; echo '# fail 0'")
	must("skip", "browser", "no", "browser")
	out, err := testcount("sum")
	if err != nil || out != "2 passed, 0 failed, 1 skipped\n" {
		t.Errorf("sum printed %q, %v", out, err)
	}
	must("run", "lint", "sh", "-c", "exit 3")
	out, err = testcount("sum")
	if err == nil || out != "failed: lint\n2 passed, 1 failed, 1 skipped\n" {
		t.Errorf("sum after a failing command printed %q, %v", out, err)
	}
	if _, err := testcount("run", "none", filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a command that does not exist was accepted")
	}
}
