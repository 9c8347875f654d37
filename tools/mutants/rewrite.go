//go:build unix

package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"golang.org/x/tools/go/packages"
)

// source is a package to be changed.
type source struct {
	*packages.Package
	path, dir string
	original  map[string][]byte
}

// change is one small change of the code.
type change struct {
	id       int // from 1
	kind     string
	file     string
	pos      token.Position
	from, to string
	line     string // of the source
	untried  string // notTried, or empty
}

func (c *change) String() string { return c.text(fmt.Sprintf(":%d:%d", c.pos.Line, c.pos.Column)) }

func (c *change) text(at string) string {
	return fmt.Sprintf("%s at %s%s %s -> %s | %s", c.kind, filepath.Base(c.file), at, c.from, c.to, strings.TrimSpace(c.line))
}

func load(pattern string) ([]*source, error) {
	list, err := packages.Load(&packages.Config{Mode: packages.LoadSyntax | packages.NeedModule}, pattern)
	if err != nil {
		return nil, err
	}
	var out []*source
	for _, p := range list {
		if len(p.Errors) > 0 {
			return nil, p.Errors[0]
		}
		if len(p.GoFiles) > 0 {
			out = append(out, &source{Package: p, path: p.PkgPath, dir: filepath.Dir(p.GoFiles[0]), original: map[string][]byte{}})
		}
	}
	return out, nil
}

// The kinds of changes, named as gremlins names them, and what stands for an operator.
var (
	boundary = map[token.Token]token.Token{token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR}
	negation = map[token.Token]token.Token{token.EQL: token.NEQ, token.NEQ: token.EQL, token.LSS: token.GEQ,
		token.GEQ: token.LSS, token.GTR: token.LEQ, token.LEQ: token.GTR}
	arithmetic = map[token.Token]token.Token{token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO,
		token.QUO: token.MUL, token.REM: token.MUL}
	helper = map[token.Token]string{token.LSS: "mutantLess", token.LEQ: "mutantAtMost", token.GTR: "mutantMore",
		token.GEQ: "mutantAtLeast", token.ADD: "mutantAdd", token.SUB: "mutantSub", token.MUL: "mutantMul",
		token.QUO: "mutantQuo", token.REM: "mutantRem"}
)

// edit is text that comes in the place of [at, to). Of edits at one place what ends an expression comes
// first, the inner before the outer, and what begins one last, the outer before the inner.
type edit struct {
	at, to int
	text   string
	order  int // 0 ends, 1 operator, 2 begins, 3 a sign that goes
	width  int // of the expression
}

// rewriter collects the changes and edits of one file.
type rewriter struct {
	s       *source
	tf      *token.File
	name    string
	lines   []string
	changes *[]*change
	edits   []edit
	leave   map[int]bool // lines whose rewritten code does not compile
}

// rewrite finds the changes; apply writes them.
func (s *source) rewrite(only *regexp.Regexp) ([]*change, error) {
	var changes []*change
	for _, f := range s.Syntax {
		name := s.Fset.File(f.FileStart).Name()
		if ast.IsGenerated(f) || !only.MatchString(filepath.Base(name)) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		s.original[name] = text
	}
	_, err := s.apply(nil, &changes)
	return changes, err
}

// apply makes every file's text with the changes in it, but for the lines to leave.
func (s *source) apply(leave map[string]map[int]bool, changes *[]*change) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, f := range s.Syntax {
		name := s.Fset.File(f.FileStart).Name()
		text, ok := s.original[name]
		if !ok {
			continue
		}
		r := &rewriter{s: s, tf: s.Fset.File(f.FileStart), name: name, lines: strings.Split(string(text), "\n"), changes: changes, leave: leave[name]}
		r.walk(f, false)
		out[name] = r.text(text)
	}
	return out, nil
}

func (r *rewriter) text(text []byte) []byte {
	sort.SliceStable(r.edits, func(i, j int) bool {
		a, b := r.edits[i], r.edits[j]
		switch {
		case a.at != b.at:
			return a.at < b.at
		case a.order != b.order:
			return a.order < b.order
		case a.order == 0:
			return a.width < b.width
		}
		return a.width > b.width
	})
	var b strings.Builder
	at := 0
	for _, e := range r.edits {
		b.Write(text[at:e.at])
		b.WriteString(e.text)
		at = e.to
	}
	b.Write(text[at:])
	return []byte(b.String())
}

// walk visits the nodes. constant says that only constants may stand there.
func (r *rewriter) walk(n ast.Node, constant bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			if n.Tok == token.CONST && !constant {
				r.walk(n, true)
				return false
			}
		case *ast.ArrayType:
			if n.Len != nil && !constant {
				r.walk(n.Len, true)
				r.walk(n.Elt, false)
				return false
			}
		case *ast.BinaryExpr:
			r.binary(n, constant)
		case *ast.UnaryExpr:
			if n.Op == token.SUB {
				r.negative(n, constant)
			}
		case *ast.IncDecStmt:
			r.step(n)
		}
		return true
	})
}

// add notes a change and gives its number, 0 where it is not to be tried.
func (r *rewriter) add(kind string, at token.Pos, from, to token.Token, untried bool) int {
	pos := r.tf.Position(at)
	c := &change{id: len(*r.changes) + 1, kind: kind, file: r.name, pos: pos, from: from.String(), to: to.String(), line: r.lines[pos.Line-1]}
	*r.changes = append(*r.changes, c)
	if untried || r.leave[pos.Line] {
		c.untried = notTried
		return 0
	}
	return c.id
}

func (r *rewriter) offset(p token.Pos) int { return r.tf.Offset(p) }

// wrap puts text around an expression.
func (r *rewriter) wrap(n ast.Node, before, after string) {
	a, b := r.offset(n.Pos()), r.offset(n.End())
	r.edits = append(r.edits, edit{a, a, before, 2, b - a}, edit{b, b, after, 0, b - a})
}

func (r *rewriter) operator(at token.Pos, op token.Token) {
	o := r.offset(at)
	r.edits = append(r.edits, edit{o, o + len(op.String()), ",", 1, 0})
}

func (r *rewriter) binary(n *ast.BinaryExpr, constant bool) {
	info := r.s.TypesInfo.Types[n]
	if to, ok := negation[n.Op]; ok {
		if over, ok := boundary[n.Op]; ok {
			a := r.add("CONDITIONALS_BOUNDARY", n.OpPos, n.Op, over, info.Value != nil)
			b := r.add("CONDITIONALS_NEGATION", n.OpPos, n.Op, to, info.Value != nil)
			if a > 0 {
				r.wrap(n, fmt.Sprintf("%s(%d, %d, ", helper[n.Op], a, b), ")")
				r.operator(n.OpPos, n.Op)
			}
		} else if a := r.add("CONDITIONALS_NEGATION", n.OpPos, n.Op, to, info.Value != nil); a > 0 {
			r.wrap(n, fmt.Sprintf("mutantNot(%d, ", a), ")")
		}
		return
	}
	to, ok := arithmetic[n.Op]
	basic, _ := info.Type.Underlying().(*types.Basic)
	if !ok || basic != nil && basic.Info()&types.IsString != 0 { // no change of texts compiles
		return
	}
	a := r.add("ARITHMETIC_BASE", n.OpPos, n.Op, to, constant)
	if a == 0 {
		return
	}
	before, after := fmt.Sprintf("%s(%d, ", helper[n.Op], a), ")"
	if info.Value != nil { // of constants without a type the place decides
		t := types.TypeString(info.Type, r.qualifier)
		before, after = t+"("+before+t+"(", "))"
		end := r.offset(n.X.End())
		r.edits = append(r.edits, edit{end, end, ")", 0, end - r.offset(n.X.Pos())})
	}
	r.wrap(n, before, after)
	r.operator(n.OpPos, n.Op)
}

func (r *rewriter) qualifier(p *types.Package) string {
	if p == r.s.Types {
		return ""
	}
	return p.Name()
}

func (r *rewriter) negative(n *ast.UnaryExpr, constant bool) {
	a := r.add("INVERT_NEGATIVES", n.OpPos, token.SUB, token.ADD, constant)
	if a == 0 {
		return
	}
	o := r.offset(n.OpPos)
	r.edits = append(r.edits, edit{o, o + 1, "", 3, 0})
	before, after := fmt.Sprintf("mutantNeg(%d, ", a), ")"
	if info := r.s.TypesInfo.Types[n]; info.Value != nil {
		before, after = before+types.TypeString(info.Type, r.qualifier)+"(", "))"
	}
	r.wrap(n, before, after)
}

func (r *rewriter) step(n *ast.IncDecStmt) {
	to, name := token.DEC, "mutantOne"
	if n.Tok == token.DEC {
		to, name = token.INC, "mutantMinusOne"
	}
	a := r.add("INCREMENT_DECREMENT", n.TokPos, n.Tok, to, false)
	if a == 0 {
		return
	}
	x := string(r.s.original[r.name][r.offset(n.X.Pos()):r.offset(n.X.End())])
	o := r.offset(n.TokPos)
	r.edits = append(r.edits, edit{o, o + 2, fmt.Sprintf("+= %s(%d, %s)", name, a, x), 1, 0})
}
