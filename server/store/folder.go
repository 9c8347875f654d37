package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

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

// inFolder says whether a folder is another or below it. Everything is in the top.
func inFolder(folder, of string) bool {
	return of == "" || folder == of || strings.HasPrefix(folder, of+"/")
}

// Folder is a folder of experiments with what is in it and below.
type Folder struct {
	Folder      string `json:"folder"`
	Experiments int    `json:"experiments"`
	Runs        int    `json:"runs"`
}

// Folders lists the folders that experiments are in, and those above them, by path.
func (s *Store) Folders(ctx context.Context) ([]Folder, error) {
	all := map[string]*Folder{}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		clear(all)
		return tx.Bucket(bucketExperiments).ForEach(func(k, v []byte) error {
			var e ExperimentInfo
			if err := json.Unmarshal(v, &e.Experiment); err != nil {
				return fmt.Errorf("record of experiment %q: %w", k, err)
			}
			if e.Folder == "" {
				return nil
			}
			e.count(tx)
			for at := e.Folder; at != ""; at = at[:max(0, strings.LastIndexByte(at, '/'))] {
				f := all[at]
				if f == nil {
					f = &Folder{Folder: at}
					all[at] = f
				}
				f.Experiments, f.Runs = f.Experiments+1, f.Runs+e.Runs
			}
			return nil
		})
	})
	items := []Folder{}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		items = append(items, *all[path])
	}
	return items, err
}

// MoveFolder gives a folder another path, with all that is in and below it, in one commit, and says how many experiments
// that are. A folder that none is in is CodeNotFound; "" is the top.
func (s *Store) MoveFolder(ctx context.Context, from, to string) (moved int, err error) {
	if err := errors.Join(checkFolder("from", from), checkFolder("to", to)); err != nil {
		return 0, err
	}
	err = s.update(ctx, 1, func(t *txn) error {
		moved = 0
		for _, k := range keysUnder(t.Tx, bucketExperiments, nil) {
			var e experiments.Experiment
			if err := readJSON(t.Tx, bucketExperiments, string(k), "experiment", &e); err != nil {
				return err
			}
			if !inFolder(e.Folder, from) {
				continue
			}
			rest := strings.TrimPrefix(strings.TrimPrefix(e.Folder, from), "/")
			e.Folder = strings.Trim(to+"/"+rest, "/")
			if err := checkFolder(fmt.Sprintf("experiment %q", e.Name), e.Folder); err != nil {
				return err
			}
			e.UpdatedAt = time.Now().UTC()
			if err := putExperiment(t, e); err != nil {
				return err
			}
			moved++
		}
		if moved == 0 {
			return notFound("folder", from)
		}
		return nil
	})
	return moved, err
}
