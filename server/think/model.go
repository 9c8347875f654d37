// Package think answers queries behind a gate: a model judges each, what it allows is answered by the model's final section
// alone, and what a person must decide waits for one. The audit log has every judgement before anything of it leaves.
//
// The model and the filter run in a process of their own (Main), so that no thinking is ever in the server's memory: what
// crosses the border is the judgement, the final's text, and the sections' keyed hashes. What that process prints goes
// nowhere.
package think

import (
	"context"

	"triality/experiments/config"
)

// Arg is the program's only argument when it is started as a model's process.
const Arg = "triality-think-worker"

// Order says which model a process loads, and how.
type Order struct {
	Name      string // as people know it
	Dir       string // folder in Hugging Face form
	Format    string // of prompts; empty: the model's chat template where it has one, else instruction
	MaxLength int    // tokens of a prompt
	MaxNew    int    // tokens of a text at most
	Device    string
	Numbers   config.Numbers
	Root      string // the folder that the process keeps to; empty: none
	Memory    int64  // the most bytes that it may hold; 0: not known
	// Instruction is that of judging; empty: the sample data's, in the query's language.
	Instruction string
}

// Model judges queries and writes texts. One goroutine at a time uses it.
type Model interface {
	Judge(ctx context.Context, query string) (Judgement, error)
	// Write writes a text; emit gets it in pieces, thinking and all. It ends soon after ctx does.
	Write(ctx context.Context, query string, d Drawing, emit func(piece string)) error
	// Hash is the SHA-256 of the model's files.
	Hash() string
	Close() error
}

// Judgement is what a model says of a query.
type Judgement struct {
	Verdict string             `json:"verdict"`         // one of experiments.Labels
	Scores  map[string]float64 `json:"scores"`          // probability of each
	Heads   *Heads             `json:"heads,omitempty"` // of an SO8T model; they are shown and decide nothing
}

// Heads are the probabilities of an SO8T model's two heads.
type Heads struct {
	Safety    [2]float64 `json:"safety"`    // safe, unsafe
	Authority [2]float64 `json:"authority"` // handle, escalate
	Verdict   string     `json:"verdict"`   // of their product
}

// Drawing is how a text's tokens are chosen.
type Drawing struct {
	MaxNew      int     `json:"max_new"`
	Temperature float64 `json:"temperature"`
	TopP        float64 `json:"top_p"`
	Seed        uint64  `json:"seed"`
}
