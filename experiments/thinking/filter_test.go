package thinking

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// text puts a final behind thinking.
func text(task, safety, policy, rest string) string {
	return "<think-task>" + task + "</think-task>\n<think-safety>" + safety + "</think-safety>\n<think-policy>" + policy + "</think-policy>\n" + rest
}

const (
	secret   = "the account of customer 4711 was closed for suspected fraud"
	japanese = "利用者の口座は不正利用の疑いで凍結されている"
)

// everyCut is what leaves a text that comes whole, byte by byte, and cut at each place.
func everyCut(t *testing.T, query, whole string) (string, error) {
	t.Helper()
	run := func(pieces ...string) (string, error) {
		var out strings.Builder
		f := New(query, func(s string) { out.WriteString(s) })
		for _, p := range pieces {
			f.Write(p)
		}
		return out.String(), f.Close()
	}
	out, err := run(whole)
	for i := range whole {
		got, gotErr := run(whole[:i], whole[i:])
		if got != out || fmt.Sprint(gotErr) != fmt.Sprint(err) {
			t.Errorf("cut at byte %d, %q and %v leave; whole, %q and %v", i, got, gotErr, out, err)
		}
	}
	got, gotErr := run(strings.Split(whole, "")...)
	if got != out || fmt.Sprint(gotErr) != fmt.Sprint(err) {
		t.Errorf("character by character, %q and %v leave; whole, %q and %v", got, gotErr, out, err)
	}
	return out, err
}

func TestTheFinalOfAWellFormedTextLeaves(t *testing.T) {
	for name, c := range map[string]struct{ whole, want string }{
		"plain":                                  {text("a", "b", "c", "<final>Hello there.</final>"), "Hello there."},
		"line breaks around":                     {"\r\n\t " + text("a", "b", "c", "<final> Hello\n</final>\n\n"), " Hello\n"},
		"sections without thinking":              {text("", "", "", "<final>Hello</final>"), "Hello"},
		"less-than signs and references":         {text("", "", "", "<final>1 < 2 &amp; 3 &lt; 4, <b>x</b> </x> & a</final>"), "1 < 2 &amp; 3 &lt; 4, <b>x</b> </x> & a"},
		"the beginning of the end":               {text("", "", "", "<final>a </fi </fin< </final>"), "a </fi </fin< "},
		"the words of tags as words":             {text("", "", "", "<final>I think safety comes first: a final task, finally. 《Final Fantasy》 «finalement»</final>"), "I think safety comes first: a final task, finally. 《Final Fantasy》 «finalement»"},
		"look-alikes inside thinking":            {text("< final >x</final >", "＜final＞", "<FINAL>", "<final>Hello</final>"), "Hello"},
		"a short word of the thinking":           {text("fraud", secret, "", "<final>A suspected fraud is looked into.</final>"), "A suspected fraud is looked into."},
		"what follows the first final stays in":  {text("", "", "", "<final>One</final> two <final>Three</final><think-task>x"), "One"},
		"another script":                         {text("考え", japanese, "", "<final>お答えできません。🙂</final>"), "お答えできません。🙂"},
		"the thinking quotes what the query has": {text("the user asks: is the suspected fraud of customer 12 known", "", "", "<final>Is the suspected fraud of customer 12 known? No.</final>"), "Is the suspected fraud of customer 12 known? No."},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := everyCut(t, "is the suspected fraud of customer 12 known?", c.whole)
			if err != nil || got != c.want {
				t.Errorf("%q leaves, want %q: %v", got, c.want, err)
			}
		})
	}
}

func TestATextThatIsNotWellFormedIsWithheld(t *testing.T) {
	think := func(rest string) string { return text("plan", secret, japanese, rest) }
	for name, c := range map[string]struct {
		whole  string
		want   Reason
		leaves string
	}{
		"no sections":                      {whole: "The answer is 4.", want: NoSections},
		"nothing":                          {want: NoSections},
		"words before the sections":        {whole: "Well. " + think("<final>x</final>"), want: NoSections},
		"a final without thinking":         {whole: "<final>x</final>", want: NoSections},
		"a section is missing":             {whole: "<think-task>a</think-task><final>x</final>", want: Between},
		"sections in another order":        {whole: "<think-task>a</think-task><think-policy>b</think-policy>", want: Between},
		"words between sections":           {whole: "<think-task>a</think-task>secret<think-safety>", want: Between},
		"a tag in capitals":                {whole: "<think-task>a</think-task><Think-safety>", want: Between},
		"a tag with a space":               {whole: "<think-task >a</think-task>", want: NoSections},
		"a final inside thinking":          {whole: "<think-task>I shall write <final>secret</final>", want: Nested},
		"another's end inside thinking":    {whole: "<think-task>a</think-safety>", want: Nested},
		"a section inside itself":          {whole: "<think-task>a<think-task>b</think-task>", want: Nested},
		"cut in a section":                 {whole: "<think-task>a</think-task><think-safety>b", want: Cut},
		"cut between sections":             {whole: "<think-task>a</think-task>\n", want: Cut},
		"cut in the final":                 {whole: think("<final>Hello"), want: Cut},
		"cut in a long final":              {whole: think("<final>Hello, this is a long answer to it</fina"), want: Cut, leaves: "Hello, this"},
		"an empty final":                   {whole: think("<final> …</final>"), want: Empty},
		"thinking in the final":            {whole: think("<final>Hello<think-safety>x</think-safety></final>"), want: LookAlike},
		"a final in the final":             {whole: think("<final>Hello<final>x</final></final>"), want: LookAlike},
		"another model's thinking":         {whole: think("<final>Hello<think>x</think></final>"), want: LookAlike},
		"an end with a space":              {whole: think("<final>Hello</final >x</final>"), want: LookAlike},
		"a tag without its brackets":       {whole: think("<final>[think-policy] x</final>"), want: LookAlike},
		"a reference as the last word":     {whole: think("<final>Hello &ltthink</final>"), want: LookAlike},
		"thinking, verbatim":               {whole: think("<final>Well: " + secret + "</final>"), want: Repeated, leaves: "Well: "},
		"thinking, in capitals":            {whole: think("<final>Well: " + strings.ToUpper(secret) + "</final>"), want: Repeated, leaves: "Well: "},
		"thinking, spelled":                {whole: think("<final>Well: " + strings.Join(strings.Split(secret, ""), "\u200b - ") + "</final>"), want: Repeated, leaves: "Well: "},
		"the end of the thinking":          {whole: think("<final>Well: " + secret[len(secret)-30:] + "</final>"), want: Repeated, leaves: "Well: "},
		"thinking over two sections":       {whole: text("the account of cus", "tomer 4711", "", "<final>The account of customer 4711</final>"), want: Repeated},
		"thinking as references":           {whole: text("", "", "fraud & theft of 4711 accounts", "<final>&#102;raud &amp; theft of 4711 a&#x63;counts</final>"), want: Repeated},
		"thinking with accents":            {whole: think("<final>thé account öf customer 4711 wàs closed</final>"), want: Repeated},
		"thinking in wide letters":         {whole: think("<final>ｔｈｅ　ａｃｃｏｕｎｔ　ｏｆ　ｃｕｓｔｏｍｅｒ　４７１１</final>"), want: Repeated},
		"thinking in Japanese":             {whole: think("<final>口座は不正利用の疑いで凍結されている</final>"), want: Repeated},
		"thinking in the other kana":       {whole: text("", "", "コノヒトノコウザハトウケツ", "<final>このひとのこうざはとうけつ</final>"), want: Repeated},
		"thinking in narrow kana":          {whole: text("", "", "ガイコクノコウザハトウケツ", "<final>ｶﾞｲｺｸﾉｺｳｻﾞﾊﾄｳｹﾂ</final>"), want: Repeated},
		"a short section as a whole":       {whole: text("suspected", "", "", "<final>It is s.u.s.p.e.c.t.e.d to be</final>"), want: Repeated},
		"a capital that is two letters":    {whole: text("", "", "die straße nach münchen und weiter", "<final>STRASSE NACH MÜNCHEN UND WEITER</final>"), want: Repeated},
		"letters that nobody sees":         {whole: think("<final>Hello \U000e0074\U000e0068</final>"), want: LookAlike},
		"thinking behind a long clean one": {whole: think("<final>This is a clean beginning of an answer. " + secret + "</final>"), want: Repeated, leaves: "This is a clean beginning of an answer. "},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := everyCut(t, "", c.whole)
			var withheld *Error
			if !errors.As(err, &withheld) || withheld.Reason != c.want {
				t.Fatalf("%v, want %s", err, c.want)
			}
			if !strings.HasPrefix(c.leaves, strings.TrimSpace(got)) {
				t.Errorf("%q leaves", got)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "4711") {
				t.Errorf("the error tells of the text: %v", err)
			}
			if got, err := Apply("", c.whole); got != "" || err == nil {
				t.Errorf("as a whole, %q leaves", got)
			}
		})
	}
}

func TestEveryLookAlikeOfATagInTheFinalEndsIt(t *testing.T) {
	for _, tag := range []string{
		"<THINK-TASK>", "< think-task>", "<\u200bthink-task>", "<t\u00adhink-task>", "<think\u2011safety>", "<think\u2013safety>", "<think_safety>", "<thinkpolicy>",
		"＜think-task＞", "＜ｔｈｉｎｋ－ｔａｓｋ＞", "﹤think-task﹥", "‹think-task›", "〈think-task〉", "⟨think-task⟩", "《think-task》", "«think-task»",
		"&lt;think-task&gt;", "&#60;think-task&#62;", "&#x3C;think-task>", "&#x000003c;think-task>", "&lt think-task", "&ltthink-task&gt", "&amp;lt;think-task&amp;gt;", "&amp;amp;lt;think>", "&#38;lt;think>",
		"<&#116;hink-task>", "&lt;&#116;&#104;&#105;&#110;&#107;", "&lt;&#0000116;&#0000104;&#0000105;&#0000110;&#0000107;",
		"<тhіnk-tаsk>", "<ｔһink-task>", "<𝐭𝐡𝐢𝐧𝐤-𝐭𝐚𝐬𝐤>", "<ⓣⓗⓘⓝⓚ-task>", "<th1nk-task>", "<τhink-task>", "<t\u0301h\u0301ink-task>", "<thinκ-task>", "<ᴛʜɪɴᴋ-task>",
		"</think-task>", "< / think-task >", "<\\think-task>", "<|think-task|>", "<!think-task>", "<//think>",
		"[think-safety]", "(think-policy)", "think-task:", "THINK_SAFETY", "**think-policy**", "thіnk-sаfety",
		"<FINAL>", "</FINAL>", "</ final>", "</final >", "</final/>", "＜/final＞", "&lt;/final&gt;", "</fina1>", "</fіnal>", "</final\u200b>", "<final >", "«final»", "《final/》",
		"<\U000e0074think>",
	} {
		whole := text("", "", "", "<final>A clean answer that is longer than what waits. "+tag+"MARK</final>")
		got, err := everyCut(t, "", whole)
		var withheld *Error
		if !errors.As(err, &withheld) || withheld.Reason != LookAlike {
			t.Errorf("%q: %v", tag, err)
		}
		if strings.Contains(got, "M") {
			t.Errorf("%q: %q leaves", tag, got)
		}
	}
}

func TestALetterLooksLikeOneLetterAlone(t *testing.T) {
	if skeleton(simple('п')) == skeleton(simple('т')) || skeleton(simple('к')) != 'k' || skeleton(simple('η')) != 'n' || skeleton(simple('Ѕ')) != 's' {
		t.Error("look-alikes are mixed up")
	}
}

func TestATextIsBounded(t *testing.T) {
	f := New("", func(string) {})
	f.Write("<think-task>")
	piece := strings.Repeat("x", 1<<16)
	for range MaxBytes/len(piece) + 1 {
		f.Write(piece)
	}
	var withheld *Error
	if err := f.Close(); !errors.As(err, &withheld) || withheld.Reason != TooLong {
		t.Error(err)
	}
}

func TestDigestsAreOfCompleteSectionsAndTheirKey(t *testing.T) {
	digests := func(key, whole string) map[string]string {
		f := New("", func(string) {})
		f.Write(whole)
		return f.Digests([]byte(key))
	}
	whole := text("a", "b", "a", "<final>Hello there</final>")
	one, other := digests("k", whole), digests("l", whole)
	if len(one) != 4 || one["final"] == other["final"] || one["think-task"] == one["think-policy"] || one["final"] != digests("k", whole)["final"] {
		t.Errorf("%v %v", one, other)
	}
	if cut := digests("k", "<think-task>a</think-task><think-safety>b"); len(cut) != 1 || cut["think-task"] != one["think-task"] {
		t.Errorf("of a cut text: %v", cut)
	}
	if final := digests("k", text("a", "b", "a", "<final>Hello there")); len(final) != 3 {
		t.Errorf("of a cut final: %v", final)
	}
}
