package hub

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode"
)

// DefaultRevision is the branch that a reference without a revision means.
const DefaultRevision = "main"

// Ref names a model repository at a revision.
type Ref struct {
	Repo     string // "org/name"
	Revision string // branch, tag or commit
}

// String is "org/name@revision".
func (r Ref) String() string { return r.Repo + "@" + r.Revision }

// repoPart is one side of a repository's name. The Hub's own rule: letters, digits and ._- , not "--"
// or "..", no dot or dash at either end; "--" is what the cache puts for the slash.
var repoPart = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$`)

// maxRepo is the longest repository name, in bytes.
const maxRepo = 96

// ParseRef reads "org/name" or "org/name@revision". Without a revision it is DefaultRevision.
func ParseRef(s string) (Ref, error) {
	repo, revision, pinned := strings.Cut(s, "@")
	if !pinned {
		revision = DefaultRevision
	}
	r := Ref{Repo: repo, Revision: revision}
	return r, r.check()
}

func (r Ref) check() error {
	org, name, ok := strings.Cut(r.Repo, "/")
	if !ok || !repoPart.MatchString(org) || !repoPart.MatchString(name) || len(r.Repo) > maxRepo ||
		strings.Contains(r.Repo, "--") || strings.Contains(r.Repo, "..") || strings.HasSuffix(r.Repo, ".git") {
		return fmt.Errorf("%q is no repository name: want org/name or org/name@revision", r.Repo)
	}
	if err := checkRevision(r.Revision); err != nil {
		return fmt.Errorf("%s: %w", r.Repo, err)
	}
	return nil
}

// checkRevision refuses what is no git revision: it becomes a file's name under refs/.
func checkRevision(rev string) error {
	if err := checkName(rev); err != nil || strings.ContainsAny(rev, " ~^:?*[@") || len(rev) > 255 {
		return fmt.Errorf("%q is no revision: want a branch, a tag or a commit", rev)
	}
	return nil
}

// checkName refuses a path that would leave the folder it is put under, on any system.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || path.Clean(name) != name || path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../"):
		return fmt.Errorf("%q is no path inside a repository", name)
	case strings.Contains(name, `\`) || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }):
		return fmt.Errorf("%q has a character that no file of a repository may have", name)
	case len(name) > 1024:
		return fmt.Errorf("%.40q… is a name of %d bytes; 1024 is the most", name, len(name))
	}
	return nil
}

var (
	commitID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	sha1ID   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256ID = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// isCommit says whether a revision is a whole commit id, which never changes its content.
func isCommit(rev string) bool { return commitID.MatchString(rev) }
