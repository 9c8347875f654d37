package store

import (
	"strings"

	"triality/experiments"
)

// MaxFolder is the longest path of a folder, in bytes.
const MaxFolder = 250

// checkFolder refuses what is no path of folders: parts with a slash between them, none of them empty. "" is the top.
func checkFolder(what, folder string) error {
	if folder == "" {
		return nil
	}
	if len(folder) > MaxFolder {
		return experiments.Errorf(experiments.CodeInvalid, "%s: folder of %d bytes, at most %d", what, len(folder), MaxFolder)
	}
	for part := range strings.SplitSeq(folder, "/") {
		if part == "" || strings.TrimSpace(part) != part || part == "." || part == ".." {
			return experiments.Errorf(experiments.CodeInvalid, "%s: folder %.100q: want names with / between them, such as team/project, without blanks around them", what, folder)
		}
	}
	return checkText(what+": folder", folder)
}
