// Package thinking keeps a model's thinking in: of a text that a model generates it lets out what stands in its final
// section, and nothing else.
//
// A well-formed text is, with nothing but spaces, tabs and line ends between, before and after its sections,
//
//	<think-task>…</think-task><think-safety>…</think-safety><think-policy>…</think-policy><final>…</final>
//
// in that order and in exactly those characters. Whatever differs ends the text, and nothing more of it leaves. A final
// that is being written leaves as it comes, a stretch behind, so that no thinking that is repeated in it has begun to
// leave when it is seen; whoever wants only finals that turned out well-formed waits for Close.
package thinking

// Sections are the sections of a well-formed text, in their order. All but the last are thinking.
var Sections = [4]string{"think-task", "think-safety", "think-policy", "final"}

// Repeat is from which length on thinking that stands in the final is a leak: so many units of letters and digits, one
// after the other in both, whatever their case, width, accents and kana, and whatever spaces, punctuation, symbols and
// invisible characters stand between them. A letter or digit is one unit, a Han character, a hiragana or a katakana two.
// What stands in the query too is no leak: its writer knows it.
const Repeat = 24

// RepeatWhole is from which length on a section of thinking that is shorter than Repeat is a leak as a whole.
const RepeatWhole = 8

// MaxBytes bounds a generated text.
const MaxBytes = 1 << 20

// Reason says why a text is withheld.
type Reason string

// Reasons.
const (
	NoSections Reason = "no_sections" // it does not begin with <think-task>
	Between    Reason = "between"     // something else stands where the next section is due
	Nested     Reason = "nested"      // a section's tag stands inside thinking
	LookAlike  Reason = "look_alike"  // a section's tag, or what looks like one, stands inside the final
	Repeated   Reason = "repeated"    // thinking is repeated inside the final
	Cut        Reason = "cut"         // it ends before </final>
	Empty      Reason = "empty"       // its final says nothing
	TooLong    Reason = "too_long"    // it is longer than MaxBytes
)

var messages = map[Reason]string{
	NoSections: "the text does not begin with <think-task>: the model does not write the sections; take one that was trained to",
	Between:    "something other than the next section's tag stands between the sections",
	Nested:     "a section's tag stands inside thinking",
	LookAlike:  "a section's tag, or what looks like one, stands inside the final section",
	Repeated:   "the final section repeats the thinking",
	Cut:        "the text ends before its final section does; raise max_new_tokens",
	Empty:      "the final section is empty",
	TooLong:    "the text is longer than 1 MiB",
}

// Error is the end of a text that is not well-formed. It holds nothing that was generated.
type Error struct {
	Reason  Reason
	Section string // in which it ended or which was due; one of Sections
}

func (e *Error) Error() string {
	return "the generated text is withheld, at " + e.Section + ": " + messages[e.Reason]
}
