package enginebench

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"triality/runtime/model"
	"triality/runtime/safetensors"
	"triality/runtime/train"
)

//go:embed torch_llama.py
var torchScript []byte

// missingError is a peer that is not installed.
type missingError struct {
	peer    string
	reasons []string
}

func (e *missingError) Error() string { return e.peer + ": " + strings.Join(e.reasons, "; ") }

// torch is a running Python process that trains when asked to.
type torch struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	stderr  *bytes.Buffer // to be read after the end
	dir     string
	name    string
	threads int
}

// startTorch starts the script in the first interpreter that has PyTorch, with the weights and tokens
// that ours begins with. Where none has it, the error is a *missingError.
func (o *Options) startTorch(ctx context.Context, params *model.Params, set []train.Example) (*torch, error) {
	dir, err := os.MkdirTemp("", "triality-bench-")
	if err != nil {
		return nil, err
	}
	missing := &missingError{peer: "PyTorch"}
	err = o.writeTorch(dir, params, set)
	for _, python := range o.Python {
		if err != nil {
			break
		}
		path, lookErr := exec.LookPath(python)
		if lookErr != nil {
			missing.reasons = append(missing.reasons, fmt.Sprintf("%s is not there", python))
			continue
		}
		var t *torch
		if t, err = runTorch(ctx, path, dir, o.Threads); err == nil {
			return t, nil
		}
		var absent *missingError
		if errors.As(err, &absent) {
			missing.reasons, err = append(missing.reasons, absent.reasons...), nil
		}
	}
	if err == nil {
		err = missing
	}
	return nil, errors.Join(err, os.RemoveAll(dir))
}

func (o *Options) writeTorch(dir string, params *model.Params, set []train.Example) error {
	if err := params.Save(dir, safetensors.F32); err != nil {
		return err
	}
	var tokens bytes.Buffer
	for _, e := range set {
		if err := binary.Write(&tokens, binary.LittleEndian, e.IDs); err != nil {
			return err
		}
	}
	shape, err := json.Marshal(map[string]any{
		"shape": o.Shape, "batch": o.Batch, "sequence": o.Sequence, "threads": o.Threads,
		"learning_rate": learningRate, "weight_decay": weightDecay,
	})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "tokens.bin"), tokens.Bytes(), 0o600),
		os.WriteFile(filepath.Join(dir, "job.json"), shape, 0o600),
		os.WriteFile(filepath.Join(dir, "torch_llama.py"), torchScript, 0o600),
	)
}

func runTorch(ctx context.Context, python, dir string, threads int) (*torch, error) {
	cmd := exec.CommandContext(ctx, python, filepath.Join(dir, "torch_llama.py"), dir)
	n := strconv.Itoa(threads)
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS="+n, "OPENBLAS_NUM_THREADS="+n, "MKL_NUM_THREADS="+n)
	cmd.WaitDelay = 10 * time.Second
	t := &torch{cmd: cmd, stderr: &bytes.Buffer{}, dir: dir}
	cmd.Stderr = t.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.in, t.out = in, bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, &missingError{"PyTorch", []string{err.Error()}}
	}
	var hello struct {
		Missing string `json:"missing"`
		Name    string `json:"name"`
		Threads int    `json:"threads"`
	}
	if err := t.read(&hello); err != nil {
		return nil, errors.Join(err, t.stop())
	}
	if hello.Missing != "" {
		return nil, errors.Join(&missingError{"PyTorch", []string{fmt.Sprintf("%s: %s", python, hello.Missing)}}, t.stop())
	}
	t.name, t.threads = hello.Name, hello.Threads
	return t, nil
}

// steps trains n steps and gives their times and losses.
func (t *torch) steps(n int) (seconds, losses []float64, err error) {
	if _, err := fmt.Fprintln(t.in, n); err != nil {
		return nil, nil, fmt.Errorf("PyTorch's script: %w", err)
	}
	var turn struct {
		Seconds []float64 `json:"seconds"`
		Losses  []float64 `json:"losses"`
	}
	if err := t.read(&turn); err != nil {
		return nil, nil, err
	}
	if len(turn.Seconds) != n || len(turn.Losses) != n {
		return nil, nil, fmt.Errorf("PyTorch's script: %d times and %d losses for %d steps", len(turn.Seconds), len(turn.Losses), n)
	}
	return turn.Seconds, turn.Losses, nil
}

func (t *torch) read(v any) error {
	line, err := t.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, v)
	}
	if err != nil {
		return fmt.Errorf("PyTorch's script: %w: %q", err, line)
	}
	return nil
}

// stop ends the process, which does so by itself when its input ends.
func (t *torch) stop() error {
	err := t.in.Close()
	if e := t.cmd.Wait(); e != nil {
		err = errors.Join(err, fmt.Errorf("PyTorch's script: %w: %s", e, t.stderr))
	}
	return err
}

func (t *torch) close() error { return errors.Join(t.stop(), os.RemoveAll(t.dir)) }
