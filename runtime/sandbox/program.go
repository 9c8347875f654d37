package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// program is what is started as a worker.
type program struct {
	named string      // Options.Executable; empty: this program
	own   string      // where this program was started from, outside Linux
	was   os.FileInfo // what lay there then
	err   error       // why it is not known
}

// selfExe is this program itself on Linux, whatever became of its file since.
const selfExe = "/proc/self/exe"

func findProgram(named string) program {
	p := program{named: named}
	if named == "" && runtime.GOOS != "linux" {
		if p.own, p.err = os.Executable(); p.err == nil {
			p.was, p.err = os.Stat(p.own)
		}
	}
	return p
}

// path returns the file to start. A worker of another version would not
// understand this one.
func (p *program) path() (string, error) {
	switch {
	case p.named != "":
		return p.named, nil
	case runtime.GOOS == "linux":
		if _, err := os.Lstat(selfExe); err != nil {
			return "", fmt.Errorf("metric modules need /proc, which is not mounted here: %w", err)
		}
		return selfExe, nil
	case p.err != nil:
		return "", fmt.Errorf("cannot find this program to start it as a worker: %w", p.err)
	}
	now, err := os.Stat(p.own)
	if err == nil && (!os.SameFile(now, p.was) || now.Size() != p.was.Size() || !now.ModTime().Equal(p.was.ModTime())) {
		err = errors.New("it is another file now")
	}
	if err != nil {
		return "", fmt.Errorf("%s was replaced since this program was started from it; start it again: %w", p.own, err)
	}
	return p.own, nil
}
