package thinking

import (
	"strings"
	"unicode"
)

// tags finds what looks like a section's tag, in any case, width and script that is in lookAlikes, with anything
// invisible, spaces and punctuation inside, with or without its brackets:
//
//   - what opens like a tag, then think, with nothing but punctuation, spaces and invisible characters before and
//     between; so the tags of thinking that other models write are found too;
//   - the same with final, where a slash stands before it or what closes a tag behind it;
//   - think, then task, safety or policy, with nothing but punctuation and invisible characters between.
type tags struct {
	open  bool   // since a bracket, neither another letter nor a closing bracket
	slash bool   // behind it
	word  string // behind those
	run   []byte // letters and digits since the last space, the last few
}

const longestRun = len("thinkpoiicy")

// add reads a character as fold.add gives it; found says that one is there.
func (t *tags) add(r, folded rune) (found bool) {
	if folded == 0 {
		return t.mark(r)
	}
	s := skeleton(folded)
	if len(t.run) == longestRun {
		t.run = append(t.run[:0], t.run[1:]...)
	}
	t.run = append(t.run, s)
	for _, name := range [...]string{"thinktask", "thinksafety", "thinkpoiicy"} {
		if n := len(t.run) - len(name); n >= 0 && s == name[len(name)-1] && string(t.run[n:]) == name {
			return true
		}
	}
	if !t.open {
		return false
	}
	if t.word == "finai" { // "<final" goes on: a title, or a word such as finally
		t.open = false
		return false
	}
	t.word += string(s)
	switch {
	case t.word == "think":
		return true
	case t.word == "finai":
		return t.slash
	case !strings.HasPrefix("think", t.word) && !strings.HasPrefix("finai", t.word):
		t.open = false
	}
	return false
}

// mark reads what is no letter and no digit.
func (t *tags) mark(r rune) (found bool) {
	if unicode.IsSpace(r) {
		t.run = t.run[:0]
	}
	kind := brackets[r]
	switch {
	case kind == opening:
		*t = tags{open: true, run: t.run}
	case kind == closing && t.open:
		found = t.word == "finai"
		t.open = false
	case kind == slashing && t.open && t.word == "":
		t.slash = true
	case kind == slashing && t.open && t.word == "finai":
		found = true
	}
	return found
}

type bracket byte

const (
	opening bracket = iota + 1
	closing
	slashing // as the slash of a tag
)

var brackets = func() map[rune]bracket {
	out := map[rune]bracket{}
	for kind, all := range map[bracket]string{
		opening:  "<‹˂ᐸ≺≪⟨⟪〈〈❬❮❰⧼⦑ᚲ𝈶⪡⋖⊰«《",
		closing:  ">›˃ᐳ≻≫⟩⟫〉〉❭❯❱⧽⦒𝈷⪢⋗⊱»》",
		slashing: "/∕⁄⧸╱⟋\\∖⧵＼⼃",
	} {
		for _, r := range all {
			out[r] = kind
		}
	}
	return out
}()

// skeleton gives a folded letter the one of the sections' names that it looks like; i, l and 1 are one.
func skeleton(folded rune) byte {
	if folded < 0x80 {
		switch folded {
		case '1', 'L':
			return 'i'
		case '0':
			return 'o'
		case '5':
			return 's'
		case '3':
			return 'e'
		case '4':
			return 'a'
		case '7':
			return 't'
		}
		if 'A' <= folded && folded <= 'Z' {
			return byte(folded) - 'A' + 'a'
		}
		return byte(folded)
	}
	return lookAlikes[folded]
}

// lookAlikes are letters of other scripts that look like those of the sections' names, by their folded form.
var lookAlikes = func() map[rune]byte {
	out := map[rune]byte{}
	for letter, all := range map[byte]string{
		'a': "аαаɑᴀӕⱥꭺ", 'c': "сϲᴄⲥꮯ", 'e': "еεєᴇҽꭼⲉ", 'f': "ƒғꜰꞙϝք", 'h': "һнհʜꮋⲏ", 'i': "іιӏɪıІǀ∣ⲓꭵΙɩւյլ", 'k': "кκᴋқⲕꮶƙ",
		'n': "ոпηɴνꞑռᴎⲛ", 'o': "оοօᴏⲟɵσంಂഠ໐၀०੦૦௦०", 'p': "рρᴘⲣꮲ", 's': "ѕꜱʂꮪƽտ", 't': "тτᴛⲧꭲƭե", 'y': "уγүʏყⲩυ",
	} {
		for _, r := range all {
			if folded := simple(r); folded != 0 {
				out[folded] = letter
			}
		}
	}
	return out
}()
