package metrictemplate_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// newer builds a metric of version 1.1, which uses what that adds, with a language's SDK.
func newer(t *testing.T, lang string) []byte {
	t.Helper()
	file := map[string]string{"go": "main.go", "c": "main.c", "assemblyscript": "index.ts", "rust": "main.rs"}[lang]
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join("testdata", "newer", name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	return build(t, lang, lang+" 1.1", map[string]string{file: strings.ReplaceAll(read(file), "@DESCRIPTION@", read("description.json"))})
}

func TestEachSDKGivesTheVectorsOfVersion11(t *testing.T) {
	all := vectors(t, "metric_v1_1")
	for _, lang := range []string{"go", "c", "assemblyscript", "rust"} {
		t.Run(lang, func(t *testing.T) {
			wasm := newer(t, lang)
			if rep, err := sandboxed.Validate(context.Background(), wasm); err != nil || !rep.OK {
				t.Fatalf("an upload refuses it: %+v %v", rep, err)
			}
			for _, v := range all {
				got, _, err := sandboxed.Evaluate(context.Background(), wasm, v.table, nil)
				if err != nil {
					t.Errorf("%s: %v", v.name, err)
				} else if err := identical(got, v.want); err != nil {
					t.Errorf("%s: %v", v.name, err)
				}
			}
			if _, err := exec.LookPath("node"); err != nil {
				t.Skip("there is no node in PATH")
			}
			file := filepath.Join(t.TempDir(), "metric.wasm")
			if err := os.WriteFile(file, wasm, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("node", filepath.Join("..", "..", "wasm-metrics", "vectors.mjs"), file).CombinedOutput()
			if err != nil || strings.Count(string(out), ": ok, in canonical form") != len(all) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
