package graph

import (
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Input is a field of a body that takes what another step gives, "${step.output}", or names a thing that is there. The
// field's tag takes lists what it may be ("model", "data set,table"), optional:"true" lets it be empty.
type Input struct {
	Text    string
	literal bool   // Text is a name, whatever it looks like
	step    string // it is a whole step, which a Prose names
	line    int
	value   Value
}

// Value is what an input stands for, once it is planned.
type Value struct {
	Path  string            // file, folder or name
	Key   string            // hash of the content, or of what it will be made from
	Facts map[string]string // Outline.Facts of the step that gives it

	from *Planned // nil where no step gives it
	rel  string   // where it lies below that step's folder, with slashes
}

// Ref is the input that takes a step's output.
func Ref(step, output string) Input { return Input{Text: "${" + step + "." + output + "}"} }

// Literal is the input that takes what is there under a name; a name is never read as a reference.
func Literal(name string) Input { return Input{Text: name, literal: true} }

// Path is where the thing lies.
func (i Input) Path() string {
	if from := i.value.from; from != nil && from.Away != "" {
		return filepath.Join(from.Away, filepath.FromSlash(i.value.rel))
	}
	return i.value.Path
}

// Key is the hash of what decides the thing's content; empty where the input is.
func (i Input) Key() string { return i.value.Key }

// Fact is what the step that gives the thing says of it; empty where it says nothing.
func (i Input) Fact(name string) string { return i.value.Facts[name] }

// UnmarshalYAML reads a text.
func (i *Input) UnmarshalYAML(n *yaml.Node) error {
	i.line = n.Line
	return n.Decode(&i.Text)
}

// MarshalYAML writes the text.
func (i Input) MarshalYAML() (any, error) { return i.Text, nil }

var (
	stepName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	reference = regexp.MustCompile(`^\$\{([^{}.]+)\.([^{}.]+)(?:\.([^{}]+))?\}$`)
)

// metricsOutput is the output of every step: the series that it logged.
const metricsOutput = "metrics"

// Reference splits "${step.output}". A reference is a whole value: no text is replaced within another. "${step.metrics.NAME}"
// is one of the series in the output metrics; elsewhere the name of an output may have dots.
func (i Input) Reference() (step, output string, ok bool) {
	if i.step != "" {
		return i.step, "", true
	}
	m := reference.FindStringSubmatch(i.Text)
	switch {
	case m == nil || i.literal:
		return "", "", false
	case m[3] != "" && m[2] != metricsOutput:
		return m[1], m[2] + "." + m[3], true
	}
	return m[1], m[2], true
}

// part is what a reference names of the output.
func (i Input) part() string {
	if m := reference.FindStringSubmatch(i.Text); m != nil && m[2] == metricsOutput {
		return m[3]
	}
	return ""
}

// slot is an input of a body with its place in it.
type slot struct {
	key      string // dotted, by the fields' yaml tags
	input    *Input
	takes    []Type
	optional bool
}

func (s slot) accepts(t Type) bool { return len(s.takes) == 0 || slices.Contains(s.takes, t) }

// wants says in words what the input may be.
func (s slot) wants() string {
	if len(s.takes) == 0 {
		return "anything"
	}
	var words []string
	for _, t := range s.takes {
		words = append(words, string(t))
	}
	return strings.Join(words, " or ")
}

// ownBody copies a body, so that one graph can be planned many times, and lists the copy's inputs in the order of its
// fields. stray are the keys of other texts that are references, which nothing would resolve.
func ownBody(body any) (copied any, inputs []slot, stray []string, err error) {
	v := reflect.ValueOf(body)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, nil, nil, fmt.Errorf("the body is no struct")
	}
	own := reflect.New(v.Elem().Type())
	own.Elem().Set(v.Elem())
	inputs, stray = walk(own.Elem(), "", inputs, stray)
	return own.Interface(), inputs, stray, nil
}

func walk(v reflect.Value, prefix string, inputs []slot, stray []string) ([]slot, []string) {
	for i := range v.NumField() {
		f, t := v.Field(i), v.Type().Field(i)
		key := t.Tag.Get("yaml")
		if key == "-" || !t.IsExported() {
			continue
		}
		key = prefix + key
		at := slot{key: key, takes: takenBy(t), optional: t.Tag.Get("optional") == "true"}
		switch {
		case f.Type() == reflect.TypeFor[Input]():
			at.input = f.Addr().Interface().(*Input)
			inputs = append(inputs, at)
		case f.Type() == reflect.TypeFor[[]Input]():
			list := slices.Clone(f.Interface().([]Input))
			f.Set(reflect.ValueOf(list))
			for j := range list {
				one := at
				one.key, one.input = fmt.Sprintf("%s[%d]", key, j), &list[j]
				inputs = append(inputs, one)
			}
		case f.Type() == reflect.TypeFor[Prose]():
			p := f.Addr().Interface().(*Prose)
			p.steps = slices.Clone(p.steps)
			for j := range p.steps {
				one := at
				one.input = &p.steps[j]
				inputs = append(inputs, one)
			}
		case f.Type() == reflect.TypeFor[SeriesRef]():
		case f.Kind() == reflect.Struct:
			inputs, stray = walk(f, key+".", inputs, stray)
		default:
			stray = strayIn(f, key, stray)
		}
	}
	return inputs, stray
}

// takenBy is what an input's field may be.
func takenBy(t reflect.StructField) (out []Type) {
	for name := range strings.SplitSeq(t.Tag.Get("takes"), ",") {
		if name != "" {
			out = append(out, Type(name))
		}
	}
	return out
}

// strayIn looks for references in a value that takes none.
func strayIn(v reflect.Value, key string, stray []string) []string {
	switch v.Kind() {
	case reflect.String:
		if reference.MatchString(v.String()) {
			stray = append(stray, key)
		}
	case reflect.Slice:
		for i := range v.Len() {
			stray = strayIn(v.Index(i), fmt.Sprintf("%s[%d]", key, i), stray)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			stray = strayIn(v.MapIndex(k), fmt.Sprintf("%s.%v", key, k), stray)
		}
	case reflect.Interface:
		if !v.IsNil() {
			stray = strayIn(v.Elem(), key, stray)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if t := v.Type().Field(i); t.IsExported() && t.Tag.Get("yaml") != "-" {
				stray = strayIn(v.Field(i), key+"."+t.Tag.Get("yaml"), stray)
			}
		}
	}
	return stray
}
