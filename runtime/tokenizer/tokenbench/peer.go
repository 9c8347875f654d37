package tokenbench

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
	"strings"
	"time"
)

//go:embed peer.mjs
var peerScript []byte

// peerPackage is the npm package of Hugging Face's tokenizers that npm installs where there is none.
const peerPackage = "tokenizers@0.23.2"

// missingError is why there is no peer.
type missingError struct{ reason string }

func (e *missingError) Error() string { return e.reason }

// peer is a running Node process that encodes the documents when asked to.
type peer struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *bytes.Buffer // to be read after the end
	dir    string
	name   string
}

func (o Options) startPeer(ctx context.Context) (_ *peer, err error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, &missingError{"the peer needs Node: " + err.Error()}
	}
	folder, err := filepath.Abs(o.Peer)
	if err != nil {
		return nil, err
	}
	if err := o.install(ctx, folder); err != nil {
		return nil, err
	}
	file, err := filepath.Abs(o.Tokenizer)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(file); err == nil && st.IsDir() {
		file = filepath.Join(file, "tokenizer.json")
	}
	dir, err := os.MkdirTemp("", "triality-bench-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	script := filepath.Join(dir, "peer.mjs")
	if err := errors.Join(os.WriteFile(script, peerScript, 0o600), writeDocuments(filepath.Join(dir, "documents.bin"), o.Documents)); err != nil {
		return nil, err
	}
	p := &peer{cmd: exec.CommandContext(ctx, node, script, folder, file, dir), stderr: &bytes.Buffer{}, dir: dir}
	p.cmd.Env = append(os.Environ(), "TOKENIZERS_PARALLELISM=false", "RAYON_NUM_THREADS=1", "UV_THREADPOOL_SIZE=1")
	p.cmd.WaitDelay = 10 * time.Second
	p.cmd.Stderr = p.stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	var hello struct {
		Name string `json:"name"`
	}
	if err := p.read(&hello); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.name = hello.Name
	return p, nil
}

// install puts the package into the folder where it is not there yet.
func (o Options) install(ctx context.Context, folder string) error {
	name, _, _ := strings.Cut(peerPackage, "@")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", name, "package.json")); err == nil {
		return nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return &missingError{fmt.Sprintf("%s has no npm package %s, and npm, which installs it, is missing: %v", folder, name, err)}
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	o.Progress(fmt.Sprintf("npm installs %s in %s", peerPackage, folder))
	cmd := exec.CommandContext(ctx, npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix", folder, peerPackage)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return &missingError{fmt.Sprintf("npm install %s: %v: %s", peerPackage, err, bytes.TrimSpace(out))}
	}
	return nil
}

// writeDocuments writes each document behind its length, 32 bits little-endian.
func writeDocuments(path string, docs []string) error {
	var b bytes.Buffer
	for _, d := range docs {
		b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(d))))
		b.WriteString(d)
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// time has the peer encode all documents once, "cold" with a tokenizer just loaded or "warm" with the
// last one again, and gives the seconds.
func (p *peer) time(turn string) (float64, error) {
	var answer struct {
		Seconds float64 `json:"seconds"`
	}
	if err := p.ask(turn, &answer); err != nil {
		return 0, err
	}
	return answer.Seconds, nil
}

// encode has the peer encode and decode n documents.
func (p *peer) encode(n int) ([]encoded, error) {
	var answer struct {
		File string `json:"file"`
	}
	if err := p.ask("ids", &answer); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(answer.File)
	if err != nil {
		return nil, err
	}
	r := &reader{b: raw}
	out := make([]encoded, n)
	for i := range out {
		out[i] = encoded{r.ids(), r.ids(), string(r.take(r.number()))}
	}
	if r.short || len(r.b) > 0 {
		return nil, fmt.Errorf("the peer's answer of %d bytes does not fit %d documents", len(raw), n)
	}
	return out, nil
}

// reader reads lengths and numbers of 32 bits, little-endian.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.short = true
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) number() int {
	v := r.take(4)
	if v == nil {
		return 0
	}
	return int(binary.LittleEndian.Uint32(v))
}

func (r *reader) ids() []int {
	n := r.number()
	raw := r.take(4 * n)
	ids := make([]int, len(raw)/4)
	for i := range ids {
		ids[i] = int(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return ids
}

func (p *peer) ask(command string, answer any) error {
	if _, err := fmt.Fprintln(p.in, command); err != nil {
		return fmt.Errorf("the peer: %w", err)
	}
	return p.read(answer)
}

func (p *peer) read(answer any) error {
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, answer)
	}
	if err != nil {
		return fmt.Errorf("the peer: %w: %q", err, line)
	}
	return nil
}

// stop ends the process, which does so by itself when its input ends.
func (p *peer) stop() error {
	err := p.in.Close()
	if e := p.cmd.Wait(); e != nil {
		err = errors.Join(err, fmt.Errorf("the peer: %w: %s", e, bytes.TrimSpace(p.stderr.Bytes())))
	}
	return err
}

func (p *peer) close() error { return errors.Join(p.stop(), os.RemoveAll(p.dir)) }
