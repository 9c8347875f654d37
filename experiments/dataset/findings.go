package dataset

import (
	"fmt"
	"strings"

	"triality/experiments"
)

// listed bounds how many of each kind of finding are named.
const listed = 10

// findings are what is doubtful in rows that can be used.
type findings struct {
	contradictions int // texts with several labels
	mismatches     int // rows whose output names another class than their label
	said           []string
}

// look finds rows of the same instruction and input, in lower case and with white space folded, that have
// different labels, and outputs that contradict their row's label.
func look(rows []Row) findings {
	var f findings
	first := make(map[uint64]int, len(rows))
	told := map[uint64]bool{}
	var contradictions, mismatches []string
	for i := range rows {
		r := &rows[i]
		key := fnv64(fold(r.Instruction) + "\x00" + fold(r.Input))
		at, had := first[key]
		switch {
		case !had:
			first[key] = i
		case rows[at].Label != r.Label && !told[key]:
			told[key] = true
			if f.contradictions++; len(contradictions) < listed {
				contradictions = append(contradictions, fmt.Sprintf("%s: four_class_label: is %s, and %s for the same text in %s", r.where(), r.Label, rows[at].Label, rows[at].where()))
			}
		}
		if named := contradicted(r); named != "" {
			if f.mismatches++; len(mismatches) < listed {
				mismatches = append(mismatches, fmt.Sprintf("%s: output: says %s where four_class_label is %s: %s", r.where(), named, r.Label, shown(clip(r.Output))))
			}
		}
	}
	f.said = append(f.said, counted(f.contradictions, "text has several labels", "texts have several labels; the model cannot learn both", contradictions)...)
	f.said = append(f.said, counted(f.mismatches, "row's output contradicts its label", "rows' outputs contradict their labels", mismatches)...)
	return f
}

// counted is a sentence and the examples of it.
func counted(n int, one, many string, examples []string) []string {
	switch n {
	case 0:
		return nil
	case 1:
		return append([]string{"1 " + one}, examples...)
	}
	return append([]string{fmt.Sprintf("%d %s", n, many)}, examples...)
}

func (r *Row) where() string { return fmt.Sprintf("%s:%d", r.File, r.Line) }

func fold(text string) string { return strings.Join(strings.Fields(strings.ToLower(text)), " ") }

// contradicted is the class that a row's output names instead of its label's, empty where it does not. An output names
// a class by its word in capitals, or by beginning with it as a word of its own.
func contradicted(r *Row) string {
	words := strings.FieldsFunc(r.Output, func(c rune) bool { return (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_' })
	named := ""
	for i, w := range words {
		label := w
		if i == 0 && alone(r.Output, w) {
			label = strings.ToUpper(w)
		}
		if experiments.LabelIndex(label) < 0 {
			continue
		}
		if label == r.Label {
			if i == 0 || named == "" {
				return ""
			}
			if experiments.LabelIndex(strings.ToUpper(words[0])) < 0 {
				return "" // both are named, and neither begins
			}
			continue
		}
		if named == "" {
			named = label
		}
	}
	return named
}

// alone says whether a text's first word is all of it, or is followed by a mark.
func alone(text, word string) bool {
	_, rest, _ := strings.Cut(text, word)
	rest = strings.TrimLeft(rest, " \t")
	return rest == "" || strings.ContainsRune(".,:;!-–—\r\n\"')]}*。、：", []rune(rest)[0])
}

// missing says which classes of the data a split has no row of, and which the data has not.
func missing(splits []experiments.SplitSummary) (out []string) {
	all := map[string]int{}
	for _, s := range splits {
		for label, n := range s.Labels {
			all[label] += n
		}
	}
	for _, label := range experiments.Labels {
		if all[label] == 0 {
			out = append(out, fmt.Sprintf("no row of the dataset is %s", label))
			continue
		}
		for _, s := range splits {
			if s.Labels[label] == 0 {
				out = append(out, fmt.Sprintf("the %s split has no row of %s, of %d in the dataset; add groups of that class, or raise the split's ratio", s.Name, label, all[label]))
			}
		}
	}
	return out
}
