package shared

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/runtime/disk"
)

// Publish implements graph.Shared: the files first, each where the store has it not, and the manifest last.
func (s *Store) Publish(ctx context.Context, p *graph.Planned) error {
	marker := graph.Finished(p.Dir, p.Key)
	if marker == nil {
		return experiments.Errorf(experiments.CodeNotFound, "%s has no finished result in %s", p.Name, p.Dir)
	}
	anew := s.isSpoilt(p.Key)
	if !anew {
		switch _, err := s.manifest(ctx, p); experiments.CodeOf(err) {
		case experiments.CodeNotFound:
		case experiments.CodeInvalid:
			anew = true
		default:
			return err // nil: it is there
		}
	}
	m := manifest{
		Format: formatNow, Kind: p.Kind.Name, Key: p.Key, By: s.by, RunID: marker.RunID, FinishedAt: marker.FinishedAt, Seconds: marker.Seconds, Notes: marker.Notes,
	}
	if marker.By != "" {
		m.By = marker.By
	}
	paths, err := filesOf(p)
	if err != nil {
		return err
	}
	for _, rel := range paths {
		f, err := s.putFile(ctx, p.Dir, rel, anew)
		if err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		m.Files = append(m.Files, f)
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("shared result of %s: %w", p.Name, err)
	}
	if _, err := read(bytes.Clone(text), p); err != nil { // what others would not take is not put there
		return err
	}
	if len(text) > maxManifest {
		return experiments.Errorf(experiments.CodeTooLarge, "shared result of %s: its list of files has %d bytes, may have %d", p.Name, len(text), maxManifest)
	}
	err = s.within(ctx, patience, func(ctx context.Context, _ func()) error { return s.place.putManifest(ctx, p.Key, text) })
	if err == nil {
		s.mended(p.Key)
		s.log.Info("shared a result", "step", p.Name, "key", p.Key, "bytes", m.bytes())
	}
	return err
}

// filesOf are the files of a finished step's outputs, and its metrics, with slashes.
func filesOf(p *graph.Planned) (paths []string, err error) {
	for _, o := range append([]string{graph.MetricsName}, p.Files...) {
		err := walk(p.Dir, filepath.ToSlash(filepath.Clean(o)), &paths)
		if err != nil && (o != graph.MetricsName || !isGone(err)) {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return paths, nil
}

func isGone(err error) bool { return experiments.CodeOf(lost(err)) == experiments.CodeNotFound }

// walk lists the files of an output. Names that begin with a dot are none of a result.
func walk(dir, rel string, paths *[]string) error {
	at := filepath.Join(dir, filepath.FromSlash(rel))
	info, err := disk.Stat(at)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if err := disk.Regular(at); err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		*paths = append(*paths, rel)
		return nil
	}
	entries, err := disk.ReadDir(at)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.Type()&fs.ModeSymlink != 0:
			return experiments.Errorf(experiments.CodeInvalid, "%s/%s is a link, which is not shared", rel, e.Name())
		default:
			if err := walk(dir, rel+"/"+e.Name(), paths); err != nil {
				return err
			}
		}
	}
	return nil
}

// putFile stores one file, where the store has it not or anew says so.
func (s *Store) putFile(ctx context.Context, dir, rel string, anew bool) (f file, err error) {
	f.Path = rel
	local, err := disk.OpenRegular(filepath.Join(dir, filepath.FromSlash(rel)))
	if err != nil {
		return f, err
	}
	defer local.Close()
	hash := sha256.New()
	if f.Size, err = io.Copy(hash, living{ctx, local, func() {}}); err != nil {
		return f, err
	}
	f.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return f, s.within(ctx, patience, func(ctx context.Context, alive func()) error {
		if !anew {
			if there, err := s.place.has(ctx, f.ID); err != nil || there {
				return err
			}
		}
		if _, err := local.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return s.place.put(ctx, f.ID, living{ctx, local, alive})
	})
}
