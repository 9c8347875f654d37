package store

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"triality/experiments"
	"triality/server/search"
)

// indexed are the parts of a run's record that the index has.
type indexed struct {
	experiments.Run
	Steps  skipped `json:"steps"`
	Config skipped `json:"config"`
	Job    skipped `json:"job"`
}

// skipped is a part that is not read.
type skipped struct{}

func (skipped) UnmarshalJSON([]byte) error { return nil }

// readRecord reads what searches know of a run. A record is read here as this program writes them, which is several
// times as fast as by reflection and into maps; one that is written otherwise is left to encoding/json.
func readRecord(raw []byte) (search.Record, error) {
	s := scanner{text: string(raw)} // bbolt's bytes go with the transaction
	if r, ok := s.run(); ok {
		return r, nil
	}
	var in indexed
	if err := json.Unmarshal(raw, &in); err != nil {
		return search.Record{}, err
	}
	return search.RecordOf(&in.Run), nil
}

// scanner reads JSON without spaces between its parts. Once something is not as expected, it has failed.
type scanner struct {
	text   string
	at     int
	failed bool
}

func (s *scanner) run() (search.Record, bool) {
	var f search.Fields
	var params, tags []search.Pair
	var numbers []search.Number
	s.object(func(key string) {
		switch key {
		case "id":
			f.ID = s.string()
		case "experiment_id":
			f.Experiment = s.string()
		case "parent_id":
			f.Parent = s.string()
		case "name":
			f.Name = s.string()
		case "status":
			f.Status = experiments.Status(s.string())
		case "created_at":
			f.Created = s.time()
		case "started_at":
			f.Started = s.time()
		case "ended_at":
			f.Ended = s.time()
		case "archived_at":
			f.Archived = !s.time().IsZero()
		case "error":
			f.Error = s.string()
		case "notes":
			f.Notes = s.string()
		case "params":
			params = make([]search.Pair, 0, 32)
			s.object(func(k string) { params = append(params, search.Pair{Key: k, Value: s.string()}) })
		case "tags":
			s.object(func(k string) { tags = append(tags, search.Pair{Key: k, Value: s.string()}) })
		case "summary":
			s.object(func(k string) { numbers = append(numbers, search.Number{Name: k, Value: s.number()}) })
		case "steps", "config", "job":
			s.skip()
		default:
			s.failed = true // encoding/json tells keys by their letters, not by case
		}
	})
	if s.failed || s.at != len(s.text) || repeated(params) || repeated(tags) {
		return search.Record{}, false
	}
	return search.NewRecord(f, params, tags, numbers), true
}

// repeated says that keys are not in order, as this program writes them: one may be there twice.
func repeated(pairs []search.Pair) bool {
	for i := 1; i < len(pairs); i++ {
		if pairs[i-1].Key >= pairs[i].Key {
			return true
		}
	}
	return false
}

// next takes a byte that must be c.
func (s *scanner) next(c byte) {
	if s.failed || s.at >= len(s.text) || s.text[s.at] != c {
		s.failed = true
		return
	}
	s.at++
}

func (s *scanner) peek(c byte) bool { return s.at < len(s.text) && s.text[s.at] == c }

// object calls value for each key, to take what the key has.
func (s *scanner) object(value func(key string)) {
	s.next('{')
	if s.peek('}') {
		s.at++
		return
	}
	for !s.failed {
		key := s.string()
		s.next(':')
		if s.failed {
			return
		}
		value(key)
		if s.peek('}') {
			s.at++
			return
		}
		s.next(',')
	}
}

// string takes a text. One with an escape is unquoted by encoding/json.
func (s *scanner) string() string {
	from := s.at
	s.next('"')
	for escaped := false; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '\\':
			escaped = true
			s.at++
		case c == '"':
			s.at++
			if !escaped {
				return s.text[from+1 : s.at-1]
			}
			var out string
			if err := json.Unmarshal([]byte(s.text[from:s.at]), &out); err != nil {
				s.failed = true
			}
			return out
		case c < ' ':
			s.failed = true
			return ""
		}
	}
	s.failed = true
	return ""
}

func (s *scanner) time() time.Time {
	var t time.Time
	if err := t.UnmarshalText([]byte(s.string())); err != nil {
		s.failed = true
	}
	return t
}

func (s *scanner) number() float64 {
	from := s.at
	for s.at < len(s.text) && strings.IndexByte("+-.0123456789eE", s.text[s.at]) >= 0 {
		s.at++
	}
	v, err := strconv.ParseFloat(s.text[from:s.at], 64)
	if err != nil {
		s.failed = true
	}
	return v
}

// skip takes a value of any kind.
func (s *scanner) skip() {
	for depth := 0; s.at < len(s.text) && !s.failed; {
		switch s.text[s.at] {
		case '"':
			s.string()
		case '{', '[':
			depth++
			s.at++
		case '}', ']':
			if depth == 0 {
				return
			}
			depth--
			s.at++
		case ',':
			if depth == 0 {
				return
			}
			s.at++
		default:
			s.at++
		}
	}
}
