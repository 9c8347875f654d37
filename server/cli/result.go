package cli

import (
	"encoding/json"
	"fmt"
	"io"

	flag "github.com/spf13/pflag"
)

// jsonFlag lets a command print its result as JSON.
func (e *env) jsonFlag(fs *flag.FlagSet) {
	fs.BoolVar(&e.json, "json", false, "print the result as JSON")
}

// gateFlag lets a command fail where B must not take A's place.
func (e *env) gateFlag(fs *flag.FlagSet) {
	fs.BoolVar(&e.gated, "gate", false, "exit with status 4 unless the verdict of the A/B test is that B ships")
}

// result prints what a command found or made: v with --json, else what text prints.
func (e *env) result(v any, text func(w io.Writer)) error {
	if e.json {
		return printJSON(e.stdout, v)
	}
	text(e.stdout)
	return nil
}

// outputs are the files and folders that a command made.
type outputs struct {
	Outputs []string `json:"outputs"`
	Notes   []string `json:"notes,omitempty"` // what the step said, such as its planned memory
}

// made prints the paths of what a command made.
func (e *env) made(paths ...string) error {
	return e.result(outputs{paths, e.notes}, func(w io.Writer) {
		for _, p := range paths {
			fmt.Fprintln(w, p)
		}
	})
}

// printJSON prints v, indented.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
