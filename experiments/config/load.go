package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments"
	"triality/runtime/disk"
)

// maxFile bounds a configuration file.
const maxFile = 1 << 20

// Load reads a pipeline YAML over the defaults. Overrides are KEY=VALUE pairs with dotted keys that
// win over the file. Every error names the file, the line and the key.
func Load(path string, overrides ...string) (Pipeline, error) {
	f, err := disk.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Pipeline{}, experiments.Errorf(experiments.CodeNotFound, "%s: no such configuration file", path)
	}
	if err != nil {
		return Pipeline{}, experiments.Errorf(experiments.CodeInvalid, "read configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Pipeline{}, experiments.Errorf(experiments.CodeInvalid, "read configuration %s: %w", path, err)
	}
	return Parse(path, text, overrides...)
}

// Parse is Load for text in memory; name stands for the file in errors.
func Parse(name string, text []byte, overrides ...string) (Pipeline, error) {
	if len(text) > maxFile {
		return Pipeline{}, experiments.Errorf(experiments.CodeTooLarge, "%s: a configuration has at most %d bytes", name, maxFile)
	}
	p := Default()
	l := loader{file: name}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return p, experiments.Errorf(experiments.CodeInvalid, "%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) > 0 {
		l.decode(doc.Content[0], reflect.ValueOf(&p).Elem(), "")
	}
	for _, o := range overrides {
		l.override(o, &p)
	}
	if len(l.problems) == 0 {
		l.problems = p.problems(name)
	}
	if len(l.problems) > 0 {
		return p, experiments.Errorf(experiments.CodeInvalid, "%s", strings.Join(l.problems, "\n"))
	}
	return p, nil
}

// Decode reads a YAML tree into the struct that into points to, over the values it has, and checks them, as strictly as
// Parse: see check for the tags. file stands for it in errors, which name the line and the key.
func Decode(file string, n *yaml.Node, into any) error {
	v := reflect.ValueOf(into).Elem()
	l := loader{file: file, lines: map[string]int{}, keys: keysOf(v.Type())}
	l.decode(n, v, "")
	if len(l.problems) == 0 {
		for _, f := range check(v, "") {
			l.fail(l.line(f.key, n.Line), f.key, "%s", f.text)
		}
	}
	if len(l.problems) > 0 {
		return experiments.Errorf(experiments.CodeInvalid, "%s", strings.Join(l.problems, "\n"))
	}
	return nil
}

// loader decodes a YAML tree into a struct and collects every problem, not just the first.
type loader struct {
	file     string
	problems []string
	keys     []string       // that may be meant by an unknown one; nil: the pipeline's
	lines    map[string]int // of the keys that were given; nil: not wanted
}

// line is that of a key, or of the nearest section around it that was given; several keys are named in one, joined by
// commas.
func (l *loader) line(key string, top int) int {
	key, _, _ = strings.Cut(key, ",")
	for key != "" {
		if n := l.lines[key]; n > 0 {
			return n
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return top
}

func (l *loader) fail(line int, key, format string, args ...any) {
	where := l.file
	if line > 0 {
		where = fmt.Sprintf("%s:%d", l.file, line)
	}
	if key != "" {
		where += ": " + key
	}
	l.problems = append(l.problems, where+": "+fmt.Sprintf(format, args...))
}

func (l *loader) decode(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Tag == "!!null" {
		return
	}
	_, custom := v.Addr().Interface().(yaml.Unmarshaler)
	switch {
	case v.Kind() == reflect.Struct && !custom:
		l.decodeStruct(n, v, key)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		if n.Kind == yaml.ScalarNode && !nested(v.Type().Elem()) { // one where a list of what is read as one value is wanted
			n = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: n.Line, Content: []*yaml.Node{n}}
		}
		if n.Kind != yaml.SequenceNode {
			l.fail(n.Line, key, "want a list")
			return
		}
		out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, item := range n.Content {
			if l.lines != nil {
				l.lines[fmt.Sprintf("%s[%d]", key, i)] = item.Line
			}
			l.decode(item, out.Index(i), fmt.Sprintf("%s[%d]", key, i))
		}
		v.Set(out)
	case v.Kind() == reflect.Slice && n.Kind == yaml.ScalarNode:
		// One word where a list is wanted: lora_target_modules: all-linear.
		l.decodeScalar(&yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: n.Line, Value: n.Value, Content: []*yaml.Node{n}}, v, key)
	default:
		l.decodeScalar(n, v, key)
	}
}

func (l *loader) decodeScalar(n *yaml.Node, v reflect.Value, key string) {
	fresh := reflect.New(v.Type())
	if err := n.Decode(fresh.Interface()); err != nil {
		var te *yaml.TypeError
		if errors.As(err, &te) {
			l.fail(n.Line, key, "want %s, have %q", kindName(v.Type()), n.Value)
		} else {
			l.fail(n.Line, key, "%v", err)
		}
		return
	}
	v.Set(fresh.Elem())
}

func (l *loader) decodeStruct(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		l.fail(n.Line, key, "want a mapping of keys")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i].Value, n.Content[i+1]
		full := join(key, name)
		if seen[name] {
			l.fail(n.Content[i].Line, full, "is given twice")
			continue
		}
		seen[name] = true
		field, ok := fieldByKey(v, name)
		if !ok {
			l.fail(n.Content[i].Line, full, "unknown key%s", l.answer(full))
			continue
		}
		if l.lines != nil {
			l.lines[full] = n.Content[i].Line
		}
		l.decode(value, field, full)
	}
}

func (l *loader) override(text string, p *Pipeline) {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		l.fail(0, "", "--set wants KEY=VALUE, have %q", text)
		return
	}
	v := reflect.ValueOf(p).Elem()
	for part := range strings.SplitSeq(key, ".") {
		field, ok := reflect.Value{}, false
		if v.Kind() == reflect.Struct {
			field, ok = fieldByKey(v, part)
		}
		if !ok {
			l.fail(0, "--set "+key, "unknown key%s", l.answer(key))
			return
		}
		v = field
	}
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(value), &n); err != nil || len(n.Content) == 0 {
		n = yaml.Node{Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}}}
	}
	before := len(l.problems)
	l.decode(n.Content[0], v, key)
	for i := before; i < len(l.problems); i++ {
		l.problems[i] = "--set " + key + "=" + value + l.problems[i][strings.Index(l.problems[i], key)+len(key):]
	}
}

func fieldByKey(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag == key && tag != "-" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	case reflect.Map:
		return "a mapping"
	default:
		return "text"
	}
}

// YAML is the configuration as a file that Parse reads back to the same values.
func (p Pipeline) YAML() (string, error) {
	doc, err := Encode(p)
	if err != nil {
		return "", err
	}
	text, err := yaml.Marshal(doc)
	if err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	return string(text), nil
}

// Encode gives a struct of a configuration as the YAML tree that Decode reads to the same values.
func Encode(v any) (*yaml.Node, error) {
	doc := new(yaml.Node)
	if err := doc.Encode(v); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	leaveOut(doc, reflect.ValueOf(v))
	return doc, nil
}

// leaveOut removes the lists and mappings that are unset: written as empty ones they would be read back as those, and
// steps would have other keys.
func leaveOut(n *yaml.Node, v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range min(v.Len(), len(n.Content)) {
			leaveOut(n.Content[i], v.Index(i))
		}
	case reflect.Struct:
		if n.Kind != yaml.MappingNode {
			return // it writes itself
		}
		var kept []*yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			field, ok := fieldByKey(v, n.Content[i].Value)
			if ok && (field.Kind() == reflect.Slice || field.Kind() == reflect.Map) && field.IsNil() {
				continue
			}
			if ok {
				leaveOut(n.Content[i+1], field)
			}
			kept = append(kept, n.Content[i], n.Content[i+1])
		}
		n.Content = kept
	}
}
