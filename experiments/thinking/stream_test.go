package thinking

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// marks are the letters of which thinking is written, and nothing else. Two are letters of other scripts; they have cases,
// widths and units as texts have.
var marks = []rune("βγδζθλξφψωბგდვზկմշղքжзюя密考推論隠カキクケサシチツ")

// isMark looks through case and width.
var isMark = func() map[rune]bool {
	out := map[rune]bool{}
	for _, m := range marks {
		for _, r := range []rune{m, unicode.ToUpper(m), unicode.ToTitle(m), []rune(width.Narrow.String(string(m)))[0], m - 0x60} {
			if r >= 0x80 {
				out[r] = true
			}
		}
	}
	return out
}()

// grammar makes texts as a model may write them that means harm, and tells which final they may give.
type grammar struct {
	*rand.Rand
	b        strings.Builder
	thoughts string
	clean    strings.Builder // the final, as far as nothing was wrong
	broken   bool
}

func pick[T any](g *grammar, of ...T) T { return of[g.IntN(len(of))] }

func (g *grammar) chance(percent int) bool { return g.IntN(100) < percent }

// thought is thinking.
func (g *grammar) thought() string {
	var b strings.Builder
	for range g.IntN(14) {
		for range 1 + g.IntN(5) {
			b.WriteRune(marks[g.IntN(len(marks))])
		}
		b.WriteString(pick(g, " ", ", ", "\n", "-", "1", "&", " < ", "ß"))
	}
	return b.String()
}

var clean = []string{"the ", "answer ", "is ", "no. ", "1 < 2 ", "a > b ", "x & y ", "(see below) ", "«so» ", "&lt; ", "è ", "🙂 ", "good-bye\n", "finally ", "I think ", "<b> ", "</b> ", "&amp;", "最終", "</fin"}

// harmless is words of a final.
func (g *grammar) harmless(most int) string {
	var b strings.Builder
	for range g.IntN(most) {
		b.WriteString(clean[g.IntN(len(clean))])
	}
	return b.String()
}

var invisible = []string{"\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\ufe0f", "\u0301", "\u202e", "\u180e", "\u115f", "\U000e0101"}

// alike spells a word so that it looks the same.
func (g *grammar) alike(word string) string {
	var b strings.Builder
	for _, r := range word {
		switch g.IntN(9) {
		case 0:
			r = unicode.ToUpper(r)
		case 1:
			if wide := []rune(width.Widen.String(string(r))); len(wide) == 1 {
				r = wide[0]
			}
		case 2:
			if same := []rune(map[rune]string{'t': "тτ", 'h': "һհ", 'i': "іı1", 'n': "ո", 'k': "кκ", 'a': "аα4", 's': "ѕ5", 'f': "ƒ", 'e': "е3", 'y': "у", 'p': "рρ", 'o': "о0", 'l': "ӏ1", 'c': "сϲ", '-': "‐‑–−_"}[r]); len(same) > 0 {
				r = pick(g, same...)
			}
		case 3:
			fmt.Fprintf(&b, pick(g, "&#%d;", "&#x%x;", "&#00000%d;", "&amp;#%d;"), r)
			continue
		}
		b.WriteRune(r)
		if g.chance(15) {
			b.WriteString(pick(g, invisible...))
		}
	}
	return b.String()
}

// tag looks like one of a section.
func (g *grammar) tag() string {
	name := pick(g, "think-task", "think-safety", "think-policy", "final", "think")
	slash := pick(g, "", "/", " / ", "∕")
	open, close := pick(g, "<", "＜", "‹", "〈", "&lt;", "&#60;", "&LT ", "&amp;lt;", "< ", "<\u200b"), pick(g, ">", "＞", " >", "&gt;", "")
	spelled := g.alike(name)
	if name == "final" && slash == "" && close == "" {
		close = ">" // else it is a word behind a sign
	}
	if name == "final" && slash == "/" && strings.HasPrefix(open, "<") {
		spelled += pick(g, " ", "\u200b", "x") // or it is the end
	}
	return open + slash + spelled + close
}

// again repeats a stretch of thinking that is long enough to be a leak.
func (g *grammar) again() string {
	all := []rune(g.thoughts)
	from := 0
	if len(all) > 0 {
		from = g.IntN(len(all))
	}
	end, long := from, 0
	for ; end < len(all) && long < Repeat; end++ {
		if folded := simple(all[end]); folded == 'ß' {
			long += 2
		} else if folded != 0 {
			long += units(folded)
		}
	}
	if long < Repeat {
		return ""
	}
	var b strings.Builder
	for _, r := range all[from:end] {
		switch g.IntN(8) {
		case 0:
			r = unicode.ToUpper(r)
		case 1:
			r = []rune(width.Narrow.String(string(r)))[0]
		case 2:
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		case 3:
			b.WriteString(pick(g, append(invisible, " ", "-", ". ", "\n", "*", "_")...))
		}
		b.WriteRune(r)
	}
	return b.String()
}

// final writes the final section.
func (g *grammar) final() {
	g.b.WriteString("<final>")
	g.clean.WriteString(g.harmless(12))
	g.b.WriteString(g.clean.String())
	for !g.broken && g.chance(55) {
		attack := g.tag()
		if g.chance(50) {
			if attack = g.again(); attack == "" {
				continue
			}
		}
		g.broken = true
		g.b.WriteString(attack + g.thought() + g.harmless(4) + g.thought())
	}
	g.b.WriteString("</final>")
}

// text is a whole text.
func (g *grammar) text() string {
	for i, name := range Sections[:3] {
		if g.chance(4) { // out of order, missing, spelled wrongly
			g.broken = true
			name = pick(g, Sections[g.IntN(4)], strings.ToUpper(name), name+" ", "")
		}
		inside := g.thought()
		if g.chance(4) {
			g.broken = true
			inside += "<" + pick(g, "", "/") + pick(g, Sections[(i+1)%3], "final") + ">" + g.thought()
		} else if g.chance(8) { // which says nothing inside thinking
			inside += g.alike("<Final>") + "< /think-task>" + "<think>"
			if strings.Contains(inside, "<final>") {
				g.broken = true
			}
			g.thoughts = g.thought() // what is before has references, which again might take apart
			inside += g.thoughts
		} else {
			g.thoughts += inside
		}
		g.b.WriteString("<" + name + ">" + inside + "</" + name + ">" + pick(g, "", "\n", " \r\n"))
		if g.chance(3) {
			g.broken = true
			g.b.WriteString(g.thought() + ".")
		}
	}
	g.final()
	for g.chance(30) { // what follows
		g.b.WriteString(g.thought() + pick(g, "", "<final>"+g.thought()+"</final>", "<think-task>", g.tag()))
	}
	return g.b.String()
}

// leak says what is wrong with what a filter makes of the text of a seed.
func leak(seed uint64) string {
	g := &grammar{Rand: rand.New(rand.NewPCG(seed, 13))}
	whole := g.text()
	cut := g.chance(15)
	if cut {
		whole = whole[:g.IntN(len(whole)+1)]
	}
	var out strings.Builder
	f := New("", func(s string) { out.WriteString(s) })
	size := pick(g, 1, 2, 4, 9, 40, len(whole)) // 1: at every byte
	for rest := whole; rest != ""; {
		n := min(len(rest), 1+g.IntN(max(1, size)))
		f.Write(rest[:n])
		rest = rest[n:]
	}
	err := f.Close()
	for _, r := range out.String() {
		if isMark[r] {
			return fmt.Sprintf("seed %d: %q leaves %q (%v)", seed, whole, out.String(), err)
		}
	}
	var withheld *Error
	switch said := folded(g.clean.String()).units > 0; {
	case !g.broken && !cut && said && (err != nil || out.String() != g.clean.String()):
		return fmt.Sprintf("seed %d: %q should leave %q, leaves %q: %v", seed, whole, g.clean.String(), out.String(), err)
	case !utf8.ValidString(out.String()):
		return fmt.Sprintf("seed %d: %q leaves half characters", seed, whole)
	case err != nil && (!errors.As(err, &withheld) || strings.ContainsFunc(err.Error(), func(r rune) bool { return isMark[r] })):
		return fmt.Sprintf("seed %d: the error tells of the text: %v", seed, err)
	case err == nil && g.broken && !cut && out.String() != g.clean.String():
		return fmt.Sprintf("seed %d: %q is taken for well-formed and leaves %q", seed, whole, out.String())
	}
	return ""
}

// TestNoThinkingLeavesAStream tries so many texts as TRIALITY_THINK_STREAMS says; 50,000 where it says nothing.
func TestNoThinkingLeavesAStream(t *testing.T) {
	count := 50_000
	if v := os.Getenv("TRIALITY_THINK_STREAMS"); v != "" {
		var err error
		if count, err = strconv.Atoi(v); err != nil {
			t.Fatalf("TRIALITY_THINK_STREAMS: %v", err)
		}
	}
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for seed := w; seed < count && !t.Failed(); seed += workers {
				if wrong := leak(uint64(seed)); wrong != "" {
					t.Error(wrong)
				}
			}
		}()
	}
	wg.Wait()
}

// FuzzFilter holds that neither where a text is cut nor what it says lets anything out but its final.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{text("a", "b", "c", "<final>Hello</final>"), text(secret, japanese, "", "<final>"+secret+"</final>"), "<think-task>", text("", "", "", "<final>&amp;lt;think</final>")} {
		f.Add("query", s, 3)
	}
	for seed := range uint64(50) {
		g := &grammar{Rand: rand.New(rand.NewPCG(seed, 13))}
		f.Add("", g.text(), int(seed))
	}
	f.Fuzz(func(t *testing.T, query, whole string, at int) {
		run := func(pieces ...string) (string, error) {
			var out strings.Builder
			f := New(query, func(s string) { out.WriteString(s) })
			for _, p := range pieces {
				f.Write(p)
			}
			return out.String(), f.Close()
		}
		out, err := run(whole)
		at = max(0, min(at, len(whole)))
		if got, gotErr := run(whole[:at], whole[at:]); got != out || fmt.Sprint(gotErr) != fmt.Sprint(err) {
			t.Errorf("%q, cut at %d: %q and %v; whole: %q and %v", whole, at, got, gotErr, out, err)
		}
		if begin := strings.Index(whole, "<final>"); out != "" {
			said := strings.ToValidUTF8(whole, "\ufffd")
			if begin < 0 || utf8.ValidString(whole) && !strings.HasPrefix(whole[begin+len("<final>"):], out) {
				t.Errorf("%q leaves %q", said, out)
			}
		}
	})
}
