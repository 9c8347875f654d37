package metricabi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxDescriptionBytes bounds the JSON metric_describe returns.
const MaxDescriptionBytes = 64 << 10

// Description is how a metric introduces itself.
type Description struct {
	Name        string      `json:"name"`          // lower-case letters, digits and _ . -
	Version     string      `json:"version"`       // of the metric, not of the interface
	ABI         string      `json:"abi,omitempty"` // of the interface: "1.1", or nothing for 1.0
	Description string      `json:"description"`   // one paragraph for people
	Formula     string      `json:"formula,omitempty"`
	Source      string      `json:"source,omitempty"` // where the formula comes from
	Columns     []Need      `json:"columns"`
	Outputs     []Output    `json:"outputs"`
	Parameters  []Parameter `json:"parameters,omitempty"`
}

// Need is a column the metric reads. Columns it does not name are not handed
// to it.
type Need struct {
	Role     Role   `json:"role"`
	Arm      Arm    `json:"arm,omitempty"`
	Name     string `json:"name,omitempty"`  // of an extra column
	DType    DType  `json:"dtype,omitempty"` // of an extra column; else the role's own
	Optional bool   `json:"optional,omitempty"`
}

// Output is a result the metric may return.
type Output struct {
	Name        string    `json:"name"`
	Kind        Kind      `json:"kind"`
	Direction   Direction `json:"direction"`
	Arm         Arm       `json:"arm,omitempty"` // the arm it measures; shared: both, or their difference
	Min         *float64  `json:"min,omitempty"` // of its range, inclusive
	Max         *float64  `json:"max,omitempty"`
	Level       float64   `json:"level,omitempty"` // of an interval: its confidence, 0.95 say
	Description string    `json:"description,omitempty"`
}

// Direction says which way an output is better.
type Direction string

// The directions.
const (
	Higher Direction = "higher"
	Lower  Direction = "lower"
	None   Direction = "none"
)

var metricName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`)

// ParseDescription reads a description and checks it. Fields it does not know,
// and fields given twice, are errors.
func ParseDescription(b []byte) (*Description, error) {
	d, err := parseDescription(b)
	if err != nil {
		return nil, fmt.Errorf("metric description: %w", err)
	}
	return d, nil
}

// Clone returns a copy that shares nothing with d.
func (d *Description) Clone() *Description {
	c := *d
	c.Columns, c.Outputs, c.Parameters = slices.Clone(d.Columns), slices.Clone(d.Outputs), slices.Clone(d.Parameters)
	for i := range c.Outputs {
		c.Outputs[i].Min, c.Outputs[i].Max = clone(c.Outputs[i].Min), clone(c.Outputs[i].Max)
	}
	for i := range c.Parameters {
		p := &c.Parameters[i]
		p.Min, p.Max, p.Default = clone(p.Min), clone(p.Max), slices.Clone(p.Default)
	}
	return &c
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

func parseDescription(b []byte) (*Description, error) {
	if len(b) > MaxDescriptionBytes {
		return nil, fmt.Errorf("%d bytes, at most %d", len(b), MaxDescriptionBytes)
	}
	if !utf8.Valid(b) {
		return nil, errors.New("not UTF-8")
	}
	if err := checkKeys(b); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var d Description
	if err := dec.Decode(&d); err != nil {
		return nil, err
	}
	return &d, d.check()
}

// checkKeys refuses what encoding/json lets pass: keys given twice, keys that
// match a field only when case is ignored, deep nesting, and a second value.
func checkKeys(b []byte) error {
	type frame struct {
		object, wantKey bool
		keys            map[string]bool
	}
	var stack []frame
	dec := json.NewDecoder(bytes.NewReader(b))
	for n := 0; ; n++ {
		tok, err := dec.Token()
		if err == io.EOF && n > 0 && len(stack) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if n > 0 && len(stack) == 0 {
			return errors.New("more than one JSON value")
		}
		delim, isDelim := tok.(json.Delim)
		if isDelim && (delim == '}' || delim == ']') {
			stack = stack[:len(stack)-1]
			continue
		}
		if len(stack) > 0 {
			if top := &stack[len(stack)-1]; top.object {
				top.wantKey = !top.wantKey
				if !top.wantKey {
					key := tok.(string)
					if key != strings.ToLower(key) {
						return fmt.Errorf("unknown field %q", key)
					}
					if top.keys[key] {
						return fmt.Errorf("field %q is given twice", key)
					}
					top.keys[key] = true
				}
			}
		}
		if isDelim {
			if len(stack) == 8 {
				return errors.New("nested more than 8 deep")
			}
			stack = append(stack, frame{object: delim == '{', wantKey: delim == '{', keys: map[string]bool{}})
		}
	}
}

func (d *Description) check() error {
	switch {
	case !metricName.MatchString(d.Name):
		return fmt.Errorf("name %q: want 1 to 64 of a-z 0-9 _ . -, beginning with a letter or digit", d.Name)
	case d.Version == "" || len(d.Version) > 64:
		return fmt.Errorf("version %q: want 1 to 64 bytes", d.Version)
	case d.Description == "":
		return errors.New("description is missing")
	case len(d.Outputs) == 0:
		return errors.New("outputs: a metric without any")
	case len(d.Columns) > MaxColumns || len(d.Outputs) > 256 || len(d.Parameters) > 64:
		return fmt.Errorf("%d columns, %d outputs and %d parameters, at most %d, 256 and 64",
			len(d.Columns), len(d.Outputs), len(d.Parameters), MaxColumns)
	}
	if d.ABI != "" && d.ABI != Version11 {
		return fmt.Errorf("abi %q: want %q, or no such field for 1.0", d.ABI, Version11)
	}
	seen := map[string]bool{}
	once := func(key string) error {
		if seen[key] {
			return errors.New("given twice")
		}
		seen[key] = true
		return nil
	}
	for i, c := range d.Columns {
		err := errors.Join(c.check(), d.allows(c.Role > RoleParameter || c.Arm > ArmB || c.DType > UTF8), once(fmt.Sprint("column ", c.Role, c.Arm, c.Name)))
		if err != nil {
			return fmt.Errorf("columns[%d] (%s): %w", i, c.Role, err)
		}
	}
	for i, o := range d.Outputs {
		if err := errors.Join(o.check(), d.allows(o.Kind > PerSample || o.Arm > ArmB || o.Level != 0), once("output "+o.Name)); err != nil {
			return fmt.Errorf("outputs[%d] (%s): %w", i, o.Name, err)
		}
	}
	for i, o := range d.Outputs {
		if base, _, ok := cutArm(o.Name); ok && seen["output "+base] && d.Output(base) != nil && d.Output(base).Arm == ArmEach {
			return fmt.Errorf("outputs[%d] (%s): that is what the output %s, which each arm has, is called for one of them", i, o.Name, base)
		}
	}
	for i, p := range d.Parameters {
		if err := errors.Join(p.check(), once("parameter "+p.Name)); err != nil {
			return fmt.Errorf("parameters[%d] (%s): %w", i, p.Name, err)
		}
	}
	return nil
}

// allows refuses what only a description of version 1.1 may say.
func (d *Description) allows(newer bool) error {
	if newer && d.ABI != Version11 {
		return fmt.Errorf("is of version 1.1: say \"abi\": %q", Version11)
	}
	return nil
}

func (n Need) check() error {
	if n.Role.constant() {
		return errors.New("classes, arms and parameters come by themselves")
	}
	if n.Arm == ArmEach {
		n.Arm = ArmA // as any
	}
	if n.Role != RoleExtra {
		if n.Name != "" || n.DType != 0 {
			return errors.New("only an extra column has a name and a dtype here")
		}
		return checkKind(n.Role, n.Arm, n.dtype())
	}
	if err := checkName(n.Name); err != nil {
		return err
	}
	return checkKind(n.Role, n.Arm, n.DType)
}

// dtype is the dtype the need asks for.
func (n Need) dtype() DType {
	switch n.Role {
	case RoleExtra:
		return n.DType
	case RoleLabel, RolePrediction:
		return I32
	case RoleProbability, RoleLatency:
		return F64
	case RoleTokenLogProb:
		return F64List
	}
	return UTF8
}

func (o Output) check() error {
	if err := checkName(o.Name); err != nil {
		return err
	}
	if o.Kind < Scalar || o.Kind > GroupIntervals {
		return fmt.Errorf("kind is missing: one of %q", known(kindNames))
	}
	if interval := o.Kind.width() == 3; interval != (o.Level != 0) || o.Level < 0 || o.Level >= 1 {
		return fmt.Errorf("level %v: an interval says its confidence, between 0 and 1, and nothing else does", o.Level)
	}
	if o.Arm == ArmEach && len(o.Name) > MaxNameBytes-2 {
		return fmt.Errorf("the name has %d bytes, at most %d where each arm has it: an arm's letter comes behind it", len(o.Name), MaxNameBytes-2)
	}
	if o.Direction != Higher && o.Direction != Lower && o.Direction != None {
		return fmt.Errorf("direction %q: want higher, lower or none", o.Direction)
	}
	if o.Min != nil && o.Max != nil && *o.Min > *o.Max {
		return fmt.Errorf("range: min %v is above max %v", *o.Min, *o.Max)
	}
	return nil
}
