package experiments

import (
	"path"
	"regexp"
	"strings"
)

// What was done to a model, in order.
const (
	DoneFinetuned = "finetuned"
	DoneSO8T      = "so8t"
	DoneNothing   = "untouched" // the base model as it is
)

// ModelName is a model of an A/B test as a person knows it, in place of the folder of a step's hash.
type ModelName struct {
	Base string   `json:"base"`           // of the model that it was made from
	Done []string `json:"done,omitempty"` // to the base; empty where that is not known
	Mark string   `json:"mark,omitempty"` // what tells two models of one name apart
}

var (
	hexFolder = regexp.MustCompile(`^[0-9a-f]{8,64}$`)
	hubFolder = regexp.MustCompile(`^models--(?:.+--)?(.+)$`)
	// saysNothing are folders that steps and the Hub's cache name all alike.
	saysNothing = map[string]bool{"": true, ".": true, "..": true, "model": true, "merged": true, "so8t": true, "snapshots": true, "output": true, "final": true}
)

// ModelNames names both arms of an A/B test by the run that holds it: by the step that wrote a model and by the base model
// that the run's parameters name, else by the model's folder.
func ModelNames(r Run, ab *ABResult) (out [2]ModelName) {
	var steps [2]*Step
	for i, a := range ab.Arms {
		out[i], steps[i] = modelName(r, a)
	}
	if out[0].Base != out[1].Base || strings.Join(out[0].Done, " ") != strings.Join(out[1].Done, " ") {
		return out
	}
	for i, a := range ab.Arms {
		if s := steps[i]; s != nil && s.Name != "" && s.Name != s.Kind {
			out[i].Mark = s.Name
		} else {
			out[i].Mark = folderMark(a.Model)
		}
	}
	if out[0].Mark == out[1].Mark {
		out[0].Mark, out[1].Mark = "", ""
	}
	return out
}

func modelName(r Run, a ArmResult) (ModelName, *Step) {
	folder := cleanFolder(a.Model)
	base := cleanFolder(r.Params["model.base_model"])
	name := r.Params["model.create.shape"]
	if name == "" {
		name = folderName(base)
	}
	if name != "" && folder == base {
		return ModelName{Base: name, Done: []string{DoneNothing}}, nil
	}
	step := writtenBy(r.Steps, folder)
	if step == nil {
		n := ModelName{Base: folderName(folder)}
		if a.Kind == "so8t" {
			n.Done = []string{DoneSO8T}
		}
		return n, nil
	}
	n := ModelName{Base: name}
	switch step.Kind {
	case "finetune":
		n.Done = []string{DoneFinetuned}
	case "replace":
		for i := range r.Steps {
			if r.Steps[i].Kind == "finetune" {
				n.Done = []string{DoneFinetuned}
				break
			}
		}
		n.Done = append(n.Done, DoneSO8T)
	default:
		n.Done = []string{DoneNothing}
	}
	if n.Base == "" {
		n.Base = step.Title()
	}
	return n, step
}

// writtenBy is the step below whose output a folder is, the nearest one.
func writtenBy(steps []Step, folder string) (found *Step) {
	longest := 0
	for i := range steps {
		out := cleanFolder(steps[i].Output)
		if out == "" || len(out) <= longest || folder != out && !strings.HasPrefix(folder, out+"/") {
			continue
		}
		found, longest = &steps[i], len(out)
	}
	return found
}

func cleanFolder(p string) string {
	if p == "" {
		return ""
	}
	return path.Clean(strings.ReplaceAll(p, `\`, "/"))
}

// folderName is the last part of a path that says something.
func folderName(p string) string {
	parts := strings.Split(cleanFolder(p), "/")
	for i := len(parts) - 1; i >= 0; i-- {
		part := parts[i]
		if m := hubFolder.FindStringSubmatch(part); m != nil {
			return m[1]
		}
		if !saysNothing[strings.ToLower(part)] && !hexFolder.MatchString(part) {
			part, _, _ = strings.Cut(part, "@") // a revision of the Hub
			return part
		}
	}
	return ""
}

// folderMark is the start of a path's hash, else the part above its name.
func folderMark(p string) string {
	parts := strings.Split(cleanFolder(p), "/")
	for i := len(parts) - 1; i >= 0; i-- {
		if hexFolder.MatchString(parts[i]) {
			return parts[i][:6]
		}
	}
	for i := len(parts) - 2; i >= 0; i-- {
		if !saysNothing[strings.ToLower(parts[i])] {
			return parts[i]
		}
	}
	return ""
}
