//go:build linux

package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"triality/experiments/pipeline"
	"triality/experiments/pipeline/metrictest"
	"triality/frontend"
	"triality/runtime/hub/hubtest"
)

// usingIt are the commands of README's "Using it", without what is said of them.
func usingIt(t *testing.T) (lines []string) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## Using it\n")
	parts := strings.Split(section, "```")
	if !ok || len(parts) < 3 {
		t.Fatal("README.md has no block of commands under Using it")
	}
	for line := range strings.Lines(parts[1]) {
		command, _, _ := strings.Cut(line, "   #")
		if command, _, _ = strings.Cut(command, " # "); strings.TrimSpace(command) != "" {
			lines = append(lines, strings.TrimSpace(command))
		}
	}
	if len(lines) < 10 {
		t.Fatalf("README.md has only %d commands", len(lines))
	}
	return lines
}

// words splits a command as a shell does that knows quotes and nothing else.
var words = regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`)

// reader follows the README in a folder where its files are small ones.
type reader struct {
	dir, hub string
	server   *tracker
	runs     []string // that were made
}

var madeRun = regexp.MustCompile(`(?m)^run +([0-9a-f]{32})`)

func (r *reader) command(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	cmd := triality(t, r.dir, args...)
	cmd.Env = append(os.Environ(), "HF_ENDPOINT="+r.hub, "HF_HOME="+filepath.Join(r.dir, "hf"))
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// does what a line says, with the reader's own names for RUN, MODEL and MERGED.
func (r *reader) does(t *testing.T, line string) {
	t.Helper()
	var args []string
	run := 0
	for _, w := range words.FindAllString(line, -1)[1:] {
		switch w = strings.Trim(w, `'"`); w {
		case "RUN":
			w = r.runs[run]
			run++
		case "MODEL", "MERGED":
			w = r.merged(t)
		}
		args = append(args, w)
	}
	cmd, out := r.command(t, args...)
	err := cmd.Run()
	if gate := strings.Contains(line, "--gate") && cmd.ProcessState.ExitCode() == 4; err != nil && !gate {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
	if m := madeRun.FindStringSubmatch(out.String()); m != nil {
		r.runs = append(r.runs, m[1])
	}
}

func (r *reader) merged(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(r.dir, "work/*/finetune/*/merged"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no merged model: %v", err)
	}
	if err := os.WriteFile(filepath.Join(found[0], "chat_template.jinja"), []byte("{% for m in messages %}{{ m.content }}{% endfor %}"), 0o644); err != nil {
		t.Fatal(err)
	}
	return found[0]
}

func (r *reader) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheREADMEsCommandsWorkLineByLine(t *testing.T) {
	if len(frontend.ReportECharts()) == 0 {
		t.Skip("the report needs the frontend's build: npm --prefix frontend run build")
	}
	lines := usingIt(t)
	for _, serving := range []bool{false, true} {
		t.Run(fmt.Sprintf("while a server runs %t", serving), func(t *testing.T) {
			t.Parallel()
			r := &reader{dir: t.TempDir()}
			h := hubtest.New()
			defer h.Close()
			r.hub = h.URL
			h.Put("Qwen/Qwen2.5-0.5B", "main", map[string][]byte{"config.json": []byte(`{"model_type":"qwen2"}`), "model.safetensors": []byte("weights"), "tokenizer.json": []byte("{}")})
			small := strings.NewReplacer("output_dir: work", "output_dir: work/demo", "name: small", "name: demo").Replace(smallYAML)
			r.write(t, "configs/demo.yaml", small)
			r.write(t, "configs/graph.yaml", "name: ranks\noutput_dir: work/ranks\nsteps:\n  - {name: rows, kind: convert, body: {data: {input_path: rows.jsonl, max_length: 96}, base_model: model}}\n")
			r.write(t, "rows.jsonl", rows(64))
			r.write(t, "mine/four_class_mine.jsonl", rows(48))
			r.write(t, "my_metric.wasm", string(metrictest.Good("my_metric", 0.25)))
			if err := pipeline.InitModel(filepath.Join(r.dir, "model"), "llama", "micro", 320, []string{rows(64)}, 1); err != nil {
				t.Fatal(err)
			}
			served := 0
			for _, line := range lines {
				serve, isServe := strings.CutPrefix(line, "triality serve")
				if !isServe {
					r.does(t, line)
					continue
				}
				served++
				if r.server != nil {
					r.server.kill(t)
				}
				r.server = &tracker{dir: r.dir, args: words.FindAllString(strings.ReplaceAll(serve, "0.0.0.0:8788", "127.0.0.1:0"), -1)}
				r.server.start(t)
				r.server.client(t)
				if !serving {
					r.server.kill(t)
					r.server = nil
				}
			}
			if r.server != nil {
				r.server.kill(t)
			}
			if served == 0 || len(r.runs) < 2 {
				t.Errorf("%d servers and %d runs", served, len(r.runs))
			}
		})
	}
}
