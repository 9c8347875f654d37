package books

import (
	"errors"

	"triality/experiments"
	"triality/experiments/kinds"
	"triality/experiments/notebook"
)

// Part is the text of a notebook with the named cells and those that they need in place of all. What is wrong with others
// does not matter.
func Part(text string, cells []string) (string, error) {
	all := kinds.All(nil)
	d := notebook.Parse(configName, text)
	sound, problems := d.Sound(all)
	if len(problems) > 0 {
		d = notebook.Parse(configName, d.Blank(sound))
	}
	part, err := d.Part(all, cells...)
	switch {
	case errors.Is(err, notebook.ErrNoCell) && len(problems) > 0:
		p := problems[0]
		return "", experiments.Errorf(experiments.CodeInvalid, "%w, or it has a mistake, or needs a cell that has: %s", err, p)
	case err != nil:
		return "", experiments.Errorf(experiments.CodeInvalid, "%w", err)
	}
	return part.String(), nil
}
