package config

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

const defaultCheckpointInterval = 5 * time.Minute

// Duration is a time.Duration written as in Go: 90s, 5m, 1h30m.
type Duration time.Duration

// UnmarshalYAML reads the text form.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v < 0 {
		return fmt.Errorf("want a duration such as 30s or 5m, have %q", n.Value)
	}
	*d = Duration(v)
	return nil
}

// MarshalYAML writes the text form.
func (d Duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

// String writes the text form.
func (d Duration) String() string { return time.Duration(d).String() }

// Duration is the value as Go's type.
func (d Duration) Duration() time.Duration { return time.Duration(d) }
