package device

import "testing"

func TestADeviceSaysWhatApplies(t *testing.T) {
	for want, i := range map[string]Info{
		"cpu, Xeon, 2 threads, avx512": {Name: "cpu", Model: "Xeon", Threads: 2, SIMD: "avx512"},
		"cuda, H100, sm_90":            {Name: "cuda", Model: "H100", SIMD: "sm_90", Memory: 1},
		"reference":                    {Name: "reference"},
	} {
		if got := i.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
