package shared

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/server/objects"
)

// manifestName is the manifest among the small files of a result that is away.
const manifestName = "shared.json"

// Small files are fetched when a result is found: those of at most smallFile bytes, and the texts that the tracker keeps of a
// step, of at most smallText; smallSum in all.
const (
	smallFile = 1 << 20
	smallText = 64 << 20
	smallSum  = 128 << 20
)

// previewOf is the folder of what is here of a step's result that is away: beside the step's own.
func previewOf(s *graph.Planned) string {
	dir := filepath.Clean(s.Dir)
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".shared")
}

// Find implements graph.Shared. A result that was found once is known without asking the store.
func (s *Store) Find(ctx context.Context, p *graph.Planned) (*graph.Marker, string, error) {
	dir := previewOf(p)
	if m := here(dir, p); m != nil && !s.isSpoilt(p.Key) {
		return m.marker(p), dir, nil
	}
	m, err := s.manifest(ctx, p)
	if err != nil {
		return nil, "", err
	}
	if err := s.preview(ctx, p, m, dir); err != nil {
		return nil, "", err
	}
	return m.marker(p), dir, nil
}

// here is the manifest of a result whose small files were fetched; nil: they were not.
func here(dir string, p *graph.Planned) *manifest {
	text, err := disk.ReadRegular(filepath.Join(dir, manifestName), maxManifest)
	if err != nil {
		return nil
	}
	m, err := read(text, p)
	if err != nil {
		return nil
	}
	return m
}

// manifest asks the store for a result's.
func (s *Store) manifest(ctx context.Context, p *graph.Planned) (m *manifest, err error) {
	if !keyForm.MatchString(p.Key) || s.isSpoilt(p.Key) {
		return nil, experiments.Errorf(experiments.CodeNotFound, "no shared result %.12s", p.Key)
	}
	var text []byte
	err = s.within(ctx, soon, func(ctx context.Context, _ func()) (err error) {
		text, err = s.place.manifest(ctx, p.Key)
		return err
	})
	if err == nil {
		m, err = read(text, p)
	}
	if experiments.CodeOf(err) == experiments.CodeInvalid {
		err = s.spoilt(p, err)
	}
	return m, err
}

// preview fetches the small files into a folder, with the manifest.
func (s *Store) preview(ctx context.Context, p *graph.Planned, m *manifest, dir string) error {
	kept := map[string]bool{graph.MetricsName: true}
	for _, a := range p.Kind.Artifacts {
		kept[a.File] = strings.HasPrefix(a.MediaType, "text/") || a.MediaType == "application/json"
	}
	sum := int64(0)
	var small []file
	for _, f := range m.Files {
		if f.Size > smallText || f.Size > smallFile && !kept[f.Path] || sum+f.Size > smallSum {
			continue
		}
		sum += f.Size
		small = append(small, f)
	}
	err := s.fill(ctx, p, dir, small, func(tmp string) error { return graph.WriteJSON(filepath.Join(tmp, manifestName), m) })
	if errors.Is(err, atomicfile.ErrBusy) { // another process fetches the same
		for range 100 {
			if here(dir, p) != nil {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return err
}

// fill makes a folder of files of a result, whole or not at all; last writes what says that it is.
func (s *Store) fill(ctx context.Context, p *graph.Planned, dir string, files []file, last func(tmp string) error) error {
	return atomicfile.WriteFolder(dir, func(tmp string) error {
		for _, f := range files {
			if err := s.get(ctx, p, f, filepath.Join(tmp, filepath.FromSlash(f.Path))); err != nil {
				return err
			}
		}
		return last(tmp)
	})
}

// get fetches one file, which is there afterwards with the bytes of its hash or not at all.
func (s *Store) get(ctx context.Context, p *graph.Planned, f file, to string) error {
	if err := disk.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("output_dir: %w", err)
	}
	err := s.within(ctx, patience, func(ctx context.Context, alive func()) error {
		r, err := s.place.open(ctx, f.ID)
		if err != nil {
			return err
		}
		defer r.Close()
		return atomicfile.WriteFile(to, 0o644, func(w io.Writer) error { return objects.Copy(w, living{ctx, r, alive}, f.ID) })
	})
	switch {
	case err == nil:
	case experiments.CodeOf(err) == experiments.CodeNotFound, experiments.CodeOf(err) == experiments.CodeInvalid:
		return s.spoilt(p, fmt.Errorf("%s: %w", f.Path, err))
	case ctx.Err() == nil && experiments.CodeOf(err) == experiments.CodeInternal:
		var p *fs.PathError
		if !errors.As(err, &p) { // not this disk's
			err = experiments.Errorf(experiments.CodeUnavailable, "%w", err)
		}
	}
	return err
}

// living is a reader that shows that it gets something, and gives nothing once ctx has ended.
type living struct {
	ctx   context.Context
	r     io.Reader
	alive func()
}

func (l living) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	if ended := l.ctx.Err(); ended != nil {
		return 0, ended
	}
	l.alive()
	return n, err
}

// Preview implements graph.Shared.
func (s *Store) Preview(ctx context.Context, p *graph.Planned, rel string) error {
	dir := previewOf(p)
	m := here(dir, p)
	if m == nil {
		return experiments.Errorf(experiments.CodeNotFound, "no shared result %.12s of %s is here", p.Key, p.Name)
	}
	sum := int64(0)
	var list []file
	for _, f := range m.Files {
		if below(f.Path, rel) {
			list = append(list, f)
			sum += f.Size
		}
	}
	if sum > smallSum {
		return experiments.Errorf(experiments.CodeTooLarge, "%s of %s has %d bytes in the shared store, more than are fetched to be shown", rel, p.Name, sum)
	}
	slices.SortFunc(list, func(a, b file) int { return strings.Compare(a.Path, b.Path) })
	for _, f := range list {
		to := filepath.Join(dir, filepath.FromSlash(f.Path))
		if _, err := disk.Stat(to); err == nil {
			continue
		}
		if err := s.get(ctx, p, f, to); err != nil {
			return err
		}
	}
	return nil
}

// Fetch implements graph.Shared.
func (s *Store) Fetch(ctx context.Context, p *graph.Planned, tell graph.Teller) (*graph.Marker, error) {
	m := here(previewOf(p), p)
	if m == nil || s.isSpoilt(p.Key) {
		var err error
		if m, err = s.manifest(ctx, p); err != nil {
			return nil, err
		}
	}
	total := m.bytes()
	tell.Note(fmt.Sprintf("fetching %s of %s, %.1f MB, from %s", p.Name, m.By, float64(total)/1e6, s.where))
	marker := m.marker(p)
	count := &fetching{tell: tell, total: total, began: time.Now()}
	err := atomicfile.WriteFolder(p.Dir, func(tmp string) error {
		for _, f := range m.Files {
			if err := s.get(ctx, p, f, filepath.Join(tmp, filepath.FromSlash(f.Path))); err != nil {
				return err
			}
			count.add(f.Size)
		}
		return graph.WriteJSON(filepath.Join(tmp, graph.MarkerName), marker)
	})
	if err != nil {
		return nil, err
	}
	return marker, nil
}

// fetching tells how far a fetch is.
type fetching struct {
	tell        graph.Teller
	done, total int64
	began       time.Time
}

func (f *fetching) add(n int64) {
	f.done += n
	p := experiments.Progress{Done: f.done / 1e6, Total: f.total / 1e6, Unit: "MB"}
	if s := time.Since(f.began).Seconds(); s > 0 {
		p.Rate = float64(f.done) / 1e6 / s
	}
	if f.total > 1e8 {
		f.tell.Progress(p)
	}
}
