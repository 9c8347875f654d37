package sandbox

// Meter is the rewriting pass, for the tests that assemble modules.
func Meter(wasm []byte) ([]byte, error) {
	m, err := meter(wasm)
	if err != nil {
		return nil, err
	}
	return m.wasm, nil
}

// TrialParameters are those of a dry run.
var TrialParameters = trialParameters

// MergeData rewrites the body of a data section.
func MergeData(body []byte) []byte { return mergeData(&reader{b: body}) }
