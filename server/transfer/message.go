// Package transfer brings a job's files to a worker on another machine and its results back.
//
// The server says what a job needs, file by file with path, hash and size; the worker fetches what it lacks into a cache
// by hash and lays it out in the job's folder as it lies on the server. While the job runs, the worker sends finished
// steps and checkpoints as they appear: unknown bytes first, then a manifest that says which files they are. The server
// puts each commit in place at once, a step's folder whole or not at all, so that whoever goes on with the run, on
// whatever machine, begins at the newest commit.
//
// Messages are small enough for NATS; who carries them is a Caller on the worker's side and Server.Serve on the other.
package transfer

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"triality/experiments"
	"triality/server/objects"
)

// MaxMessage is the most bytes of a call's arguments or of its answer, encoded.
const MaxMessage = 512 << 10

// Bounds of one message's content.
const (
	maxPayload = 256 << 10 // bytes of files
	maxPieces  = 1000      // of files, or names of objects
	inFlight   = 16        // messages under way: 4 MB, which fills a link of 80 MB/s with 50 ms to the server and back
)

// Caller carries calls to the server. It is called from several goroutines at once. An error with a code of package
// experiments other than CodeUnavailable is the server's answer; any other is the link's, and the call is made again.
type Caller interface {
	Call(ctx context.Context, method string, args, reply any) error
}

// Methods that the worker calls.
const (
	methodDescribe = "describe" // none → described
	methodRead     = "read"     // readArgs → readReply
	methodHave     = "have"     // haveArgs → haveReply
	methodWrite    = "write"    // writeArgs → haveReply
	methodCommit   = "commit"   // commitArgs → none
)

type none struct{}

// described names the job's description.
type described struct {
	ID  objects.ID
	Seq int // of the attempt's newest commit
}

// piece is a stretch of an object.
type piece struct {
	objects.ID
	Offset int64 `json:"offset"`
	Length int   `json:"length"`
}

// readArgs asks for stretches of objects, one after the other.
type readArgs struct{ Pieces []piece }

// readReply is their bytes.
type readReply struct {
	Data []byte `json:"-"`
}

// writeArgs are stretches of objects with their bytes.
type writeArgs struct {
	Pieces []piece
	Data   []byte `json:"-"`
}

// haveArgs asks for what is there of objects.
type haveArgs struct{ IDs []objects.ID }

// whole in a haveReply says that an object is there.
const whole = -1

// haveReply says for each object how many bytes of it are there, or whole.
type haveReply struct {
	At      []int64
	Refused []string // of a write: why an object was refused, empty where it was not
}

// commitArgs say that the run's results are those of a manifest that was written before.
type commitArgs struct {
	Seq      int
	Last     bool // nothing comes after it
	Manifest objects.ID
}

// tailed is a message with bytes behind its JSON.
type tailed interface{ tail() *[]byte }

func (r *readReply) tail() *[]byte { return &r.Data }
func (a *writeArgs) tail() *[]byte { return &a.Data }

// Marshal encodes a call's arguments or its answer: the length of the JSON in four bytes, the JSON, and the bytes of
// files as they are.
func Marshal(v any) ([]byte, error) {
	head, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	out := append(binary.LittleEndian.AppendUint32(nil, uint32(len(head))), head...)
	if t, ok := v.(tailed); ok {
		out = append(out, *t.tail()...)
	}
	if len(out) > MaxMessage {
		return nil, fmt.Errorf("encode message: it has %d bytes, at most %d", len(out), MaxMessage)
	}
	return out, nil
}

// Unmarshal decodes what Marshal encoded.
func Unmarshal(b []byte, v any) error {
	bad := func(format string, args ...any) error {
		return experiments.Errorf(experiments.CodeInvalid, "decode message: %w", fmt.Errorf(format, args...))
	}
	if len(b) < 4 || len(b) > MaxMessage {
		return bad("%d bytes", len(b))
	}
	n := binary.LittleEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return bad("it says %d bytes and has %d", n, len(b)-4)
	}
	head, rest := b[4:4+n], b[4+n:]
	if err := json.Unmarshal(head, v); err != nil {
		return bad("%w", err)
	}
	t, ok := v.(tailed)
	if !ok {
		if len(rest) > 0 {
			return bad("%d bytes follow its end", len(rest))
		}
		return nil
	}
	*t.tail() = rest
	return nil
}
