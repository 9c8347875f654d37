package graph

import (
	"regexp"

	"go.yaml.in/yaml/v3"
)

// SeriesRef is a field of a body that names metric points which another step logs: "${step.metrics.SERIES}".
type SeriesRef struct {
	text string
	line int
}

var seriesForm = regexp.MustCompile(`^\$\{([^{}.]+)\.metrics\.([^{}]+)\}$`)

// Reference splits the text; ok is false where it has another form.
func (s SeriesRef) Reference() (step, series string, ok bool) {
	if m := seriesForm.FindStringSubmatch(s.text); m != nil {
		return m[1], m[2], true
	}
	return "", "", false
}

// Line is where the field stands; 0: unknown.
func (s SeriesRef) Line() int { return s.line }

// String is the text.
func (s SeriesRef) String() string { return s.text }

// UnmarshalYAML reads a text.
func (s *SeriesRef) UnmarshalYAML(n *yaml.Node) error {
	s.line = n.Line
	return n.Decode(&s.text)
}

// MarshalYAML writes the text.
func (s SeriesRef) MarshalYAML() (any, error) { return s.text, nil }
