package wasmmetrics_test

import (
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"triality/runtime/metricabi"
)

// texts is a table of outputs against a reference. Missing texts are marked by
// their validity bit, and something stands there all the same.
type texts struct {
	reference []string
	output    [2][]string
	has       [3][]bool // reference, A, B
}

func (x texts) table() metricabi.Table {
	t := metricabi.Table{Rows: len(x.reference)}
	reference := metricabi.StringColumn(metricabi.RoleExtra, metricabi.ArmShared, "reference", x.reference)
	reference.SetValid(x.has[0])
	t.Columns = append(t.Columns, reference)
	for arm := range x.output {
		c := metricabi.StringColumn(metricabi.RoleOutput, metricabi.Arm(arm+1), "", x.output[arm])
		c.SetValid(x.has[arm+1])
		t.Columns = append(t.Columns, c)
	}
	return t
}

// pieces make texts with every width of UTF-8, repetitions, and each kind of
// white space.
var pieces = []string{"a", "b", "ab", "the", "cat", "é", "日", "本語", "😀", "𝛼b", " ", "  ", "\n", "\t", "\u3000", "\u00a0", "\u2028", "\u0085", ".", "A"}

func drawTexts(seed uint64, rows int) texts {
	rng := rand.New(rand.NewPCG(seed, 3))
	text := func() string {
		var b strings.Builder
		for range rng.IntN(30) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		return b.String()
	}
	var x texts
	for range rows {
		x.reference = append(x.reference, text())
		for arm := range x.output {
			out := text()
			if rng.IntN(3) == 0 { // near the reference
				out = strings.Replace(x.reference[len(x.reference)-1], "a", "b", 1)
			}
			x.output[arm] = append(x.output[arm], out)
		}
		for c := range x.has {
			x.has[c] = append(x.has[c], rng.IntN(10) > 0)
		}
	}
	return x
}

// checkTexts compares a metric with a score in plain Go, of a reference that is
// not blank and an output.
func checkTexts(t *testing.T, name string, params map[string]any, score func(output, reference string) float64) {
	t.Helper()
	for seed, rows := range []int{0, 1, 200} {
		x := drawTexts(uint64(seed), rows)
		want := map[string][]float64{}
		var all [2]float64
		for arm := range all {
			v := []float64{}
			for i := range rows {
				switch {
				case !x.has[0][i] || strings.TrimSpace(x.reference[i]) == "":
					v = append(v, nan)
				case !x.has[arm+1][i]:
					v = append(v, 0)
				default:
					v = append(v, score(x.output[arm][i], x.reference[i]))
				}
			}
			all[arm] = meanOf(v)
			want[name+"_row."+string(rune('A'+arm))] = v
		}
		maps.Copy(want, twoArms(name, all))
		checkTable(t, name, x.table(), params, want)
	}
}

// fScore is the weighted harmonic mean of precision and recall.
func fScore(precision, recall, beta float64) float64 {
	if precision == 0 || recall == 0 {
		return 0
	}
	return (1 + beta*beta) / (1/precision + beta*beta/recall)
}

func withoutSpace(s string) []rune { return []rune(strings.Join(strings.Fields(s), "")) }

func TestChrFCountsSharedCharacterNGrams(t *testing.T) {
	chrF := func(order int, beta float64) func(string, string) float64 {
		return func(output, reference string) float64 {
			o, r := withoutSpace(output), withoutSpace(reference)
			grams := func(s []rune, n int) map[string]int {
				out := map[string]int{}
				for i := 0; i+n <= len(s); i++ {
					out[string(s[i:i+n])]++
				}
				return out
			}
			var precision, recall, orders float64
			for n := 1; n <= order && n <= len(o) && n <= len(r); n++ {
				mine, theirs, shared := grams(o, n), grams(r, n), 0
				for g, k := range mine {
					shared += min(k, theirs[g])
				}
				precision += float64(shared) / float64(len(o)-n+1)
				recall += float64(shared) / float64(len(r)-n+1)
				orders++
			}
			if orders == 0 {
				return 0
			}
			return fScore(precision/orders, recall/orders, beta)
		}
	}
	checkTexts(t, "chrf", nil, chrF(6, 2))
	checkTexts(t, "chrf", map[string]any{"order": 1, "beta": 1}, chrF(1, 1))
	checkTexts(t, "chrf", map[string]any{"order": 20, "beta": 0}, chrF(20, 0))
}

func TestROUGELIsTheLongestCommonSubsequence(t *testing.T) {
	rouge := func(split func(string) []string, beta float64) func(string, string) float64 {
		return func(output, reference string) float64 {
			o, r := split(output), split(reference)
			// length of the longest common subsequence of o[i:] and r[j:]
			l := make([][]int, len(o)+1)
			l[len(o)] = make([]int, len(r)+1)
			for i := len(o) - 1; i >= 0; i-- {
				l[i] = make([]int, len(r)+1)
				for j := len(r) - 1; j >= 0; j-- {
					if l[i][j] = max(l[i+1][j], l[i][j+1]); o[i] == r[j] {
						l[i][j] = 1 + l[i+1][j+1]
					}
				}
			}
			return fScore(float64(l[0][0])/float64(max(1, len(o))), float64(l[0][0])/float64(len(r)), beta)
		}
	}
	letters := func(s string) []string {
		var out []string
		for _, c := range s {
			if !unicode.IsSpace(c) {
				out = append(out, string(c))
			}
		}
		return out
	}
	checkTexts(t, "rouge_l", nil, rouge(strings.Fields, 1))
	checkTexts(t, "rouge_l", map[string]any{"unit": "character", "beta": 1.2}, rouge(letters, 1.2))
	refuses(t, "rouge_l", drawTexts(1, 3).table(), map[string]any{"unit": "line"}, "line, want word or character")
}

// pair is a table of one row of arm A.
func pair(output, reference string) metricabi.Table {
	return metricabi.Table{Rows: 1, Columns: []metricabi.Column{
		metricabi.StringColumn(metricabi.RoleExtra, metricabi.ArmShared, "reference", []string{reference}),
		metricabi.StringColumn(metricabi.RoleOutput, metricabi.ArmA, "", []string{output})}}
}

func TestTextScoresByHand(t *testing.T) {
	for name, c := range map[string]struct {
		metric, output, reference string
		params                    map[string]any
		want                      float64
	}{
		// Lin's example: police kill the gunman against police killed the
		// gunman shares "police the gunman", 3 of 4 words.
		"ROUGE-L of Lin's example":      {"rouge_l", "police kill the gunman", "police killed the gunman", nil, 0.75},
		"ROUGE-L of the other order":    {"rouge_l", "the gunman kill police", "police killed the gunman", nil, 0.5},
		"ROUGE-L of the same text":      {"rouge_l", "a b", " a  b ", nil, 1},
		"ROUGE-L of nothing shared":     {"rouge_l", "x", "a b", nil, 0},
		"ROUGE-L of an empty output":    {"rouge_l", "", "a b", nil, 0},
		"ROUGE-L by Japanese character": {"rouge_l", "猫は好き", "猫が好き", map[string]any{"unit": "character"}, 0.75},
		"chrF of the same text":         {"chrf", "a cat", "acat", nil, 1},
		"chrF of nothing shared":        {"chrf", "xyz", "acat", nil, 0},
		"chrF of an empty output":       {"chrf", " ", "acat", nil, 0},
		// Unigrams: P = 2/2, R = 2/3; bigrams: P = 1/1, R = 1/2. P = 1,
		// R = 7/12, F2 = 5 * 7/12 / (4 + 7/12) = 35/55.
		"chrF of ab against abc": {"chrf", "ab", "abc", nil, 7.0 / 11},
		// aab has a twice, the reference once: P = (2/3 + 1/2) / 2 = 7/12, R = 1.
		"chrF counts a repetition once": {"chrf", "aab", "ab", map[string]any{"beta": 1}, 14.0 / 19},
	} {
		t.Run(name, func(t *testing.T) {
			checkTable(t, c.metric, pair(c.output, c.reference), c.params,
				map[string][]float64{c.metric + ".A": {c.want}, c.metric + "_row.A": {c.want}})
		})
	}
}
