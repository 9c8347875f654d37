package notebook

import "strings"

// fence is an opening code fence as CommonMark 0.31 has it (4.5): three or more of ` or ~, at most three spaces before.
type fence struct {
	char   byte
	length int
	info   string
}

func opening(line string) (fence, bool) {
	f, rest, ok := run(line)
	if !ok {
		return f, false
	}
	f.info = strings.Trim(bare(rest), " \t")
	return f, f.char != '`' || !strings.Contains(f.info, "`")
}

// run reads a line's indentation and its fence characters; rest is what follows them.
func run(line string) (f fence, rest string, ok bool) {
	body := strings.TrimLeft(line, " ")
	if len(line)-len(body) > 3 || body == "" || body[0] != '`' && body[0] != '~' {
		return f, "", false
	}
	f.char = body[0]
	rest = strings.TrimLeft(body, string(f.char))
	f.length = len(body) - len(rest)
	return f, rest, f.length >= 3
}

// closedBy says whether a line is the end of the fence.
func (f fence) closedBy(line string) bool {
	c, rest, ok := run(line)
	return ok && c.char == f.char && c.length >= f.length && bare(rest) == ""
}

// content splits what follows an opening fence: the lines up to the closing one, and that, which is empty where the
// text ends before it.
func (f fence) content(text string) (body, closes string) {
	for n := 0; n < len(text); {
		l := firstLine(text[n:])
		if f.closedBy(l) {
			return text[:n], l
		}
		n += len(l)
	}
	return text, ""
}
