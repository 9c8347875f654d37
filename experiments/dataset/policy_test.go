package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
)

// personalRows are three rows, of which two hold data of persons, in several fields.
const personalRows = `{"instruction": "Classify.", "input": "Write to taro@example.jp about it", "output": "ALLOW", "four_class_label": "ALLOW", "source_sample": "a", "license": "MIT"}
{"instruction": "Classify.", "input": "Nothing here", "output": "DENY", "four_class_label": "DENY", "source_sample": "b"}
{"instruction": "Classify.", "input": "Call 090-1234-5678", "output": "Pay with 4111 1111 1111 1111", "four_class_label": "REFUSE", "source_sample": "c", "contact": {"mail": "hanako@example.jp"}, "codes": [{"host": "203.0.113.7"}]}
`

func prepared(t *testing.T, text, mode string) (*Prepared, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Prepare(t.Context(), Options{InputPath: file, NoSplit: true, Audit: mode}, nil)
}

func TestDataOfPersonsIsNamedRedactedOrRefused(t *testing.T) {
	texts := func(p *Prepared) string {
		var b strings.Builder
		for _, r := range p.Rows.Rows {
			b.WriteString(r.Input + "|" + r.Output + "|")
			for _, f := range r.Extra {
				b.WriteString(f.Name + "=" + f.Text + "|")
			}
		}
		return b.String()
	}
	plain, err := prepared(t, personalRows, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{AuditOff, AuditWarn, AuditRedact} {
		p, err := prepared(t, personalRows, mode)
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Join(p.summary(Options{}).Findings, "\n")
		switch mode {
		case AuditOff:
			if p.Policy.Audit != "" || strings.Contains(said, "persons") || texts(p) != texts(plain) {
				t.Errorf("off: %+v %s", p.Policy, said)
			}
			continue
		case AuditWarn:
			if texts(p) != texts(plain) {
				t.Errorf("warn changes rows: %s", texts(p))
			}
		case AuditRedact:
			const want = `Write to [EMAIL] about it|ALLOW|license=MIT|Nothing here|DENY|Call [TELEPHONE]|Pay with [CARD]|codes=[{"host": "[IP]"}]|contact={"mail": "[EMAIL]"}|`
			if texts(p) != want {
				t.Errorf("redacted to %s", texts(p))
			}
		}
		if p.Policy.PersonalRows != 2 || p.Policy.Personal["email"] != 2 || p.Policy.Personal["card"] != 1 || !strings.Contains(said, "rows.jsonl:3: output: card") ||
			!strings.Contains(said, "card 1, email 2, ip 1, telephone 1") || !strings.Contains(said, "2 of 3 rows have none of the fields license") || strings.Contains(said, "4111") || strings.Contains(said, "taro") {
			t.Errorf("%s: %+v\n%s", mode, p.Policy, said)
		}
	}
	_, err = prepared(t, personalRows, AuditRefuse)
	if experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), "data.audit: refuse: 2 of 3 rows") || !strings.Contains(err.Error(), "rows.jsonl:1: input: email") || strings.Contains(err.Error(), "taro") {
		t.Errorf("refuse: %v", err)
	}
	if _, err := prepared(t, strings.Split(personalRows, "\n")[1]+"\n", AuditRefuse); err != nil {
		t.Errorf("rows without any are refused: %v", err)
	}
}

func TestAListThatARedactionBreaksBecomesItsKinds(t *testing.T) {
	r := Row{Extra: []Field{{"numbers", Value{JSON, "[1, 4111111111111111]"}}}}
	r.redact()
	if r.Extra[0].Text != `["[CARD]"]` {
		t.Errorf("%s", r.Extra[0].Text)
	}
}

func TestARowThatTeachesToWriteSexualContentMakesNoDataSet(t *testing.T) {
	row := func(fields string) string {
		return `{"instruction": "i", "input": "x", "source_sample": "a", ` + fields + "}\n"
	}
	long := strings.Repeat("words and ", 60)
	for name, c := range map[string]struct {
		fields  string
		refused bool
	}{
		"a class":                         {`"output": "REFUSE", "four_class_label": "REFUSE", "domain_label": "NSFW"`, false},
		"an allowed class":                {`"output": "ALLOW", "four_class_label": "ALLOW", "category": "sexual content"`, false},
		"a refusal":                       {`"output": "I will not write that.", "four_class_label": "REFUSE", "nsfw": true`, false},
		"a refusal behind thinking":       {`"output": "<think-task>a</think-task><final>DENY</final>", "four_class_label": "DENY", "nsfw": true`, false},
		"an answer":                       {`"output": "Once upon a night", "four_class_label": "ALLOW", "domain_label": "nsfw"`, true},
		"an answer that is escalated":     {`"output": "Once upon a night", "four_class_label": "ESCALATION", "category": "Adult"`, true},
		"an answer that calls itself one": {`"output": "` + long + `", "four_class_label": "REFUSE", "nsfw": "true"`, true},
		"one of several tags":             {`"output": "Once upon a night", "four_class_label": "ALLOW", "tags": ["story", "Erotica"]`, true},
		"a Japanese mark":                 {`"output": "昔々", "four_class_label": "ALLOW", "category": "成人向け"`, true},
		"a row that is not marked":        {`"output": "Once upon a night", "four_class_label": "ALLOW", "domain_label": "adult_education", "nsfw": false`, false},
	} {
		_, err := prepared(t, row(c.fields), "")
		if (err != nil) != c.refused || c.refused && !strings.Contains(err.Error(), "rows.jsonl:1: output") {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(file, []byte(row(`"output": "Once upon a night", "four_class_label": "ALLOW", "nsfw": true`)), 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := AuditRows(t.Context(), file, false, nil)
	if err != nil || !strings.Contains(strings.Join(a.Findings, "\n"), "would teach to write it") {
		t.Errorf("the audit alone: %+v, %v", a, err)
	}
}
