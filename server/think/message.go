package think

import "triality/experiments"

// ask is what the server sends a model's process, one JSON value each: the one that is set.
type ask struct {
	Load   *load     `json:"load,omitempty"`
	Judge  *judgeAsk `json:"judge,omitempty"`
	Write  *writeAsk `json:"write,omitempty"`
	Cancel bool      `json:"cancel,omitempty"`
}

type load struct {
	Order Order  `json:"order"`
	Key   []byte `json:"key"` // of the sections' hashes
}

type judgeAsk struct {
	Query string `json:"query"`
}

type writeAsk struct {
	Query   string  `json:"query"`
	Drawing Drawing `json:"drawing"`
	Stream  bool    `json:"stream"` // else the final comes whole with the end, where it is well-formed
}

// reply is what the process sends: texts of a final, or one of the others, which ends what was asked.
type reply struct {
	Text   string     `json:"text,omitempty"`
	Loaded string     `json:"loaded,omitempty"` // the model's hash
	Judged *Judgement `json:"judged,omitempty"`
	End    *end       `json:"end,omitempty"`
	Failed *failure   `json:"failed,omitempty"`
}

// Outcomes of an answer.
const (
	Answered  = "answered"
	Withheld  = "withheld"  // the model's text is not well-formed: see package thinking
	Cancelled = "cancelled" // whoever asked is gone
	Failed    = "failed"
	Refused   = "refused" // the verdict is DENY or REFUSE
	Waits     = "waits"   // the verdict is ESCALATION: a person decides
)

// end is the end of a text.
type end struct {
	Outcome  string            `json:"outcome"`
	Reason   string            `json:"reason,omitempty"`
	Message  string            `json:"message,omitempty"`
	Sections map[string]string `json:"sections,omitempty"`
	Text     string            `json:"text,omitempty"` // the final, where it was not streamed
}

// failure is an error before anything is generated. Of one after that only that it was is said.
type failure struct {
	Code    experiments.Code `json:"code"`
	Message string           `json:"message"`
}

func failureOf(what string, err error) *failure {
	switch code := experiments.CodeOf(err); code {
	case experiments.CodeInternal: // its words are those of who knows what
		return &failure{code, what + ": the model failed"}
	default:
		return &failure{code, err.Error()}
	}
}

func (f *failure) err() error { return experiments.Errorf(f.Code, "%s", f.Message) }
