package powercut

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"triality/runtime/disk"
)

// node is a file, a folder or a symbolic link, apart from its names.
type node struct {
	kind   fs.FileMode // fs.ModeDir, fs.ModeSymlink or 0
	target string

	data   []byte // as a process sees it
	stored []byte // at the last sync
	writes []write

	names  map[string]*node // as a process sees them
	stable map[string]*node // at the folder's last sync
}

// write is a change of content that was not synced. A negative size is none.
type write struct {
	offset int64
	data   []byte
	size   int64 // the new length, of a truncation
}

func (w write) on(b []byte) []byte {
	if w.size >= 0 {
		if int64(len(b)) > w.size {
			return b[:w.size]
		}
		return append(b, make([]byte, w.size-int64(len(b)))...)
	}
	if end := w.offset + int64(len(w.data)); end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[w.offset:], w.data)
	return b
}

// change is what one step does to the names of one folder.
type change struct {
	dir *node
	set map[string]*node // nil: the name goes
}

// tree is a folder as it is for a process, and what of it is not yet on stable storage.
type tree struct {
	root    string
	top     *node
	pending []change
	open    map[uint64]*node
}

// read takes a folder in, all of it stable.
func read(root string) (*tree, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	top, err := readNode(root)
	return &tree{root: root, top: top, open: map[uint64]*node{}}, err
}

func readNode(path string) (*node, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	n := &node{kind: info.Mode().Type()}
	switch n.kind {
	case 0:
		n.data, err = os.ReadFile(path)
		n.stored = slices.Clone(n.data)
	case fs.ModeSymlink:
		n.target, err = os.Readlink(path)
	case fs.ModeDir:
		n.names = map[string]*node{}
		var entries []fs.DirEntry
		entries, err = os.ReadDir(path)
		for _, e := range entries {
			child, err := readNode(filepath.Join(path, e.Name()))
			if err != nil {
				return nil, err
			}
			n.names[e.Name()] = child
		}
		n.stable = maps.Clone(n.names)
	}
	return n, err
}

// clone copies a tree of which nothing is pending.
func (t *tree) clone() *tree {
	seen := map[*node]*node{}
	var of func(n *node) *node
	of = func(n *node) *node {
		if c := seen[n]; c != nil {
			return c
		}
		c := &node{kind: n.kind, target: n.target, data: slices.Clone(n.data), stored: n.stored}
		seen[n] = c
		if n.kind.IsDir() {
			c.names = map[string]*node{}
			for name, child := range n.names {
				c.names[name] = of(child)
			}
			c.stable = maps.Clone(c.names)
		}
		return c
	}
	return &tree{root: t.root, top: of(t.top), open: map[uint64]*node{}}
}

// find gives the folder that holds a path's last name, and that name.
func (t *tree) find(path string) (dir *node, name string, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, "", err
	}
	rel, err := filepath.Rel(t.root, abs)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return nil, "", fmt.Errorf("%s is outside %s", path, t.root)
	}
	dir = t.top
	if rel == "." {
		return dir, ".", nil
	}
	parts := strings.Split(rel, string(filepath.Separator))
	for _, p := range parts[:len(parts)-1] {
		if dir = dir.names[p]; dir == nil || !dir.kind.IsDir() {
			return nil, "", fmt.Errorf("%s: no folder %q was seen to be made", path, p)
		}
	}
	return dir, parts[len(parts)-1], nil
}

func (t *tree) lookup(path string) (*node, error) {
	dir, name, err := t.find(path)
	if err != nil || name == "." {
		return dir, err
	}
	if n := dir.names[name]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%s was not seen to be made", path)
}

// change does a step to the names of one folder.
func (t *tree) change(dir *node, set map[string]*node) {
	if len(set) == 0 {
		return
	}
	for name, n := range set {
		if n == nil {
			delete(dir.names, name)
		} else {
			dir.names[name] = n
		}
	}
	t.pending = append(t.pending, change{dir, set})
}

// apply does an operation.
func (t *tree) apply(op disk.Op) error {
	switch op.Kind {
	case disk.OpOpen:
		return t.openFile(op)
	case disk.OpWrite, disk.OpTruncate, disk.OpSync, disk.OpChmod, disk.OpClose:
		n := t.open[op.Handle]
		if n == nil {
			return fmt.Errorf("%s: the file was not seen to be opened", op)
		}
		t.content(n, op)
		return nil
	case disk.OpSyncDir:
		return t.syncDir(op)
	case disk.OpRename, disk.OpExchange, disk.OpLink:
		return t.move(op)
	}
	dir, name, err := t.find(op.Path)
	if err != nil {
		return err
	}
	switch op.Kind {
	case disk.OpMkdir:
		t.change(dir, map[string]*node{name: {kind: fs.ModeDir, names: map[string]*node{}, stable: map[string]*node{}}})
	case disk.OpSymlink:
		t.change(dir, map[string]*node{name: {kind: fs.ModeSymlink, target: op.To}})
	case disk.OpRemove:
		t.change(dir, map[string]*node{name: nil})
	default:
		return fmt.Errorf("unknown operation %s", op)
	}
	return nil
}

func (t *tree) openFile(op disk.Op) error {
	dir, name, err := t.find(op.Path)
	if err != nil {
		return err
	}
	n := dir.names[name]
	if n == nil {
		n = &node{}
		t.change(dir, map[string]*node{name: n})
	} else if op.Flag&os.O_TRUNC != 0 {
		t.content(n, disk.Op{Kind: disk.OpTruncate})
	}
	t.open[op.Handle] = n
	return nil
}

func (t *tree) content(n *node, op disk.Op) {
	switch op.Kind {
	case disk.OpWrite:
		n.writes = append(n.writes, write{offset: op.Offset, data: op.Data, size: -1})
	case disk.OpTruncate:
		n.writes = append(n.writes, write{size: op.Offset})
	case disk.OpSync:
		n.stored, n.writes = slices.Clone(n.data), nil
		return
	default:
		return
	}
	n.data = n.writes[len(n.writes)-1].on(n.data)
}

func (t *tree) move(op disk.Op) error {
	from, name, err := t.find(op.Path)
	if err != nil {
		return err
	}
	to, other, err := t.find(op.To)
	if err != nil {
		return err
	}
	n := from.names[name]
	if n == nil {
		return fmt.Errorf("%s: %s was not seen to be made", op, op.Path)
	}
	there, here := map[string]*node{other: n}, map[string]*node{}
	switch op.Kind {
	case disk.OpRename:
		here[name] = nil
	case disk.OpExchange:
		here[name] = to.names[other]
	}
	if from == to {
		maps.Copy(here, there) // the new name last: renaming to itself keeps it
		t.change(from, here)
		return nil
	}
	t.change(to, there)
	t.change(from, here)
	return nil
}

func (t *tree) syncDir(op disk.Op) error {
	dir, err := t.lookup(op.Path)
	if err != nil {
		return err
	}
	dir.stable = maps.Clone(dir.names)
	t.pending = slices.DeleteFunc(t.pending, func(c change) bool { return c.dir == dir })
	return nil
}
