// Package audit looks for what does not belong in a text that models are trained on: data of persons, and secrets.
package audit

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Kinds of findings.
const (
	Email     = "email"
	Card      = "card"      // payment card number with a right check digit (Luhn)
	MyNumber  = "my_number" // Japanese individual number with a right check digit
	Telephone = "telephone"
	Address   = "address"
	IP        = "ip"
	Secret    = "secret"
)

// Kinds lists them. Where two find the same place, the first stands.
var Kinds = []string{Secret, Email, Card, MyNumber, IP, Telephone, Address}

// Finding is a part of a text, in bytes.
type Finding struct {
	Kind       string
	Start, End int
}

// detector finds candidates by a pattern, whose first group is the finding where it has one, and says which are.
type detector struct {
	kind    string
	pattern *regexp.Regexp
	is      func(match string) bool
}

const (
	mark   = `(?:^|[^0-9A-Za-z_.+-])` // before a number: not part of another, or of a name or version
	noMore = `(?:$|[^0-9A-Za-z_-])`
)

var detectors = []detector{
	{Secret, regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`), nil},
	{Secret, regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`), nil},
	{Secret, regexp.MustCompile(`\b(?:ghp|gho|ghu|ghs|ghr)_[0-9A-Za-z]{36}\b|\bgithub_pat_[0-9A-Za-z_]{40,}`), nil},
	{Secret, regexp.MustCompile(`\bxox[abprs]-[0-9A-Za-z-]{10,}|\bsk-[0-9A-Za-z_-]{20,}|\bhf_[0-9A-Za-z]{30,}|\bAIza[0-9A-Za-z_-]{35}`), nil},
	{Secret, regexp.MustCompile(`\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}`), nil},
	{Secret, regexp.MustCompile(`(?i)(?:password|passwd|api[_-]?key|secret|token|パスワード)["']?\s*[:=]\s*["']?([^\s"',;。、]{8,})`), mixed},
	{Email, regexp.MustCompile(`[0-9A-Za-z._%+-]+@[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?(?:\.[0-9A-Za-z-]+)*\.[A-Za-z]{2,}`), nil},
	{Card, regexp.MustCompile(mark + `([2-6][0-9]{12,18}|[2-6][0-9]{3}(?:[ -][0-9]{4}){3}(?:[ -][0-9]{3})?|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5})` + noMore), func(m string) bool { return luhn(digits(m)) }},
	{MyNumber, regexp.MustCompile(mark + `([0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4})` + noMore), func(m string) bool { return myNumber(digits(m)) }},
	{IP, regexp.MustCompile(mark + `((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?:$|[^0-9A-Za-z_.-]|\.(?:$|[^0-9]))`), address},
	{IP, regexp.MustCompile(`(?:^|[^0-9A-Za-z:.]|[^0-9A-Fa-f:]:)((?:[0-9A-Fa-f]{1,4}:|::)(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4})(?:$|[^0-9A-Za-z:])`), address},
	{Telephone, regexp.MustCompile(mark + `(0[0-9]{1,4}[- ][0-9]{1,4}[- ][0-9]{3,4})` + noMore), count(10, 11)},
	{Telephone, regexp.MustCompile(mark + `(0[5789]0[0-9]{8})` + noMore), nil},
	{Telephone, regexp.MustCompile(mark + `(\(0[0-9]{1,4}\)[ -]?[0-9]{1,4}[- ][0-9]{3,4})` + noMore), count(10, 11)},
	{Telephone, regexp.MustCompile(`(?:^|[^0-9A-Za-z])(\+[1-9][0-9]{0,2}(?:[ -]?\(?[0-9]{1,4}\)?){2,5})` + noMore), count(9, 15)},
	{Telephone, regexp.MustCompile(mark + `((?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-.])[2-9][0-9]{2}[-.][0-9]{4})` + noMore), nil},
	{Address, regexp.MustCompile(`〒 ?[0-9]{3}-[0-9]{4}`), nil},
	{Address, regexp.MustCompile(`(?:東京都|北海道|(?:京都|大阪)府|\p{Han}{2,3}県)[\p{Han}\p{Hiragana}\p{Katakana}ー]{1,12}?[市区町村郡][\p{Han}\p{Hiragana}\p{Katakana}ー]{0,12}?[0-9一二三四五六七八九十]+(?:丁目|番|-[0-9])[0-9番地号丁目-]*`), nil},
	{Address, regexp.MustCompile(`\b[0-9]{1,5} (?:[NSEW]\.? )?[A-Z][a-z]+(?: [A-Z][a-z]+){0,2} (?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Square|Terrace|Way)\b`), nil},
}

// Find gives the findings of a text in order, none over another.
func Find(text string) (out []Finding) {
	plain, at := narrow(text)
	for _, d := range detectors {
		for from := 0; from < len(plain); {
			m := d.pattern.FindStringSubmatchIndex(plain[from:])
			if m == nil {
				break
			}
			start, end := from+m[0], from+m[1]
			if len(m) > 2 && m[2] >= 0 {
				start, end = from+m[2], from+m[3]
			}
			from = end
			if d.is != nil && !d.is(plain[start:end]) || slices.Contains(numbers, d.kind) && !whole(plain, start, end) {
				continue
			}
			f := Finding{d.kind, at[start], at[end]}
			if !slices.ContainsFunc(out, func(o Finding) bool { return f.Start < o.End && o.Start < f.End }) {
				out = append(out, f)
			}
		}
	}
	slices.SortFunc(out, func(a, b Finding) int { return a.Start - b.Start })
	return out
}

// numbers are the kinds that are numbers: a part of a longer one is none.
var numbers = []string{Card, MyNumber, Telephone, IP}

// whole says whether a number ends where it seems to: what stands beside it is neither a digit nor, after the mark that it is
// itself grouped by, another group.
func whole(text string, start, end int) bool {
	digit := func(i int) bool { return i >= 0 && i < len(text) && text[i] >= '0' && text[i] <= '9' }
	if digit(start-1) || digit(end) {
		return false
	}
	for _, grouped := range " -" {
		if strings.ContainsRune(text[start:end], grouped) &&
			(start > 0 && text[start-1] == byte(grouped) && digit(start-2) || end < len(text) && text[end] == byte(grouped) && digit(end+1)) {
			return false
		}
	}
	return true
}

// Redact puts [KIND] in the place of each finding.
func Redact(text string) (string, []Finding) {
	found := Find(text)
	var b strings.Builder
	end := 0
	for _, f := range found {
		b.WriteString(text[end:f.Start])
		b.WriteString("[" + strings.ToUpper(f.Kind) + "]")
		end = f.End
	}
	b.WriteString(text[end:])
	return b.String(), found
}

// narrow writes the full-width forms of ASCII as ASCII, and the dashes that stand in numbers as hyphens. at is where each
// byte of it, and its end, is in the text.
func narrow(text string) (string, []int) {
	var b strings.Builder
	at := make([]int, 0, len(text)+1)
	for i, c := range text {
		switch {
		case c >= '！' && c <= '～':
			c -= '！' - '!'
		case c == '　':
			c = ' '
		case strings.ContainsRune("‐‑‒–−", c):
			c = '-'
		}
		before := b.Len()
		b.WriteRune(c)
		for range b.Len() - before {
			at = append(at, i)
		}
	}
	return b.String(), append(at, len(text))
}

func digits(s string) (out []int) {
	for _, c := range s {
		if c >= '0' && c <= '9' {
			out = append(out, int(c-'0'))
		}
	}
	return out
}

func count(least, most int) func(string) bool {
	return func(m string) bool { n := len(digits(m)); return n >= least && n <= most }
}

// alike says whether all digits are the same, which checksums let pass.
func alike(d []int) bool {
	return !slices.ContainsFunc(d, func(v int) bool { return v != d[0] })
}

// luhn is the check of ISO/IEC 7812-1, annex B.
func luhn(d []int) bool {
	sum := 0
	for i, v := range d {
		if (len(d)-i)%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0 && !alike(d)
}

// myNumber is the check of the Japanese ministerial ordinance no. 85 of 2014, article 5.
func myNumber(d []int) bool {
	if len(d) != 12 || alike(d) {
		return false
	}
	sum := 0
	for n := 1; n <= 11; n++ { // from the right, without the check digit
		weight := n + 1
		if n > 6 {
			weight = n - 5
		}
		sum += d[11-n] * weight
	}
	check := 11 - sum%11
	if check > 9 {
		check = 0
	}
	return d[11] == check
}

// address says whether an IP address is one of a machine: not of this one, and no placeholder.
func address(m string) bool {
	a, err := netip.ParseAddr(m)
	return err == nil && !a.IsLoopback() && !a.IsUnspecified() && !(a.Is6() && len(m) < 6)
}

// mixed says whether a value looks made by a machine, or chosen to be hard to guess: letters and digits.
func mixed(m string) bool {
	return strings.ContainsAny(m, "0123456789") && strings.ContainsFunc(m, func(c rune) bool { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' })
}
