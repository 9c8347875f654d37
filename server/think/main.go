package think

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"triality/experiments"
	"triality/experiments/thinking"
)

// Open loads a model.
type Open func(Order) (Model, error)

// Main is the whole program of a model's process; it gives the exit status. stdin and stdout lead to the server. It ends when
// stdin does.
func Main(stdin io.Reader, stdout io.Writer, open Open) int {
	w := &worker{out: json.NewEncoder(stdout), open: open, asked: make(chan ask), cancels: make(chan struct{}, 1)}
	ctx, gone := context.WithCancel(context.Background())
	go w.listen(ctx, json.NewDecoder(stdin), gone)
	for {
		select {
		case <-ctx.Done():
			return w.leave()
		case a := <-w.asked:
			if err := w.answer(ctx, a); err != nil {
				return 1
			}
		}
	}
}

type worker struct {
	out     *json.Encoder
	open    Open
	model   Model
	key     []byte
	asked   chan ask
	cancels chan struct{}
}

func (w *worker) leave() int {
	if w.model != nil && w.model.Close() != nil {
		return 1
	}
	return 0
}

func (w *worker) listen(ctx context.Context, in *json.Decoder, gone func()) {
	defer gone()
	for {
		var a ask
		if in.Decode(&a) != nil {
			return
		}
		if a.Cancel {
			select {
			case w.cancels <- struct{}{}:
			default:
			}
			continue
		}
		select {
		case w.asked <- a:
		case <-ctx.Done():
			return
		}
	}
}

// answer does what was asked and sends one reply that ends it. A panic's words may be those of a text: they are dropped here,
// and the process, whose state nobody knows, ends.
func (w *worker) answer(ctx context.Context, a ask) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.Join(errors.New("panic"), w.out.Encode(reply{Failed: &failure{experiments.CodeInternal, "the model's process panicked"}}))
		}
	}()
	select { // of what was asked before
	case <-w.cancels:
	default:
	}
	ctx, cancel := context.WithCancel(ctx)
	listens := make(chan struct{})
	defer func() {
		cancel()
		<-listens // it would take the next one's
	}()
	go func() {
		defer close(listens)
		select {
		case <-w.cancels:
			cancel()
		case <-ctx.Done():
		}
	}()
	switch {
	case a.Load != nil:
		return w.out.Encode(w.load(*a.Load))
	case w.model == nil:
		return w.out.Encode(reply{Failed: &failure{experiments.CodeInternal, "no model is loaded"}})
	case a.Judge != nil:
		got, err := w.model.Judge(ctx, a.Judge.Query)
		if err != nil {
			return w.out.Encode(reply{Failed: failureOf("judging", err)})
		}
		return w.out.Encode(reply{Judged: &got})
	case a.Write != nil:
		return w.write(ctx, *a.Write)
	}
	return w.out.Encode(reply{Failed: &failure{experiments.CodeInternal, "nothing that is known was asked"}})
}

func (w *worker) load(l load) reply {
	m, err := w.open(l.Order)
	if err != nil {
		return reply{Failed: &failure{experiments.CodeOf(err), err.Error()}}
	}
	w.model, w.key = m, l.Key
	return reply{Loaded: m.Hash()}
}

// write lets out the final alone.
func (w *worker) write(ctx context.Context, a writeAsk) error {
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var whole strings.Builder
	var broken error // the server is gone
	f := thinking.New(a.Query, func(text string) {
		if a.Stream && broken == nil {
			broken = w.out.Encode(reply{Text: text})
		}
		whole.WriteString(text)
	})
	more := true
	failed := w.model.Write(writing, a.Query, a.Drawing, func(piece string) {
		if more = more && broken == nil && f.Write(piece); !more {
			stop()
		}
	})
	if broken != nil {
		return broken
	}
	e := end{Outcome: Answered}
	var malformed *thinking.Error
	switch err := f.Close(); {
	case ctx.Err() != nil:
		e.Outcome = Cancelled
	case more && failed != nil:
		e.Outcome, e.Reason, e.Message = Failed, "model", "the model failed while it wrote"
	case errors.As(err, &malformed):
		e.Outcome, e.Reason, e.Message = Withheld, string(malformed.Reason), malformed.Error()
	case !a.Stream:
		e.Text = whole.String()
	}
	e.Sections = f.Digests(w.key)
	return w.out.Encode(reply{End: &e})
}
