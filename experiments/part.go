package experiments

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// TagSweep is the tag by which a run that is a part of another says which of its steps asked for it.
const TagSweep = "sweep"

const partSeparator = "."

// PartID is the id of the run that is a part of another under a name: the same each time, so that a run which goes on has
// its parts again.
func PartID(run, name string) string {
	sum := sha256.Sum256([]byte(name))
	return run + partSeparator + hex.EncodeToString(sum[:6])
}

// IsPart says whether a run's id is that of a part of another, as PartID makes them.
func IsPart(id, run string) bool {
	rest, ok := strings.CutPrefix(id, run+partSeparator)
	return ok && run != "" && rest != ""
}
