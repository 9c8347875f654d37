package metric

// A metric's own parts, set by Register.
var (
	description string
	eval        func(*Table, *Results) error
)

// Register sets the module's description (JSON, see ABI.md) and its function.
// The function adds results, or returns an error whose text the user sees.
func Register(json string, f func(*Table, *Results) error) { description, eval = json, f }

// Evaluate runs the registered metric on an encoded table and returns the
// block of results; metric_eval is this, on the memory the host filled.
func Evaluate(b []byte) []byte {
	t, err := Open(b)
	if err != nil {
		return errorBlock(err.Error())
	}
	var r Results
	if err := eval(t, &r); err != nil {
		return errorBlock(err.Error())
	}
	return r.Block()
}
