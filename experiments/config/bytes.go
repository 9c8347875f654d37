package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bytes is an amount of memory, written as a number with KiB, MiB, GiB, KB, MB or GB.
type Bytes int64

// byteUnits are tried in order: GiB before B.
var byteUnits = []struct {
	name string
	size float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"", 1}}

// UnmarshalYAML reads the text form.
func (b *Bytes) UnmarshalYAML(n *yaml.Node) error { return b.Parse(n.Value) }

// Parse reads the text form; empty is 0.
func (b *Bytes) Parse(s string) error {
	if s == "" {
		*b = 0
		return nil
	}
	for _, u := range byteUnits {
		text, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || !(v >= 0 && v*u.size < math.MaxInt64) {
			break
		}
		*b = Bytes(v * u.size)
		return nil
	}
	return fmt.Errorf("want an amount of memory such as 11GiB, have %q", s)
}

// MarshalYAML writes the text form.
func (b Bytes) MarshalYAML() (any, error) { return b.String(), nil }

// String writes the text form, exactly.
func (b Bytes) String() string {
	for _, u := range []int{2, 1, 0} {
		if size := Bytes(byteUnits[u].size); b > 0 && b%size == 0 {
			return fmt.Sprintf("%d%s", b/size, byteUnits[u].name)
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
