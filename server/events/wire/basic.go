package wire

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"sync"
	"unicode/utf8"
)

// speaks remembers which types say themselves how they are written.
var speaks sync.Map // reflect.Type → bool

func speaksForItself(t reflect.Type) bool {
	if known, ok := speaks.Load(t); ok {
		return known.(bool)
	}
	does := t == rawType || t == timeType || t.Implements(jsonType) || t.Implements(textType)
	speaks.Store(t, does)
	return does
}

// appendFloat writes a finite number as encoding/json does: the shortest digits that are the number, with an exponent
// where it is very small or very large.
func appendFloat(b []byte, f float64, bits int) []byte {
	format := byte('f')
	if a := math.Abs(f); a != 0 {
		if bits == 64 && (a < 1e-6 || a >= 1e21) || bits == 32 && (float32(a) < 1e-6 || float32(a) >= 1e21) {
			format = 'e'
		}
	}
	b = strconv.AppendFloat(b, f, format, -1, bits)
	if n := len(b); format == 'e' && n >= 4 && b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' {
		b[n-2] = b[n-1] // e-09 is e-9
		b = b[:n-1]
	}
	return b
}

// appendString writes a text; one that nothing needs to be escaped in is copied.
func appendString(b []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c == 0x7f {
			enc, err := json.Marshal(s)
			return append(b, enc...), err
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), nil
}
