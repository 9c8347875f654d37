package chat

import (
	"fmt"
	"slices"

	"triality/runtime/chat/jinja"
)

// Message is one turn of plain text.
type Message struct {
	Role    string // as a rule system, user or assistant
	Content string
}

// Messages are a conversation's turns.
type Messages struct{ list jinja.List }

// NewMessages are turns of plain text.
func NewMessages(turns ...Message) Messages { return Messages{}.With(turns...) }

// With is the conversation with further turns; m stays as it is.
func (m Messages) With(turns ...Message) Messages {
	out := Messages{slices.Clone(m.list)}
	for _, t := range turns {
		d := jinja.NewDict()
		d.Set("role", t.Role)
		d.Set("content", t.Content)
		out.list = append(out.list, d)
	}
	return out
}

// Len is the number of turns.
func (m Messages) Len() int { return len(m.list) }

// ParseMessages reads a JSON list of messages: objects with a role and what the template knows beside
// it (content, tool_calls, …).
func ParseMessages(raw []byte) (Messages, error) {
	v, err := jinja.FromJSON(raw)
	if err != nil {
		return Messages{}, fmt.Errorf("messages: %w", err)
	}
	list, ok := v.(jinja.List)
	if !ok {
		return Messages{}, fmt.Errorf(`messages: want a JSON list of objects, such as [{"role": "user", "content": "Hi"}]`)
	}
	for i, m := range list {
		d, ok := m.(*jinja.Dict)
		if !ok {
			return Messages{}, fmt.Errorf("messages[%d]: want an object with role and content", i)
		}
		role, _ := d.Get("role")
		if s, ok := role.(string); !ok || s == "" {
			return Messages{}, fmt.Errorf("messages[%d]: role is missing or no string", i)
		}
	}
	return Messages{list}, nil
}
