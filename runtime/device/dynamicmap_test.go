package device

import "testing"

func TestADynamicMapAscendsFromItsLeastValueToOneAndHoldsZero(t *testing.T) {
	for _, signed := range []bool{false, true} {
		m := DynamicMap(signed)
		zero := false
		for i, v := range m {
			zero = zero || v == 0
			if i > 0 && m[i-1] >= v {
				t.Errorf("signed=%t: value %d is %g, the one before %g", signed, i, v, m[i-1])
			}
		}
		if !zero || m[255] != 1 || (m[0] < 0) != signed {
			t.Errorf("signed=%t: from %g to %g, zero %t", signed, m[0], m[255], zero)
		}
	}
	// Two values of the published table (bitsandbytes' create_dynamic_map): the largest below 1, and the least above 0.
	if m := DynamicMap(true); m[254] != 0.99296875 || m[128] != 5.5e-07 {
		t.Errorf("signed: %g and %g", m[254], m[128])
	}
}
