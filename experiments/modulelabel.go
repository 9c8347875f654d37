package experiments

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// ModuleLabels names results that are shown together: by the metric's name, and by as much as tells
// those of one name apart: the version, the module's short hash, the parameters that differ. No two
// results with different keys have the same label.
func ModuleLabels(results []ModuleResult) []string {
	out := make([]string, len(results))
	seen := map[string]string{} // label → key
	for i := range results {
		out[i] = results[i].label(results)
		if key, ok := seen[out[i]]; ok && key != results[i].Key {
			out[i] += " " + results[i].Key
		}
		seen[out[i]] = results[i].Key
	}
	return out
}

func (m *ModuleResult) label(among []ModuleResult) string {
	label := []string{m.Name}
	rest := among
	// narrow keeps those of the others that are alike and says whether any was not.
	narrow := func(like func(*ModuleResult) bool) bool {
		same := slices.DeleteFunc(slices.Clone(rest), func(o ModuleResult) bool { return !like(&o) })
		differ := len(same) < len(rest)
		rest = same
		return differ
	}
	narrow(func(o *ModuleResult) bool { return o.Name == m.Name })
	if narrow(func(o *ModuleResult) bool { return o.Version == m.Version }) {
		label = append(label, m.Version)
	}
	if narrow(func(o *ModuleResult) bool { return o.SHA256 == m.SHA256 }) {
		label = append(label, m.SHA256[:min(len(m.SHA256), 10)])
	}
	names := map[string]bool{}
	for _, o := range rest {
		for name := range o.Params {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		mine := m.paramText(name)
		if slices.ContainsFunc(rest, func(o ModuleResult) bool { return o.paramText(name) != mine }) {
			label = append(label, name+"="+clipped(mine, 40))
		}
	}
	return strings.Join(label, " ")
}

// paramText is a parameter's value as JSON, or "default" where it was not given.
func (m *ModuleResult) paramText(name string) string {
	v, ok := m.Params[name]
	if !ok {
		return "default"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return string(text)
}

func clipped(s string, runes int) string {
	if utf8.RuneCountInString(s) <= runes {
		return s
	}
	return string([]rune(s)[:runes]) + "…"
}
