package metricabi

import "fmt"

// Role says what a column means.
type Role uint32

// The roles of version 1, and from 11 on of version 1.1. The numbers are part of the interface.
const (
	RoleLabel       Role = 1  // i32, shared: the gold class id of a row
	RolePrediction  Role = 2  // i32, arm A or B: the predicted class id
	RoleProbability Role = 3  // f64, arm A or B, named: one column a class, in class order
	RoleText        Role = 4  // utf8, shared: what the model was asked
	RoleOutput      Role = 5  // utf8, arm A or B: what the model answered
	RoleLatency     Role = 6  // f64, arm A or B: milliseconds for the row
	RoleGroup       Role = 7  // utf8, shared: rows of one group are not independent
	RoleExtra       Role = 8  // any dtype, any arm, named: a column of the user's own
	RoleClass       Role = 9  // utf8, constant: the n-th is the name of class id n
	RoleParameter   Role = 10 // any dtype, constant, named: a parameter of the metric

	RoleTokenLogProb Role = 11 // f64_list, of an arm: natural logarithms of the probabilities of its output's tokens
	RoleArm          Role = 12 // utf8, constant, of an arm: what people call it
)

// Arm says which of the compared models a column belongs to.
type Arm uint32

// The arms of version 1. Version 1.1 has those up to Z, 26.
const (
	ArmShared Arm = 0
	ArmA      Arm = 1
	ArmB      Arm = 2
	maxArm    Arm = 26

	// ArmEach stands in a version 1.1 description for every arm that a table has; no column is of it.
	ArmEach Arm = 1 << 8
)

// DType is the type of a column's values.
type DType uint32

// The dtypes of version 1, and of version 1.1 the lists; buffers are laid out as in Arrow.
const (
	I32     DType = 1
	I64     DType = 2
	F64     DType = 3
	UTF8    DType = 4
	F64List DType = 5
)

var (
	roleNames = []string{RoleLabel: "label", RolePrediction: "prediction", RoleProbability: "probability",
		RoleText: "text", RoleOutput: "output", RoleLatency: "latency", RoleGroup: "group",
		RoleExtra: "extra", RoleClass: "class", RoleParameter: "parameter", RoleTokenLogProb: "token_logprob", RoleArm: "arm"}
	armNames   = namesOfArms()
	dtypeNames = []string{I32: "i32", I64: "i64", F64: "f64", UTF8: "utf8", F64List: "f64_list"}
)

func namesOfArms() []string {
	out := make([]string, ArmEach+1)
	out[ArmShared], out[ArmEach] = "shared", "each"
	for a := ArmA; a <= maxArm; a++ {
		out[a] = string(rune('A' + a - ArmA))
	}
	return out
}

// nameOf returns the name of number i, or the number where it has none.
func nameOf(names []string, i uint32) string {
	if int64(i) < int64(len(names)) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprint(i)
}

// numberOf returns the number of a name.
func numberOf(names []string, kind string, text []byte) (uint32, error) {
	for i, n := range names {
		if n != "" && n == string(text) {
			return uint32(i), nil
		}
	}
	return 0, fmt.Errorf("unknown %s %q, want one of %q", kind, text, known(names))
}

func known(names []string) []string {
	var out []string
	for _, n := range names {
		if n != "" {
			out = append(out, n)
		}
	}
	return out
}

func (r Role) String() string  { return nameOf(roleNames, uint32(r)) }
func (a Arm) String() string   { return nameOf(armNames, uint32(a)) }
func (d DType) String() string { return nameOf(dtypeNames, uint32(d)) }

// MarshalText writes the role's name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a role's name.
func (r *Role) UnmarshalText(b []byte) error {
	n, err := numberOf(roleNames, "role", b)
	*r = Role(n)
	return err
}

// MarshalText writes the arm's name.
func (a Arm) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads an arm's name.
func (a *Arm) UnmarshalText(b []byte) error {
	n, err := numberOf(armNames, "arm", b)
	*a = Arm(n)
	return err
}

// MarshalText writes the dtype's name.
func (d DType) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a dtype's name.
func (d *DType) UnmarshalText(b []byte) error {
	n, err := numberOf(dtypeNames, "dtype", b)
	*d = DType(n)
	return err
}

// offset reports whether rows of the dtype lie between offsets.
func (d DType) offset() bool { return d == UTF8 || d == F64List }

// width is the size of one value in bytes, of a list's items; 0 for utf8 and unknown dtypes.
func (d DType) width() int {
	switch d {
	case I32:
		return 4
	case I64, F64, F64List:
		return 8
	}
	return 0
}

// constant reports whether columns of the role hold one value for the whole
// table instead of one a row.
func (r Role) constant() bool { return r == RoleClass || r == RoleParameter || r == RoleArm }

// named reports whether columns of the role carry a name.
func (r Role) named() bool {
	return r == RoleProbability || r == RoleExtra || r == RoleParameter
}

// checkKind reports whether role, arm and dtype go together.
func checkKind(r Role, a Arm, d DType) error {
	if d < I32 || d > F64List {
		return fmt.Errorf("unknown dtype %d", uint32(d))
	}
	if a > maxArm {
		return fmt.Errorf("unknown arm %d", uint32(a))
	}
	want, perArm := DType(0), false
	switch r {
	case RoleLabel:
		want = I32
	case RolePrediction:
		want, perArm = I32, true
	case RoleProbability, RoleLatency:
		want, perArm = F64, true
	case RoleOutput, RoleArm:
		want, perArm = UTF8, true
	case RoleTokenLogProb:
		want, perArm = F64List, true
	case RoleText, RoleGroup, RoleClass:
		want = UTF8
	case RoleExtra:
		return nil
	case RoleParameter:
		if d == F64List {
			return fmt.Errorf("role %s has one value or a list of numbers, not %s", r, d)
		}
	default:
		return fmt.Errorf("unknown role %d", uint32(r))
	}
	if want != 0 && d != want {
		return fmt.Errorf("role %s has dtype %s, want %s", r, d, want)
	}
	if perArm && a == ArmShared {
		return fmt.Errorf("role %s belongs to an arm (arm A or B, say), not to all", r)
	}
	if !perArm && a != ArmShared {
		return fmt.Errorf("role %s is shared, it cannot belong to arm %s", r, a)
	}
	return nil
}
