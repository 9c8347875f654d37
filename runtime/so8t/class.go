package so8t

import (
	"fmt"
	"strings"
)

// Class is one of the four answers to a request.
type Class int

// The classes are products of the two heads' outcomes: safety (safe, unsafe) times authority (handle,
// escalate).
const (
	Allow      Class = iota // safe · handle
	Escalation              // safe · escalate
	Deny                    // unsafe · handle
	Refuse                  // unsafe · escalate
)

var classNames = [4]string{"ALLOW", "ESCALATION", "DENY", "REFUSE"}

func (c Class) String() string {
	if c < 0 || int(c) >= len(classNames) {
		return fmt.Sprintf("Class(%d)", int(c))
	}
	return classNames[c]
}

// ParseClass reads a class's name, in any case.
func ParseClass(s string) (Class, error) {
	for i, n := range classNames {
		if strings.EqualFold(s, n) {
			return Class(i), nil
		}
	}
	return 0, fmt.Errorf("class %q is not one of %q", s, classNames)
}

// safety is the class's label for the safety head: 0 safe, 1 unsafe.
func (c Class) safety() int32 { return int32(c) / 2 }

// authority is the class's label for the authority head: 0 handle, 1 escalate.
func (c Class) authority() int32 { return int32(c) % 2 }

// Verdict is what the heads say of a prompt.
type Verdict struct {
	Safety    [2]float64 // probabilities of safe and unsafe
	Authority [2]float64 // probabilities of handle and escalate
	Classes   [4]float64 // their products, indexed by Class
}

// Class is the likeliest class; of equals the first.
func (v Verdict) Class() Class {
	best := Allow
	for c := range v.Classes {
		if v.Classes[c] > v.Classes[best] {
			best = Class(c)
		}
	}
	return best
}

func newVerdict(safety, authority [2]float64) Verdict {
	v := Verdict{Safety: softmax2(safety), Authority: softmax2(authority)}
	for c := range v.Classes {
		v.Classes[c] = v.Safety[Class(c).safety()] * v.Authority[Class(c).authority()]
	}
	return v
}
