package pipeline

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/experiments/kinds/convert"
	"triality/runtime/atomicfile"
)

// cardName is the file of a model's folder that says what the model is. It goes with no model that is made of this one.
const cardName = "README.md"

// nsfwPolicy is what dataset.Prepare holds every data set to.
const nsfwPolicy = "Rows marked as sexual content serve detection and refusal alone: a row of them whose answer is neither a class nor a refusal is refused, and no data set is made with it."

// writeCard writes the card of a model that was made of another, trained on a data set where one is named.
func writeCard(dir, how string, from Source, data string) error {
	var b strings.Builder
	name := or(from.Repo, filepath.Base(from.Dir))
	if from.Repo != "" {
		fmt.Fprintf(&b, "---\nbase_model: %s\n---\n\n", from.Repo)
	}
	fmt.Fprintf(&b, "# %s, %s\n\nMade by Triality. It answers a request with ALLOW, ESCALATION, DENY or REFUSE, as far as its training taught it; what it is worth is the A/B test's to say.\n", name, how)
	if data != "" {
		fmt.Fprintf(&b, "\n## Data\n\n%s\n", nsfwPolicy)
		var s experiments.DatasetSummary
		if path := filepath.Join(filepath.Dir(data), convert.SummaryName); exists(path) {
			if err := graph.ReadJSON(path, &s); err != nil {
				return err
			}
			fmt.Fprintf(&b, "\n%d rows in %d groups.", s.Rows, s.Groups)
			switch {
			case s.Audit == "":
				b.WriteString(" They were not looked through for data of persons and secrets (`data.audit`).")
			case s.PersonalRows == 0:
				fmt.Fprintf(&b, " They were looked through for data of persons and secrets (`data.audit: %s`), and none was found.", s.Audit)
			default:
				fmt.Fprintf(&b, " Data of persons or secrets was found in %d of them (`data.audit: %s`).", s.PersonalRows, s.Audit)
			}
			b.WriteString("\n")
		}
	}
	return atomicfile.WriteFile(filepath.Join(dir, cardName), 0o644, func(w io.Writer) error {
		_, err := io.WriteString(w, b.String())
		return err
	})
}
