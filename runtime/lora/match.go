package lora

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// matchTime bounds a regular expression's search in a module's name: one that takes longer is a mistake.
const matchTime = 2 * time.Second

// matcher has a configuration's regular expressions, which are Python's.
type matcher struct {
	Config
	target, exclude *regexp2.Regexp // nil where there is none
	layers          []*regexp2.Regexp
	save            []*regexp2.Regexp
	ranks, alphas   []*regexp2.Regexp
}

func pattern(field, text, format string) (*regexp2.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	re, err := regexp2.Compile(fmt.Sprintf(format, text), regexp2.RE2) // which adds Python's (?P<name>)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is no regular expression: %w", field, text, err)
	}
	re.MatchTimeout = matchTime
	return re, nil
}

// compile parses the expressions.
func (c Config) compile() (*matcher, error) {
	m := &matcher{Config: c}
	var err error
	add := func(to *[]*regexp2.Regexp, field, text, format string) {
		re, e := pattern(field, text, format)
		if err == nil {
			err = e
		}
		*to = append(*to, re)
	}
	if m.target, err = pattern("lora_target_modules", c.TargetPattern, `\A(?:%s)\z`); err != nil {
		return nil, err
	}
	if m.exclude, err = pattern("lora_exclude_modules", c.ExcludePattern, `\A(?:%s)\z`); err != nil {
		return nil, err
	}
	for _, p := range c.LayersPattern {
		add(&m.layers, "lora_layers_pattern", p, `\A.*?\.%s\.(\d+)\.`)
	}
	if len(c.LayersPattern) == 0 {
		add(&m.layers, "lora_layers_pattern", `[^.]*`, `\A.*?\.%s\.(\d+)\.`)
	}
	for _, s := range c.SaveModules {
		add(&m.save, "lora_modules_to_save", s, `\A(^|.*\.)%s($|\..*)`)
	}
	for _, p := range c.RankPattern {
		add(&m.ranks, "lora_rank_pattern", p.Key, `\A(.*\.)?(%s)$`)
	}
	for _, p := range c.AlphaPattern {
		add(&m.alphas, "lora_alpha_pattern", p.Key, `\A(.*\.)?(%s)$`)
	}
	return m, err
}

// find is the first group that is a number, where re matches; group 0 alone tells that it matches.
func find(re *regexp2.Regexp, name string) (number int, ok bool, err error) {
	if re == nil {
		return 0, false, nil
	}
	m, err := re.FindStringMatch(name)
	if err != nil {
		return 0, false, fmt.Errorf("the regular expression %s on %q: %w", re, name, err)
	}
	if m == nil {
		return 0, false, nil
	}
	for _, g := range m.Groups()[1:] {
		if n, err := strconv.Atoi(g.String()); err == nil {
			return n, true, nil
		}
	}
	return 0, true, nil
}

func listed(list []string, name string) bool {
	return slices.ContainsFunc(list, func(t string) bool { return name == t || strings.HasSuffix(name, "."+t) })
}

// excluded says that a module gets no adapter, whatever the targets say.
func (m *matcher) excluded(name string) (bool, error) {
	if listed(m.ExcludeModules, name) {
		return true, nil
	}
	for _, re := range append(slices.Clone(m.save), m.exclude) {
		if _, ok, err := find(re, name); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// targeted says that a module gets an adapter. all says that it is one of those that AllLinear stands for.
func (m *matcher) targeted(name string, all bool) (bool, error) {
	if out, err := m.excluded(name); out || err != nil {
		return false, err
	}
	switch {
	case m.target != nil:
		_, ok, err := find(m.target, name)
		return ok, err
	case slices.Equal(m.TargetModules, []string{AllLinear}):
		return all, nil
	case slices.Contains(m.TargetModules, name): // by its full name, in any layer
		return true, nil
	case !listed(m.TargetModules, name):
		return false, nil
	case len(m.Layers) == 0:
		return true, nil
	}
	for _, re := range m.layers {
		if n, ok, err := find(re, name); ok || err != nil {
			return slices.Contains(m.Layers, n), err
		}
	}
	return false, nil
}

// first is the value of the first pattern that a name ends with, or otherwise.
func first[T any](res []*regexp2.Regexp, patterns []Pattern[T], name string, otherwise T) (T, error) {
	for i, re := range res {
		if _, ok, err := find(re, name); ok || err != nil {
			return patterns[i].Value, err
		}
	}
	return otherwise, nil
}
