package cli

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments/pipeline"
	"triality/runtime/device/cuda"
)

// killsVariable sets how many times the training is killed, and seedVariable repeats the choices of a
// run that failed. The moments are measured in time, so a repetition kills nearby and not at the same
// instruction.
const (
	killsVariable = "TRIALITY_KILLS"
	seedVariable  = "TRIALITY_KILL_SEED"
)

func TestFinetuneKilledAtRandomMomentsEndsWithTheSameBytes(t *testing.T) {
	killAtRandom(t, "cpu", killCount(t, randomKills))
}

func TestFinetuneOnCUDAKilledAtRandomMomentsEndsWithTheSameBytes(t *testing.T) {
	dev, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Skip("needs an NVIDIA card: ", err)
	}
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	killAtRandom(t, "cuda", killCount(t, 10))
}

func killCount(t *testing.T, otherwise int) int {
	text := os.Getenv(killsVariable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is no number of kills", killsVariable, text)
	}
	return n
}

// killAtRandom trains with dropout, accumulation and packing once without a disturbance and then, again
// and again, with a SIGKILL at a random moment, and holds every training that reached its end to the
// bytes of the first. After every third kill, where there are two checkpoints, the newest is cut or one of
// its bits is turned, at least once.
func killAtRandom(t *testing.T, device string, kills int) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("%s=%d %s=%d", killsVariable, kills, seedVariable, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	epochs := killEpochs
	if kills >= 50 {
		epochs = 3 * killEpochs // forty-two steps
	}
	dir := killFolder(t, epochs)
	args := func(out string) []string {
		return []string{"finetune", "--device", device, "--base-model", "model", "--dataset", "c/dataset", "--config", "kill.yaml", "--output", out}
	}
	whole, killed := filepath.Join(dir, "whole"), filepath.Join(dir, "killed")
	began := time.Now()
	p := begin(t, dir, args("whole")...)
	p.waitUntil(t, func() bool { return newest(whole) > 0 })
	starting := time.Since(began)
	if err := p.wait(); err != nil {
		t.Fatalf("%v\n%s", err, p.out.String())
	}
	training := time.Since(began) - starting

	done, finished, damages, resumed := 0, 0, 0, map[int]bool{}
	damage := ""
	for done < kills || damages == 0 {
		p := begin(t, dir, args("killed")...)
		if damage != "" {
			p.waitFor(t, damage)
			damage = ""
		}
		// Every fourth while it starts; the others after a step of their own, since a card takes longer to
		// open than this training takes, and up to half of the training later, so that one is killed
		// several times over.
		within := starting
		if done%4 != 3 {
			step := newest(killed)
			p.waitUntil(t, func() bool { return newest(killed) > step })
			within = training / 2
		}
		if !p.kill(t, time.Duration(random.Int64N(int64(within)))) {
			finished++
			sameTraining(t, whole, killed)
			if err := os.RemoveAll(killed); err != nil {
				t.Fatal(err)
			}
			continue
		}
		done++
		resumed[newest(killed)] = true
		if files, _ := filepath.Glob(filepath.Join(killed, "checkpoints", "checkpoint-*.ckpt")); (done%3 == 0 || done >= kills) && len(files) > 1 {
			damage = harm(t, random, filepath.Join(killed, "checkpoints", fmt.Sprintf("checkpoint-%d.ckpt", newest(killed))))
			damages++
		}
		if t.Failed() {
			return
		}
	}
	p = begin(t, dir, args("killed")...)
	if damage != "" {
		p.waitFor(t, damage)
	}
	if err := p.wait(); err != nil {
		t.Fatalf("%v\n%s", err, p.out.String())
	}
	finished++
	sameTraining(t, whole, killed)
	t.Logf("%d kills at %d different steps of %d, %d damaged checkpoints passed over; %d trainings reached their end, each with the bytes of the one that was never killed (%v to start, %v to train)",
		done, len(resumed), newest(whole), damages, finished, starting.Round(time.Millisecond), training.Round(time.Millisecond))
}

// killFolder has rows, a small model, a converted dataset and the configuration.
func killFolder(t *testing.T, epochs int) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"rows.jsonl": rows(64), "kill.yaml": fmt.Sprintf(killYAML, epochs)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := pipeline.InitModel(filepath.Join(dir, "model"), "llama", "micro", 320, []string{rows(64)}, 1); err != nil {
		t.Fatal(err)
	}
	mustRun(t, dir, "convert", "--input", "rows.jsonl", "--base-model", "model", "--max-length", "96", "--output", "c")
	return dir
}

// harm cuts a file or turns one bit in it, and says what its reader must then say.
func harm(t *testing.T, random *rand.Rand, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if random.IntN(2) == 0 {
		b = b[:random.IntN(len(b))]
	} else {
		b[random.IntN(len(b))] ^= 1 << random.IntN(8)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Base(path) + " is damaged"
}

// sameTraining compares what two trainings left: adapter, merged model, and in the last checkpoint the
// weights, the optimizer's state and the metrics.
func sameTraining(t *testing.T, whole, killed string) {
	t.Helper()
	for _, name := range []string{"adapter/adapter_model.safetensors", "adapter/adapter_config.json", "merged/model.safetensors", "merged/tokenizer.json"} {
		a, errA := os.ReadFile(filepath.Join(whole, name))
		b, errB := os.ReadFile(filepath.Join(killed, name))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs from that of a run that was never killed (%v, %v)", name, errA, errB)
		}
	}
	file := fmt.Sprintf("checkpoints/checkpoint-%d.ckpt", newest(whole))
	headA, tensorsA := readCheckpoint(t, filepath.Join(whole, file))
	headB, tensorsB := readCheckpoint(t, filepath.Join(killed, file))
	if !bytes.Equal(tensorsA, tensorsB) {
		t.Error("weights and optimizer state differ from those of a run that was never killed")
	}
	if !reflect.DeepEqual(headA, headB) {
		t.Errorf("the history differs:\n%v\n%v", headA, headB)
	}
	for _, pattern := range []string{filepath.Join("*", ".*"), "*.tmp"} {
		if left, _ := filepath.Glob(filepath.Join(killed, pattern)); len(left) > 0 {
			t.Errorf("left half written: %v", left)
		}
	}
}

// process is the program as a child whose output can be read while it runs.
type process struct {
	cmd   *exec.Cmd
	out   *lockedBuffer
	ended chan struct{}
	err   error // after ended
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func begin(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{cmd: triality(t, dir, args...), out: &lockedBuffer{}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p
}

func (p *process) wait() error {
	<-p.ended
	return p.err
}

// waitUntil returns when the condition holds or the process has ended.
func (p *process) waitUntil(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(200 * time.Microsecond) {
		select {
		case <-p.ended:
			return
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("what is waited for never came:\n%s", p.out.String())
		}
	}
}

// waitFor waits until the process has said the text.
func (p *process) waitFor(t *testing.T, text string) {
	t.Helper()
	said := func() bool { return strings.Contains(p.out.String(), text) }
	if p.waitUntil(t, said); !said() {
		t.Fatalf("it never said %q:\n%s", text, p.out.String())
	}
}

// kill ends the process after the delay with the signal that no program can catch; false means that it
// had ended well by itself before.
func (p *process) kill(t *testing.T, after time.Duration) bool {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(after):
		if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		<-p.ended
	}
	if p.err == nil {
		return false
	}
	if runtime.GOOS != "windows" && p.cmd.ProcessState.ExitCode() > 0 { // a failure of its own, not the signal's -1
		t.Fatalf("%v\n%s", p.err, p.out.String())
	}
	return true
}
