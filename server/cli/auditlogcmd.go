package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/server/audit"
)

func auditCommands() []command {
	return []command{
		{"audit verify", "", "check that nobody changed, removed or reordered an entry", setupAuditVerify},
		{"audit list", "", "entries, the oldest first", setupAuditList},
		{"audit show", "NUMBER", "one entry", setupAuditShow},
	}
}

// auditFolder is where a data folder has its log.
func auditFolder(data string) string { return filepath.Join(data, "audit") }

func setupAuditVerify(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	head := fs.String("head", "", "`NUMBER:HASH` that an earlier check printed: the entry must be there still")
	e.jsonFlag(fs)
	return func(context.Context, []string) error {
		var want *audit.Head
		if *head != "" {
			h, err := audit.ParseHead(*head)
			if err != nil {
				return usagef("--%v", err)
			}
			want = &h
		}
		r, err := audit.Verify(auditFolder(*data), want)
		if err != nil {
			return err
		}
		err = e.result(r, func(w io.Writer) {
			for _, p := range r.Problems {
				fmt.Fprintln(w, p)
			}
			if len(r.Problems) == 0 {
				fmt.Fprintf(w, "no problem found in %d entries; keep this elsewhere for the next check:\n%s\n", r.Entries, r.Head)
			}
		})
		if err == nil && len(r.Problems) > 0 {
			err = experiments.Errorf(experiments.CodeInvalid, "the audit log in %s was changed", auditFolder(*data))
		}
		return err
	}
}

func setupAuditList(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	verdict := fs.String("verdict", "", "only requests judged so: ALLOW, ESCALATION, DENY or REFUSE")
	query := fs.String("query", "", "only requests of exactly this `text`")
	last := fs.Int("last", 0, "only so many, the newest; 0: all")
	e.jsonFlag(fs)
	return func(_ context.Context, args []string) error {
		if *verdict != "" && experiments.LabelIndex(*verdict) < 0 {
			return usagef("--verdict is %q, want ALLOW, ESCALATION, DENY or REFUSE", *verdict)
		}
		if *last < 0 {
			return usagef("--last is %d, must be 0 or more", *last)
		}
		dir := auditFolder(*data)
		hash := ""
		if *query != "" {
			salt, err := audit.Salt(dir)
			if err != nil {
				return err
			}
			hash = audit.Keyed(salt, *query)
		}
		found := []audit.Entry{}
		if err := audit.Read(dir, func(entry audit.Entry) bool {
			if (*verdict == "" || entry.Verdict == *verdict) && (hash == "" || entry.Query == hash) {
				if found = append(found, entry); *last > 0 && len(found) > *last {
					found = found[1:]
				}
			}
			return true
		}); err != nil {
			return err
		}
		return e.result(found, func(w io.Writer) {
			for _, f := range found {
				fmt.Fprintln(w, auditLine(f))
			}
		})
	}
}

// auditLine is an entry in short.
func auditLine(e audit.Entry) string {
	text := fmt.Sprintf("%6d  %s  %-7s  %s", e.Seq, e.Time.Format("2006-01-02 15:04:05"), e.Kind, e.User)
	if e.Of > 0 {
		text += fmt.Sprintf("  of %d", e.Of)
	}
	if e.Verdict != "" {
		text += "  " + e.Verdict
	}
	if p, ok := e.Scores[e.Verdict]; ok {
		text += fmt.Sprintf(" %.3f", p)
	}
	for _, word := range []string{e.Outcome, e.Reason, e.Decision} {
		if word != "" {
			text += "  " + word
		}
	}
	return text
}

// auditEntry is an entry, a line each field that it has, as its JSON names them.
func auditEntry(w io.Writer, e *audit.Entry) {
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-10s %s\n", name, value)
		}
	}
	field("seq", strconv.FormatInt(e.Seq, 10))
	field("time", e.Time.Format(time.RFC3339))
	field("kind", string(e.Kind))
	field("user", e.User)
	if e.Of > 0 {
		field("of", strconv.FormatInt(e.Of, 10))
	}
	field("query", e.Query)
	field("verdict", e.Verdict)
	for _, label := range experiments.Labels {
		if p, ok := e.Scores[label]; ok {
			field("  "+label, strconv.FormatFloat(p, 'f', 3, 64))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Sections)) {
		field("  "+name, e.Sections[name])
	}
	for _, f := range [][2]string{{"outcome", e.Outcome}, {"reason", e.Reason}, {"model", e.Model}, {"decision", e.Decision}, {"note", e.Note}, {"previous", e.Previous}, {"hash", e.Hash}} {
		field(f[0], f[1])
	}
}

func setupAuditShow(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	e.jsonFlag(fs)
	return func(_ context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("audit show wants an entry's number")
		}
		seq, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || seq < 1 {
			return usagef("audit show: %q is no entry's number", args[0])
		}
		var found *audit.Entry
		if err := audit.Read(auditFolder(*data), func(entry audit.Entry) bool {
			if entry.Seq == seq {
				found = &entry
			}
			return found == nil
		}); err != nil {
			return err
		}
		if found == nil {
			return experiments.Errorf(experiments.CodeNotFound, "the audit log in %s has no entry %d", auditFolder(*data), seq)
		}
		return e.result(found, func(w io.Writer) { auditEntry(w, found) })
	}
}
