package report

import (
	"html/template"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	marked "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"triality/runtime/printable"
)

// markdown renders prose. HTML in it is left out and addresses that are no http, https or mailto are emptied, as goldmark does
// unless it is told to be unsafe.
var markdown = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough),
	goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(below{}, 100))))

func prose(source string) (template.HTML, error) {
	var out strings.Builder
	if err := markdown.Convert([]byte(printable.Text(source)), &out); err != nil {
		return "", err
	}
	return template.HTML(out.String()), nil
}

// below puts headings under the report's own, and a picture's words in its place: a report asks nothing of a network.
type below struct{}

func (below) Transform(doc *ast.Document, _ marked.Reader, _ parser.Context) {
	var pictures []*ast.Image
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Heading:
			if entering {
				n.Level = min(n.Level+1, 6)
			}
		case *ast.Image:
			if entering {
				pictures = append(pictures, n)
			}
		}
		return ast.WalkContinue, nil
	})
	for _, p := range pictures {
		for c := p.FirstChild(); c != nil; {
			next := c.NextSibling()
			p.Parent().InsertBefore(p.Parent(), p, c)
			c = next
		}
		p.Parent().RemoveChild(p.Parent(), p)
	}
}
