package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/experiments/pipeline"
	"triality/server/objects"
)

// commit makes the run's results those of a manifest that the attempt has put, and puts them in place. Asked again for
// its newest commit, whose answer was lost, it answers again.
func (s *Server) commit(ctx context.Context, j *job, a commitArgs) error {
	j.committing.Lock()
	defer j.committing.Unlock()
	if _, err := s.job(j.run, j.attempt); err != nil { // since the call came
		return err
	}
	if a.Seq == j.record.Seq && a.Manifest == j.record.Manifest && a.Last == j.record.Last {
		return nil
	}
	if a.Seq <= j.record.Seq || j.record.Last {
		return experiments.Errorf(experiments.CodeConflict, "run %s: commit %d of attempt %d comes after commit %d", j.run, a.Seq, j.attempt, j.record.Seq)
	}
	text, err := j.bytesOf(ctx, a.Manifest, maxManifest)
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	m, err := ParseManifest(text)
	if err != nil {
		return err
	}
	if m.Name != j.run {
		return experiments.Errorf(experiments.CodeInvalid, "the manifest is of %.64q, not of run %s", m.Name, j.run)
	}
	steps, err := j.steps(ctx, m)
	if err != nil {
		return err
	}
	before := map[string]File{}
	for _, f := range j.record.Committed.Files {
		before[f.Path] = f
	}
	if err := j.arrived(ctx, m, before); err != nil {
		return err
	}
	in := installer{ctx: ctx, job: j, before: before, used: map[objects.ID]bool{}}
	for _, st := range steps {
		if err := in.install(st); err != nil {
			return fmt.Errorf("%s: %w", st.unit.tree, err)
		}
	}
	in.prune(m)
	next := record{Run: j.run, Attempt: j.attempt, Seq: a.Seq, Last: a.Last, Manifest: a.Manifest, Committed: m}
	if err := s.writeRecord(next); err != nil {
		return err
	}
	old := j.record
	j.record = next
	if err := j.store.Remove(ctx, unneeded(old, next)...); err != nil {
		s.log.Warn("bytes that are not needed were not removed; they go with the run", "run", j.run, "error", err)
	}
	return nil
}

// arrived refuses a manifest of whose files some bytes were not sent, before anything is put in place.
func (j *job) arrived(ctx context.Context, m Manifest, before map[string]File) error {
	for _, f := range m.Files {
		if before[f.Path] == f {
			continue
		}
		there, err := j.store.Has(ctx, []objects.ID{f.ID})
		if err != nil {
			return err
		}
		if !there[0] {
			return experiments.Errorf(experiments.CodeInvalid, "%s: its bytes were not sent", f.Path)
		}
	}
	return nil
}

// unneeded are the objects of a commit that the next one does not have.
func unneeded(old, next record) (out []objects.ID) {
	needed := map[objects.ID]bool{}
	for _, f := range next.Committed.Files {
		needed[f.ID] = true
	}
	for _, f := range old.Committed.Files {
		if !needed[f.ID] {
			out = append(out, f.ID)
		}
	}
	if !needed[next.Manifest] {
		out = append(out, next.Manifest)
	}
	return out
}

// step is what a manifest has of one step.
type step struct {
	unit
	files    []File
	finished bool
}

// steps sorts a manifest's files by the steps that they are of, and refuses what is no result of a step.
func (j *job) steps(ctx context.Context, m Manifest) ([]*step, error) {
	var out []*step
	byTree := map[string]*step{}
	for _, f := range m.Files {
		u, ok := unitOf(j.results, f.Path)
		if !ok {
			return nil, experiments.Errorf(experiments.CodeInvalid, "%s: it is not in the folder of a step of the run", f.Path)
		}
		st := byTree[u.tree]
		if st == nil {
			st = &step{unit: u}
			byTree[u.tree] = st
			out = append(out, st)
		}
		st.files = append(st.files, f)
		st.finished = st.finished || f.Path == u.tree+"/"+graph.MarkerName
	}
	for _, st := range out {
		for _, f := range st.files {
			if isCheckpoint(st.unit, f.Path) == st.finished {
				return nil, experiments.Errorf(experiments.CodeInvalid, "%s: of a finished step all is sent but its checkpoints, of another those alone", f.Path)
			}
		}
		if err := j.complete(ctx, st); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// complete holds a finished step to its marker.
func (j *job) complete(ctx context.Context, st *step) error {
	if !st.finished {
		return nil
	}
	i := slices.IndexFunc(st.files, func(f File) bool { return f.Path == st.tree+"/"+graph.MarkerName })
	if slices.Contains(j.record.Committed.Files, st.files[i]) {
		return nil // it was held to it then
	}
	text, err := j.bytesOf(ctx, st.files[i].ID, 1<<20)
	if err != nil {
		return fmt.Errorf("%s: %w", st.files[i].Path, err)
	}
	marker, err := st.parseMarker(text)
	if err != nil {
		return err
	}
	there := map[string]bool{} // files and folders
	for _, f := range st.files {
		for name := f.Path; name != st.tree && !there[name]; name = path.Dir(name) {
			there[name] = true
		}
	}
	for _, o := range marker.Outputs {
		if !there[st.tree+"/"+filepath.ToSlash(o)] {
			return experiments.Errorf(experiments.CodeInvalid, "%s: its marker says that it has %s, and there is none", st.tree, o)
		}
	}
	return nil
}

// encodeManifest writes a manifest.
func encodeManifest(m Manifest) ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if len(text) > maxManifest {
		return nil, experiments.Errorf(experiments.CodeTooLarge, "manifest of run %s: %d bytes, at most %d", m.Name, len(text), maxManifest)
	}
	return text, nil
}

// workOf is the folder, beside a base model's, that goes when the model has finished.
func workOf(u unit) string { return filepath.Dir(pipeline.CheckpointFolders(u.server)[1]) }
