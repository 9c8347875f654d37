package transfer

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/objects"
)

// damage changes the first stretch of bytes of a message, 100 bytes or more of it.
func damage(message []byte, change func([]byte) []byte) ([]byte, bool) {
	n := 4 + int(binary.LittleEndian.Uint32(message))
	if len(message)-n < 100 {
		return message, false
	}
	return append(append([]byte(nil), message[:n]...), change(message[n:])...), true
}

var damages = map[string]func([]byte) []byte{
	"a flipped byte": func(b []byte) []byte { b = append([]byte(nil), b...); b[7] ^= 1; return b },
	"a short read":   func(b []byte) []byte { return b[:len(b)-1] },
	"too much":       func(b []byte) []byte { return append(append([]byte(nil), b...), 'x') },
	"nothing":        func(b []byte) []byte { return nil },
}

func TestAFileThatArrivesBrokenIsRefused(t *testing.T) {
	for name, change := range damages {
		for _, times := range []int{1, 1000} {
			dir := t.TempDir()
			plainProject(t, dir)
			s, w := newServer(t, dir), newWorker(t)
			if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: plain, Dir: dir}); err != nil {
				t.Fatal(err)
			}
			left := times
			c := &wire{server: s, run: "run1", attempt: 1}
			skip := true // the description
			c.after = func(method string, args, reply []byte) ([]byte, error) {
				if method == methodRead {
					if skip {
						skip = false
					} else if changed, ok := damage(reply, change); ok && left > 0 {
						left--
						return changed, nil
					}
				}
				return reply, nil
			}
			p, err := w.Stage(t.Context(), c, "run1", nil)
			switch {
			case times == 1 && name == "a flipped byte":
				if err != nil || read(t, filepath.Join(p.Dir, "model", "model.safetensors")) != read(t, filepath.Join(dir, "model", "model.safetensors")) {
					t.Errorf("%s once: %v", name, err)
				}
			case experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), ": "):
				t.Errorf("%s: %v", name, err)
			default:
				t.Logf("%s: %v", name, err)
			}
		}
	}
}

func TestAResultThatArrivesBrokenIsRefused(t *testing.T) {
	for name, change := range damages {
		for _, times := range []int{1, 1000} {
			b := begin(t)
			finish(t, b.place.Dir, "finetune", 2, map[string]string{"merged/model.safetensors": checkpointText(9)})
			left := times
			c := broken{wire: b.wire, change: func(method string, body []byte) []byte {
				if changed, ok := damage(body, change); ok && method == methodWrite && left > 0 {
					left--
					return changed
				}
				return body
			}}
			b.place.link.caller = c
			err := b.place.Finish(t.Context())
			switch {
			case times == 1 && name == "a flipped byte":
				if err != nil || read(t, filepath.Join(folder(b.dir, "finetune", 2), "merged", "model.safetensors")) != checkpointText(9) {
					t.Errorf("%s once: %v", name, err)
				}
			case experiments.CodeOf(err) != experiments.CodeInvalid:
				t.Errorf("%s: %v", name, err)
			default:
				t.Logf("%s: %v", name, err)
				if _, err := os.Stat(folder(b.dir, "finetune", 2)); err == nil {
					t.Errorf("%s: it is in place", name)
				}
			}
		}
	}
}

// broken is a wire that changes what is sent.
type broken struct {
	*wire
	change func(method string, body []byte) []byte
}

func (b broken) Call(ctx context.Context, method string, args, reply any) error {
	body, err := Marshal(args)
	if err != nil {
		return err
	}
	b.mu.Lock()
	body = b.change(method, body)
	b.mu.Unlock()
	answer, err := b.server.Serve(ctx, b.run, b.attempt, method, body)
	if err != nil {
		return experiments.Errorf(experiments.CodeOf(err), "%s", err.Error())
	}
	return Unmarshal(answer, reply)
}

func TestAJobGetsItsOwnFilesAlone(t *testing.T) {
	b := begin(t)
	secret := filepath.Join(b.dir, "secret.jsonl")
	write(t, secret, rows(6))
	other := strings.Replace(plain, "rows.jsonl", "secret.jsonl", 1)
	if err := b.server.Begin(t.Context(), Job{Run: "run2", Attempt: 1, Config: other, Dir: b.dir}); err != nil {
		t.Fatal(err)
	}
	id := objects.Of([]byte(read(t, secret)))
	ask := func(run string) error {
		var reply readReply
		return (&wire{server: b.server, run: run, attempt: 1}).Call(t.Context(), methodRead, readArgs{[]piece{{id, 0, 10}}}, &reply)
	}
	if err := ask("run2"); err != nil {
		t.Errorf("its own: %v", err)
	}
	if err := ask("run1"); experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("another's: %v", err)
	}
	// Nor by naming it as a result of its own.
	two := &wire{server: b.server, run: "run2", attempt: 1}
	var have haveReply
	if err := two.Call(t.Context(), methodWrite, &writeArgs{Pieces: []piece{{id, 0, int(id.Size)}}, Data: []byte(rows(6))}, &have); err != nil || have.At[0] != whole {
		t.Fatal(err, have)
	}
	if err := b.wire.Call(t.Context(), methodHave, haveArgs{[]objects.ID{id}}, &have); err != nil || have.At[0] != 0 {
		t.Errorf("run1 has %v of run2's bytes, %v", have.At, err)
	}
	if err := commitFiles(t, b, 1, File{Path: "work/convert/" + key(1)[:12] + "/step.json", ID: id}); err == nil {
		t.Error("a commit of another's bytes")
	}
}

// commitFiles puts a manifest and commits it.
func commitFiles(t testing.TB, b *begun, seq int, files ...File) error {
	t.Helper()
	text, err := json.Marshal(Manifest{Name: "run1", Files: files})
	if err != nil {
		t.Fatal(err)
	}
	return commitText(t, b, seq, text)
}

func commitText(t testing.TB, b *begun, seq int, text []byte) error {
	t.Helper()
	l := link{caller: b.wire, log: b.worker.log}
	o := bytesOut("manifest", text)
	if _, err := l.send(t.Context(), []outgoing{o}); err != nil {
		t.Fatal(err)
	}
	return b.wire.Call(t.Context(), methodCommit, commitArgs{Seq: seq, Manifest: o.id}, &none{})
}

func TestResultsLieInStepsFoldersAlone(t *testing.T) {
	b := begin(t)
	o := bytesOut("x", []byte("x"))
	if _, err := b.place.link.send(t.Context(), []outgoing{o}); err != nil {
		t.Fatal(err)
	}
	unit := "work/finetune/" + key(2)[:12]
	for i, path := range []string{
		"../x", "/etc/x", "work/../../x", "x", "work/x", "work/finetune/x", "rows.jsonl", "model/config.json", "work/finetune/ABCDEF012345/x/y",
		unit + "/adapter/x", unit + "/checkpoints/../../x", unit + "//x", unit + `/checkpoints/..\..\x`, "work/.hidden/" + key(2)[:12] + "/checkpoints/x",
		"work2/finetune/" + key(2)[:12] + "/checkpoints/x", strings.Repeat("work/", 300) + "x", "", unit + "/checkpoints/\x00",
	} {
		if err := commitFiles(t, b, i+1, File{Path: path, ID: o.id, Mode: 0o644}); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%q: %v", path, err)
		}
	}
	good := File{Path: unit + "/checkpoints/checkpoint-1.ckpt", ID: o.id, Mode: 0o644}
	for name, files := range map[string][]File{
		"twice":           {good, good},
		"another case":    {good, {Path: unit + "/checkpoints/CHECKPOINT-1.ckpt", ID: o.id}},
		"another form":    {{Path: unit + "/checkpoints/\u00e4", ID: o.id}, {Path: unit + "/checkpoints/a\u0308", ID: o.id}},
		"file and folder": {good, {Path: good.Path + "/x", ID: o.id}},
		"folders' case":   {{Path: unit + "/checkpoints/a/x", ID: o.id}, {Path: unit + "/checkpoints/A/y", ID: o.id}},
		"mode":            {{Path: good.Path, ID: o.id, Mode: 0o4755}},
		"other size":      {{Path: good.Path, ID: objects.ID{SHA256: o.id.SHA256, Size: 2}}},
		"never sent":      {{Path: good.Path, ID: objects.Of([]byte("never"))}},
		"a wrong marker":  {{Path: unit + "/step.json", ID: o.id}},
		"no hash":         {{Path: good.Path, ID: objects.ID{SHA256: "../../x", Size: 1}}},
	} {
		if err := commitFiles(t, b, 50, files...); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{"no JSON": "{", "more": `{"name":"run1","files":[]}x`, "unknown": `{"name":"run1","more":1}`, "another run's": `{"name":"run2"}`, "null": "null"} {
		if err := commitText(t, b, 60, []byte(text)); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(b.dir, "work")); err == nil {
		t.Error("something was written")
	}
	if err := commitFiles(t, b, 70, good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestResultsAreNotWrittenThroughLinks(t *testing.T) {
	b := begin(t)
	away := t.TempDir()
	if err := os.MkdirAll(filepath.Join(b.dir, "work"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(away, filepath.Join(b.dir, "work", "convert")); err != nil {
		t.Skip("no links here: ", err)
	}
	finish(t, b.place.Dir, "convert", 1, map[string]string{"a": "a"})
	if err := b.place.Finish(t.Context()); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("%v", err)
	}
	if left, _ := os.ReadDir(away); len(left) > 0 {
		t.Errorf("written through a link: %v", left)
	}
}

func TestAnEarlierAttemptChangesNothing(t *testing.T) {
	b := begin(t)
	old, oldWire := b.place, b.wire
	checkpoint(t, old.Dir, "finetune", 2, 1)
	if err := old.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.worker = newWorker(t)
	b.attempt(t, 2)
	if got := read(t, filepath.Join(folder(b.place.Dir, "finetune", 2), "checkpoints", "checkpoint-1.ckpt")); got != checkpointText(1) {
		t.Error("the next attempt has not the newest checkpoint")
	}
	checkpoint(t, old.Dir, "finetune", 2, 2)
	finish(t, old.Dir, "finetune", 2, map[string]string{"merged/a": "late"})
	watched := make(chan error, 1)
	go func() { watched <- old.Watch(t.Context(), time.Millisecond) }()
	for name, err := range map[string]error{"finish": old.Finish(t.Context()), "watch": <-watched} {
		if experiments.CodeOf(err) != experiments.CodeConflict || !strings.Contains(err.Error(), "attempt 2 has taken over") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(folder(b.dir, "finetune", 2), "step.json")); err == nil {
		t.Error("the late result is in place")
	}
	if err := b.server.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: plain, Dir: b.dir}); experiments.CodeOf(err) != experiments.CodeConflict {
		t.Errorf("the first attempt begins again: %v", err)
	}
	again := newServer(t, b.dir) // it remembers
	if err := again.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: plain, Dir: b.dir}); experiments.CodeOf(err) != experiments.CodeConflict {
		t.Errorf("the first attempt begins again after a restart: %v", err)
	}
	if err := b.place.Finish(t.Context()); err != nil {
		t.Errorf("the second attempt: %v", err)
	}
	b.server.End("run1", 2)
	if err := b.place.link.call(t.Context(), methodHave, haveArgs{}, &haveReply{}); experiments.CodeOf(err) != experiments.CodeConflict {
		t.Errorf("after its end: %v", err)
	}
	if err := (link{caller: oldWire}).call(t.Context(), methodDescribe, none{}, &described{}); experiments.CodeOf(err) != experiments.CodeConflict {
		t.Errorf("the first attempt after the end: %v", err)
	}
}

func TestMessagesThatAreNoneAreRefused(t *testing.T) {
	b := begin(t)
	id := objects.Of([]byte("x"))
	good, err := Marshal(readArgs{[]piece{{id, 0, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	huge := []piece{}
	for range maxPieces + 1 {
		huge = append(huge, piece{id, 0, 1})
	}
	encoded := func(v any) []byte {
		text, err := Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, m := range map[string]struct {
		method string
		args   []byte
	}{
		"empty": {methodRead, nil}, "short": {methodRead, good[:3]}, "cut": {methodRead, good[:len(good)-1]}, "a tail": {methodRead, append(good[:len(good):len(good)], 'x')},
		"too long": {methodRead, make([]byte, MaxMessage+1)}, "no such method": {"reset", good}, "before the start": {methodRead, encoded(readArgs{[]piece{{id, -1, 1}}})},
		"past the end": {methodRead, encoded(readArgs{[]piece{{id, 1, 1}}})}, "overflow": {methodRead, encoded(readArgs{[]piece{{id, 1<<63 - 1, 1}}})},
		"negative": {methodRead, encoded(readArgs{[]piece{{id, 0, -1}}})}, "many": {methodRead, encoded(readArgs{huge})}, "too much": {methodRead, encoded(readArgs{[]piece{{objects.ID{SHA256: id.SHA256, Size: 1 << 40}, 0, maxPayload + 1}}})},
		"many names": {methodHave, encoded(haveArgs{make([]objects.ID, maxPieces+1)})}, "no name": {methodHave, encoded(haveArgs{make([]objects.ID, 1)})},
		"pieces without bytes": {methodWrite, encoded(&writeArgs{Pieces: []piece{{id, 0, 1}}})}, "bytes without pieces": {methodWrite, encoded(&writeArgs{Data: []byte("x")})},
	} {
		_, err := b.server.Serve(t.Context(), "run1", 1, m.method, m.args)
		if code := experiments.CodeOf(err); code != experiments.CodeInvalid && code != experiments.CodeTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.server.Serve(t.Context(), fmt.Sprintf("%0100d", 1), 1, methodDescribe, nil); experiments.CodeOf(err) != experiments.CodeConflict {
		t.Errorf("no such run: %v", err)
	}
}
