package pipeline

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments/config"
	stepkinds "triality/experiments/kinds"
	"triality/experiments/pipeline/metrictest"
)

var updateKeys = flag.Bool("update-keys", false, "write the golden file of keys")

// tinyTokenizer is the smallest tokenizer.json that loads.
const tinyTokenizer = `{"version":"1.0","added_tokens":[{"id":1,"content":"<|endoftext|>","special":true}],"normalizer":null,
"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},"post_processor":null,
"decoder":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},
"model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"vocab":{"a":0,"<|endoftext|>":1},"merges":[]}}`

// The keys were recorded with the five fixed steps that were there before the graph: whoever has results keeps them.
func TestKeysStayWhatTheyWere(t *testing.T) {
	t.Chdir(t.TempDir())
	golden := filepath.Join(testdata(t), "keys.golden")
	writeRows(t, "rows.jsonl", 64)
	writeRows(t, "other.jsonl", 40)
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("words.txt", "first paragraph\n\nsecond paragraph\n")
	write("m.wasm", string(metrictest.Good("m", 1)))
	for _, dir := range []string{"own", "hub"} {
		write(dir+"/config.json", `{"model_type":"llama"}`)
		write(dir+"/tokenizer.json", tinyTokenizer)
		write(dir+"/model.safetensors", "weights of "+dir)
	}
	write("a/config.json", `{"model_type":"qwen2"}`)
	write("a/tokenizer.json", tinyTokenizer)
	hub := Source{Name: "org/name@0123456789", Dir: "hub", Repo: "org/name", Commit: "0123456789"}
	tests := []struct {
		name   string
		device string
		found  sources
		set    []string
	}{
		{"created base", "cpu", nil, nil},
		{"created base of a text", "cpu", nil, []string{"model.create.text=words.txt"}},
		{"own base", "cpu", nil, []string{"model.base_model=own"}},
		{"own base on cuda in bf16 and int8", "cuda", nil, []string{"model.base_model=own", "training.bf16=true", "model.load_in_8bit=true", "model.allow_unknown_config=true"}},
		{"own base on cuda in bf16 and fp8", "cuda", nil, []string{"model.base_model=own", "training.bf16=true", "model.quantization=fp8"}},
		{"fp16 and tf32", "cuda", nil, []string{"training.fp16=true", "training.tf32=true", "model.llm_int8_threshold=3"}},
		{"hub base", "cpu", sources{"model.base_model": hub}, []string{"model.base_model=org/name@0123456789", "model.create.shape="}},
		{"model A of one's own", "cpu", nil, []string{"test.model_a_path=a"}},
		{"model A of the hub, model B of one's own", "cpu", sources{"test.model_a_path": hub}, []string{"test.model_a_path=org/name@0123456789", "test.model_b_path=own"}},
		{"test data", "cpu", nil, []string{"test.test_data_path=other.jsonl"}},
		{"full, packed, other cadence", "cpu", nil, []string{"training.finetuning_type=full", "training.packing=true", "training.save_steps=3", "training.checkpoint_interval=1s", "data.strict=true"}},
		{"metrics, slices and texts", "cpu", nil, []string{`test.metrics=[{module: m.wasm, params: {k: 1}, slices: [class], timeout: 3s}]`, "test.generate.max_new_tokens=8"}},
		{"name, language, seed and output", "cpu", nil, []string{"name=other", "report.language=ja", "seed=9", "output_dir=elsewhere"}},
	}
	var got strings.Builder
	for _, tt := range tests {
		set := append([]string{"data.input_path=rows.jsonl", "model.base_model=base", "output_dir=work"}, tt.set...)
		cfg, err := config.Parse("small.yaml", []byte(strings.ReplaceAll(smallYAML, "SHAPE", shape)), set...)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%s\n", tt.name)
		for _, s := range plannedSteps(t, cfg, tt.device, tt.found) {
			fmt.Fprintf(&got, "  %s %s %s\n", s.kind, s.key, filepath.ToSlash(s.dir))
		}
	}
	if *updateKeys {
		write(golden, got.String())
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wantLines, name := strings.Split(string(want), "\n"), ""
	for i, line := range strings.Split(got.String(), "\n") {
		if !strings.HasPrefix(line, " ") {
			name = line
		}
		if i >= len(wantLines) || wantLines[i] != line {
			t.Errorf("%s: now %q, recorded %q", name, line, wantLines[min(i, len(wantLines)-1)])
		}
	}
}

// testdata is this package's folder of that name, whatever the working directory becomes.
func testdata(t *testing.T) string {
	t.Helper()
	return filepath.Join(packageDir, "testdata")
}

var packageDir = func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return dir
}()

type plannedStep struct{ kind, key, dir string }

// plannedSteps plans a configuration without running it.
func plannedSteps(t *testing.T, cfg config.Pipeline, device string, found sources) []plannedStep {
	t.Helper()
	var modules []Module
	for _, m := range cfg.Test.Metrics {
		module, err := ReadModule(m.Module, m.Params, m.Timeout.Duration())
		if err != nil {
			t.Fatal(err)
		}
		module.Slices = m.Slices
		modules = append(modules, module)
	}
	p, err := makePlan(t.Context(), cfg, modules, device, found, &notes{}, stepkinds.All(host{&Engine{}, &execution{}}), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []plannedStep
	for _, s := range p.Steps {
		out = append(out, plannedStep{s.Kind.Name, s.Key, s.Dir})
	}
	return out
}
