package abtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"triality/experiments"
)

// DataRow is a sample as a line of the format that data.input_path reads, without the line's end: the row that was judged,
// with its own answer and the fields that the schema does not know. Results of before instructions were kept have none; the
// answer of a result of before answers were kept is the label. What the format cannot hold is an error that names the field.
func DataRow(s *experiments.Sample) ([]byte, error) {
	if experiments.LabelIndex(s.Label) < 0 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "four_class_label: %.60q is none of %s", s.Label, strings.Join(experiments.Labels, ", "))
	}
	if strings.TrimSpace(s.Text) == "" && strings.TrimSpace(s.Instruction) == "" {
		return nil, experiments.Errorf(experiments.CodeInvalid, "instruction, input: both are empty")
	}
	input, output := s.Text, s.Reference
	if s.Text == s.Instruction {
		input = ""
	}
	if strings.TrimSpace(output) == "" {
		output = s.Label
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	before := byte('{')
	write := func(name string, v any) error {
		b.WriteByte(before)
		before = ','
		if err := e.Encode(name); err != nil {
			return fmt.Errorf("name of a field: %w", err)
		}
		b.Truncate(b.Len() - 1) // the encoder's line end
		b.WriteByte(':')
		if err := e.Encode(v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.Truncate(b.Len() - 1)
		return nil
	}
	own := map[string]bool{}
	for _, f := range []struct{ name, value string }{
		{"instruction", s.Instruction}, {"input", input}, {"output", output}, {"four_class_label", s.Label},
		{"domain_label", s.Domain}, {"language", s.Language}, {"source_sample", s.Group},
	} {
		if own[f.name] = true; f.value == "" {
			continue
		}
		if err := write(f.name, f.value); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Columns)) {
		// A client's result may have a column of any name; the schema's fields are those above, and texts.
		_, isText := s.Columns[name].(string)
		if own[name] || !isText && (name == "safety_label" || name == "thinking_format") {
			continue
		}
		if err := write(name, s.Columns[name]); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
