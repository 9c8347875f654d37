package notebook

import (
	"errors"
	"strings"
	"testing"
)

const book = "---\ntitle: Ranks\n---\n\n# Does rank matter?\n\nProse with `code`.\n\n" +
	"```triality convert id=data\ndata:\n  input_path: rows.jsonl\n```\n\n" +
	"Between.\n\n~~~ triality finetune id=tune\nbase_model: m\ndataset: ${data.dataset}\n~~~\n\n" +
	"```go\n```triality convert id=no\n```\n\nEnd"

func ids(d *Document) string {
	var out []string
	for _, b := range d.Cells() {
		out = append(out, b.Cell.Kind+" "+b.Cell.ID)
	}
	return strings.Join(out, ", ")
}

func TestParsingSplitsFrontMatterProseAndCells(t *testing.T) {
	d := Parse("b.md", book)
	if got := ids(d); got != "convert data, finetune tune" {
		t.Errorf("cells are %s", got)
	}
	if d.Blocks[0].Type != FrontMatter || d.Blocks[0].Text != "---\ntitle: Ranks\n---\n" {
		t.Errorf("first block is %+v", d.Blocks[0])
	}
	for _, b := range d.Cells() {
		first := strings.Split(book, "\n")[b.Line-1]
		if !strings.Contains(first, b.Cell.ID) {
			t.Errorf("cell %s is said to begin at line %d: %q", b.Cell.ID, b.Line, first)
		}
	}
	if p := d.Problems(); len(p) != 0 {
		t.Errorf("problems: %v", p)
	}
}

func TestWhatIsACell(t *testing.T) {
	for text, want := range map[string]string{
		"```triality a id=x\n```\n":                              "a x",
		"   ```triality a id=x\n   ```":                          "a x",
		"    ```triality a id=x\n    ```":                        "", // indented code
		"- ```triality a id=x\n  ```":                            "", // in a list
		"````md\n```triality a id=x\n```\n````\n":                "", // shown, not meant
		"```` triality a id=x\n```\n````\n":                      "a x",
		"```triality a id=x\r\nk: 1\r\n```\r\n":                  "a x",
		"```triality\ta  id=x\n```\n":                            "a x",
		"```trialityx a id=x\n```\n":                             "",
		"``triality a id=x\n``\n":                                "",
		"```triality a `id=x\n```\n":                             "",
		"~~~triality a id=x\n```\n~~~\n":                         "a x",
		"```triality a id=x\n``` no end\n```\n":                  "a x",
		"text\n```triality a id=x\n```\n```triality b id=y\n```": "a x, b y",
	} {
		d := Parse("b.md", text)
		if got := ids(d); got != want {
			t.Errorf("%q has cells %q, want %q", text, got, want)
		}
		if d.String() != text {
			t.Errorf("%q is printed as %q", text, d)
		}
	}
}

func TestAMistakeIsFoundAtItsLineAndTheRestIsUsable(t *testing.T) {
	for text, want := range map[string]string{
		"```triality\n```\n":                                                         `line 1: cell 1: the cell has no kind; write "triality KIND id=NAME"; line 1: cell 1: the cell has no name; write "triality KIND id=NAME"`,
		"\n```triality a\n```\n":                                                     `line 2: cell 1: the cell has no name; write "triality KIND id=NAME"`,
		"```triality id=x\n```\n":                                                    `line 1: x: the cell has no kind; write "triality KIND id=NAME"`,
		"```triality a id=x id=y\n```\n":                                             `line 1: x: the cell has two names; write "triality KIND id=NAME"`,
		"```triality a id=x b\n```\n":                                                `line 1: x: "b" is not understood; write "triality KIND id=NAME"`,
		"```triality a id=ä\n```\n":                                                  `line 1: ä: "ä" is no name: letters, digits, - and _, at most 64`,
		"```triality ä id=x\n```\n":                                                  `line 1: x: "ä" is no kind; write "triality KIND id=NAME"`,
		"```triality a id=x\n```\n```triality a id=x\n```\n":                         `line 3: x: line 1 has a cell of this name`,
		"p\n~~~~triality a id=x\nk: 1\n~~~\n":                                        `line 2: x: the fence has no end: a line ~~~~`,
		"---\ntitle: x\n\n```triality a id=x\n```\n":                                 `line 1: the front matter has no end: a line "---"`,
		"---\ntitle: x\n---\n```triality a id=x\n```\n":                              ``,
		"```triality a id=x\n<<<<<<< ours\nk: 1\n=======\nk: 2\n>>>>>>> theirs\n```": ``, // the body's, found where it is read
	} {
		var got []string
		d := Parse("b.md", text)
		for _, p := range d.Problems() {
			got = append(got, p.String())
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%q:\n got %s\nwant %s", text, strings.Join(got, "; "), want)
		}
	}
}

func TestAnEditChangesItsCellAlone(t *testing.T) {
	for _, text := range []string{book, strings.ReplaceAll(book, "\n", "\r\n"), "```triality a id=tune", "x\n```triality a id=tune\nold: 1", "~~~triality a id=tune\n~~~"} {
		for _, body := range []string{"", "k: 1\n", "k: 1", "```\n", "~~~\n", "~~~~~~\n", "s: |\n  ~~~\n  ```\n", "````triality x id=y\n"} {
			d := Parse("b.md", text)
			i, err := d.find("tune")
			if err != nil {
				t.Fatal(err)
			}
			before, after := join(d.Blocks[:i]), join(d.Blocks[i+1:])
			if err := d.SetBody("tune", body); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(d.String(), before) || !strings.HasSuffix(d.String(), after) {
				t.Errorf("%q in %q changed what is outside: %q", body, text, d)
			}
			i, err = d.find("tune")
			if err != nil {
				t.Fatalf("%q in %q: %v: %q", body, text, err, d)
			}
			if got := d.Blocks[i].Cell.Body; strings.TrimRight(got, "\r\n") != strings.TrimRight(body, "\r\n") {
				t.Errorf("%q in %q is read as %q", body, text, got)
			}
			if p := d.Problems(); len(p) > 0 {
				t.Errorf("%q in %q: %v", body, text, p)
			}
		}
	}
}

func join(blocks []Block) string { return (&Document{Blocks: blocks}).String() }

func TestSettingTheSameBodyChangesNothing(t *testing.T) {
	d := Parse("b.md", book)
	for _, b := range d.Cells() {
		if err := d.SetBody(b.Cell.ID, b.Cell.Body); err != nil {
			t.Fatal(err)
		}
	}
	if d.String() != book {
		t.Errorf("got %q", d)
	}
}

func TestCellsAreAddedRenamedAndRemoved(t *testing.T) {
	d := Parse("b.md", book)
	if err := d.Insert(len(d.Blocks), "report", "rep", "ab: ${x.result}"); err != nil {
		t.Fatal(err)
	}
	if err := d.Insert(0, "convert", "first", "```\n"); err != nil {
		t.Fatal(err)
	}
	if err := d.SetInfo("tune", "finetune", "tuned"); err != nil {
		t.Fatal(err)
	}
	if got := ids(d); got != "convert first, convert data, finetune tuned, report rep" {
		t.Errorf("cells are %s", got)
	}
	if d.Blocks[0].Type != FrontMatter {
		t.Error("a cell stands before the front matter")
	}
	for _, id := range []string{"rep", "first"} {
		if err := d.Remove(id); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.SetInfo("tuned", "finetune", "tune"); err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(book, "~~~ triality", "~~~triality", 1) + "\n"; strings.TrimRight(d.String(), "\n") != strings.TrimRight(want, "\n") {
		t.Errorf("got %q\nwant %q", d, want)
	}
	for _, err := range []error{d.SetBody("none", ""), d.Remove("none"), d.SetInfo("none", "a", "b")} {
		if !errors.Is(err, ErrNoCell) {
			t.Errorf("an edit of a cell that is not there gives %v", err)
		}
	}
	for _, err := range []error{d.Insert(0, "convert", "data", ""), d.Insert(0, "a`", "x", ""), d.Insert(0, "a", "x y", ""), d.Insert(99, "a", "x", ""), d.SetInfo("tune", "finetune", "data")} {
		if err == nil {
			t.Error("an edit that makes no notebook is done")
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{book, "", "---", "```triality a id=x", "~~~~triality\n~~~", "\xff```triality a id=x\n\x00"} {
		f.Add(s, "k: 1\n```\n")
	}
	f.Fuzz(func(t *testing.T, text, body string) {
		d := Parse("b.md", text)
		if d.String() != text {
			t.Fatalf("%q is printed as %q", text, d)
		}
		d.Problems()
		for i, b := range d.Blocks {
			if b.Type != CellBlock || b.Cell.ID == "" {
				continue
			}
			if first, _ := d.find(b.Cell.ID); first != i {
				continue
			}
			before, after := join(d.Blocks[:i]), join(d.Blocks[i+1:])
			e := Parse("b.md", text)
			if err := e.SetBody(b.Cell.ID, body); err != nil {
				t.Fatal(err)
			}
			if got := e.String(); !strings.HasPrefix(got, before) || !strings.HasSuffix(got, after) {
				t.Fatalf("%q as body of %s in %q changes what is outside: %q", body, b.Cell.ID, text, got)
			}
			if len(e.Cells()) != len(d.Cells()) {
				t.Fatalf("%q as body of %s in %q changes the cells: %q", body, b.Cell.ID, text, e)
			}
		}
	})
}
