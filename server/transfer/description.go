package transfer

import (
	"encoding/json"
	"fmt"

	"triality/experiments"
)

// version is that of the description; another one is refused by name.
const version = 1

// description is what a worker is told of its job's files.
type description struct {
	Version int        `json:"version"`
	Run     string     `json:"run"`
	Attempt int        `json:"attempt"`
	Config  string     `json:"config"`
	Files   []File     `json:"files"` // inputs, and what attempts before left
	Results []results  `json:"results"`
	Hub     []hubModel `json:"hub,omitempty"`
	Bucket  bool       `json:"bucket,omitempty"` // large files may go through one
}

func (d description) encode() ([]byte, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("files of run %s: %w", d.Run, err)
	}
	if len(text) > maxManifest {
		return nil, experiments.Errorf(experiments.CodeTooLarge, "run %s: its files' names take %d bytes, at most %d", d.Run, len(text), maxManifest)
	}
	return text, nil
}

// parseDescription reads a description and refuses paths that lead out of the job's folder.
func parseDescription(text []byte) (description, error) {
	var d description
	var v struct {
		Version int `json:"version"`
	}
	fail := func(err error) (description, error) {
		return d, experiments.Errorf(experiments.CodeInvalid, "the server's description of the job: %w", err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return fail(err)
	}
	if v.Version != version {
		return fail(fmt.Errorf("it has version %d and this worker reads %d: use the server's version of triality", v.Version, version))
	}
	if err := decode(text, &d); err != nil {
		return fail(err)
	}
	if err := checkFiles(d.Files); err != nil {
		return fail(err)
	}
	for _, m := range d.Hub {
		if err := checkFiles(m.Files); err != nil {
			return fail(fmt.Errorf("%s: %w", m.Repo, err))
		}
	}
	for _, r := range d.Results {
		if r.Tree == "." {
			continue
		}
		if err := checkPath(r.Tree); err != nil {
			return fail(err)
		}
	}
	return d, nil
}
