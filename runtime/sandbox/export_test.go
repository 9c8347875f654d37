package sandbox

// Meter is the rewriting pass, for the tests that assemble modules.
func Meter(wasm []byte) ([]byte, error) {
	m, err := meter(wasm, 512<<20)
	if err != nil {
		return nil, err
	}
	return m.wasm, nil
}

// TrialParameters are those of a dry run.
var TrialParameters = trialParameters

// MergeData rewrites the body of a data section.
func MergeData(body []byte) []byte { return mergeData(&reader{b: body}) }

// WASISignatures are the functions of WASI that can be imported.
func WASISignatures() map[string]string {
	out := map[string]string{}
	for name, f := range wasiFunctions {
		out[name] = f.signature
	}
	return out
}
