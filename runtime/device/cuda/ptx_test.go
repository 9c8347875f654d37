package cuda

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the PTX that the sources give")

const compiler = "clang-19"

// compilerArguments are those before the names of the source and the result.
func compilerArguments(source string) []string {
	card, some := cardsOf(source)
	ptx := 70
	if some {
		ptx = 81
	}
	return strings.Fields(fmt.Sprintf("-x cuda --cuda-device-only --cuda-gpu-arch=%s -nocudainc -nocudalib -Xclang -target-feature -Xclang +ptx%d -O3 -Wall -Werror -S", card.target(), ptx))
}

func TestThePTXIsWhatTheSourcesGive(t *testing.T) {
	clang, err := exec.LookPath(compiler)
	if err != nil {
		t.Skipf("needs %s, which Debian and Ubuntu have: %v", compiler, err)
	}
	sources, err := filepath.Glob("kernels/*.cu")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	if compiled, err := filepath.Glob("kernels/*.ptx"); err != nil || (!*update && len(compiled) != len(sources)) {
		t.Errorf("%d files of PTX for %d sources: %v", len(compiled), len(sources), err)
	}
	for _, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".cu") + ".ptx"
		t.Run(name, func(t *testing.T) {
			made := filepath.Join(t.TempDir(), name)
			out, err := exec.Command(clang, append(compilerArguments(name), "-o", made, source)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			got, err := os.ReadFile(made)
			if err != nil {
				t.Fatal(err)
			}
			kept := filepath.Join("kernels", name)
			if *update {
				if err := os.WriteFile(kept, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(kept)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s is not what %s gives; run go generate here", kept, source)
			}
		})
	}
}
