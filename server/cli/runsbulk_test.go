package cli

import (
	"encoding/json"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"

	"triality/server/store"
)

// undoes undoes the newest change of an action in the folder data: "undoes ACTION", or "undoes ACTION STATUS" where
// it cannot be.
func undoes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: undoes ACTION [STATUS]")
	}
	ts.Check(ts.Exec("triality", "runs", "undo", "--json"))
	var changes []store.Change
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &changes))
	at := slices.IndexFunc(changes, func(c store.Change) bool { return string(c.Action) == args[0] })
	if at < 0 {
		ts.Fatalf("there is no change of action %s", args[0])
	}
	exits(ts, false, append([]string{append(args, "0")[1]}, "triality", "runs", "undo", changes[at].Token))
}
