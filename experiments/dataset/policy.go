package dataset

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"triality/experiments"
	"triality/experiments/audit"
)

// What is done about data of persons and secrets in rows. Empty is AuditOff.
const (
	AuditOff    = "off"
	AuditWarn   = "warn"   // they are counted and named
	AuditRedact = "redact" // they are written as [KIND]
	AuditRefuse = "refuse" // rows with any are an error
)

// Policy is what Prepare found by Options.Audit, and did.
type Policy struct {
	Audit        string
	Personal     map[string]int // findings by kind
	PersonalRows int            // rows with any
	said         []string
}

// police looks through rows, and redacts or refuses what it finds.
func police(ctx context.Context, rows []Row, mode string) (p Policy, err error) {
	if mode == "" || mode == AuditOff {
		return p, nil
	}
	p = Policy{Audit: mode, Personal: map[string]int{}}
	var places []string
	licence, source := 0, 0
	for i := range rows {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		r := &rows[i]
		found := r.personal(func(field, kind string) {
			p.Personal[kind]++
			if len(places) < listed {
				places = append(places, fmt.Sprintf("%s: %s: %s", r.where(), field, kind))
			}
		})
		if found {
			if p.PersonalRows++; mode == AuditRedact {
				r.redact()
			}
		}
		if !r.says(licences) {
			licence++
		}
		if r.Group == "" && !r.says(sources) {
			source++
		}
	}
	if mode == AuditRefuse && p.PersonalRows > 0 {
		return p, experiments.Errorf(experiments.CodeInvalid, "data.audit: refuse: %d of %d rows hold data of persons or secrets (%s): %s; mend them, or set data.audit: redact",
			p.PersonalRows, len(rows), p.counts(), strings.Join(places, ", "))
	}
	if p.PersonalRows > 0 {
		what := " hold data of persons or secrets"
		if mode == AuditRedact {
			what = " held data of persons or secrets, which is redacted"
		}
		p.said = append([]string{fmt.Sprintf("%d of %d rows%s: %s", p.PersonalRows, len(rows), what, p.counts())}, places...)
	}
	for _, lack := range []struct {
		rows   int
		fields []string
	}{{licence, licences}, {source, append([]string{"source_sample"}, sources...)}} {
		if lack.rows > 0 {
			p.said = append(p.said, fmt.Sprintf("%d of %d rows have none of the fields %s", lack.rows, len(rows), strings.Join(lack.fields, ", ")))
		}
	}
	return p, nil
}

// counts are the findings by kind, in words.
func (p *Policy) counts() string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(p.Personal)) {
		out = append(out, fmt.Sprintf("%s %d", kind, p.Personal[kind]))
	}
	return strings.Join(out, ", ")
}

// personal calls found with the field and kind of every finding in a row's texts, those of fields that the schema does not
// know among them, and says whether there was one.
func (r *Row) personal(found func(field, kind string)) (any bool) {
	look := func(field, text string) {
		for _, f := range audit.Find(text) {
			any = true
			found(field, f.Kind)
		}
	}
	look("instruction", r.Instruction)
	look("input", r.Input)
	look("output", r.Output)
	for _, f := range r.Extra {
		if f.Kind == String || f.Kind == JSON {
			look(f.Name, f.Text)
		}
	}
	return any
}

// redact puts [KIND] in the place of each finding. A list or object that would be no JSON then becomes the kinds alone.
func (r *Row) redact() {
	for _, text := range []*string{&r.Instruction, &r.Input, &r.Output} {
		*text, _ = audit.Redact(*text)
	}
	r.Extra = slices.Clone(r.Extra)
	for i := range r.Extra {
		f := &r.Extra[i]
		if f.Kind != String && f.Kind != JSON {
			continue
		}
		text, found := audit.Redact(f.Text)
		if f.Kind == JSON && !json.Valid([]byte(text)) {
			kinds := make([]string, len(found))
			for k, one := range found {
				kinds[k] = "[" + strings.ToUpper(one.Kind) + "]"
			}
			list, _ := json.Marshal(kinds) // texts always are
			text = string(list)
		}
		f.Text = text
	}
}

// markedNSFW are what a row's domain_label, category, categories or tags say of sexual content, in lower case; a field nsfw
// that is true says it too.
var markedNSFW = []string{"nsfw", "adult", "sexual", "sexual_content", "explicit", "porn", "pornography", "erotica", "性的", "成人向け"}

// refusalLength bounds, in characters, what can be a refusal.
const refusalLength = 500

// teachesNSFW lists the rows that are marked as sexual content and whose answer is neither a class nor a refusal. Such rows
// serve detection and refusal alone: no data set is made with one.
func teachesNSFW(rows []Row) (places []string, count int) {
	for i := range rows {
		r := &rows[i]
		if !r.nsfw() || r.detectsOrRefuses() {
			continue
		}
		if count++; len(places) < listed {
			places = append(places, r.where()+": output")
		}
	}
	return places, count
}

func (r *Row) nsfw() bool {
	is := func(text string) bool {
		return slices.Contains(markedNSFW, strings.ReplaceAll(strings.ToLower(strings.TrimSpace(text)), " ", "_"))
	}
	if is(r.Domain) {
		return true
	}
	for _, name := range []string{"category", "categories", "tags"} {
		v, _ := r.Get(name)
		var several []any
		if v.Kind == JSON && json.Unmarshal([]byte(v.Text), &several) == nil {
			if slices.ContainsFunc(several, func(one any) bool { text, ok := one.(string); return ok && is(text) }) {
				return true
			}
		} else if is(v.Text) {
			return true
		}
	}
	v, _ := r.Get("nsfw")
	return slices.Contains([]string{"true", "1", "yes"}, strings.ToLower(v.Text))
}

// detectsOrRefuses says whether an answer is a class, or a refusal: that of a row that is DENY or REFUSE, short enough to be
// nothing else. Of an answer with sections of thinking it is the final.
func (r *Row) detectsOrRefuses() bool {
	answer := r.Output
	if i := strings.LastIndex(answer, "<final>"); i >= 0 {
		answer, _, _ = strings.Cut(answer[i+len("<final>"):], "</final>")
	}
	if experiments.LabelIndex(strings.ToUpper(strings.TrimSpace(answer))) >= 0 {
		return true
	}
	return (r.Label == "DENY" || r.Label == "REFUSE") && utf8.RuneCountInString(r.Output) <= refusalLength
}
