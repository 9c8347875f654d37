package cli

import (
	"github.com/rogpeppe/go-internal/testscript"

	"triality/server/audit"
)

// audited makes a data folder with an audit log of three entries: "audited DIR".
func audited(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: audited DIR")
	}
	l, err := audit.Open(auditFolder(ts.MkAbs(args[0])), nil)
	ts.Check(err)
	for _, e := range []audit.Entry{
		{Kind: audit.KindRequest, User: "local", Query: audit.Keyed(l.Salt(), "may I?"), Verdict: "ESCALATION", Scores: map[string]float64{"ESCALATION": 0.75, "ALLOW": 0.25}},
		{Kind: audit.KindRequest, User: "local", Query: audit.Keyed(l.Salt(), "who?"), Verdict: "ALLOW", Scores: map[string]float64{"ALLOW": 1}},
		{Kind: audit.KindAnswer, User: "local", Of: 2, Outcome: "withheld", Reason: "no_sections"},
	} {
		_, err := l.Append(e)
		ts.Check(err)
	}
	ts.Check(l.Close())
}
