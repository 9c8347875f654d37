package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	flag "github.com/spf13/pflag"

	"triality/experiments/pipeline"
	"triality/runtime/hub"
)

func hubCommands() []command {
	return []command{
		{"hub download", "REPO[@REVISION]", "a model of the Hub into the cache: what is there is kept, what was cut goes on", setupHubDownload},
		{"hub upload", "FOLDER REPO", "a folder as one commit of a repository, which is made where needed", setupHubUpload},
		{"hub list", "", "the models in the cache", setupHubList},
	}
}

// hubStep is what the terminal shows in front of the hub's progress and notes.
const hubStep = "hub"

func cacheFlag(fs *flag.FlagSet) *string {
	return fs.String("cache-dir", "", "cache `folder` (default: HF_HUB_CACHE, or hub/ below HF_HOME)")
}

// hubOptions are the environment's, with the cache folder of a flag where it was given.
func hubOptions(cacheDir string) (hub.Options, error) {
	o, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return o, invalid(err)
	}
	if cacheDir != "" {
		o.CacheDir = cacheDir
	}
	return o, nil
}

// modelFolder is the folder of a model that a flag names by its folder or by its name on the Hub.
func (e *env) modelFolder(ctx context.Context, name string) (string, error) {
	return e.locate(ctx, name, hub.ModelFiles)
}

// locate is modelFolder with only the files that match patterns downloaded.
func (e *env) locate(ctx context.Context, name string, patterns []string) (string, error) {
	screen := newTerminal(e.stderr)
	defer screen.clear()
	source, err := (&pipeline.Engine{}).Locate(ctx, name, patterns, stepSink{terminal: screen, kind: hubStep})
	return source.Dir, err
}

func setupHubDownload(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	dir := cacheFlag(fs)
	tokenizer := fs.Bool("tokenizer-only", false, "the tokenizer's files, without the weights")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("hub download wants one repository: triality hub download org/name@revision")
		}
		ref, err := hub.ParseRef(args[0])
		if err != nil {
			return usagef("%v", err)
		}
		o, err := hubOptions(*dir)
		if err != nil {
			return err
		}
		patterns := hub.ModelFiles
		if *tokenizer {
			patterns = hub.TokenizerFiles
		}
		return e.withHub(o, func(c *hub.Client) error {
			s, err := c.Snapshot(ctx, ref, patterns)
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stderr, "%-9s %s is commit %s\n", hubStep, ref, s.Commit)
			return e.result(map[string]string{"folder": s.Dir, "commit": s.Commit}, func(w io.Writer) { fmt.Fprintln(w, s.Dir) })
		})
	}
}

// withHub opens a client that shows its progress on the terminal.
func (e *env) withHub(o hub.Options, do func(*hub.Client) error) error {
	screen := newTerminal(e.stderr)
	sink := stepSink{terminal: screen, kind: hubStep}
	o.Note, o.Progress = sink.Note, pipeline.Transfer(sink)
	c, err := hub.New(o)
	if err != nil {
		return invalid(err)
	}
	err = do(c)
	screen.clear()
	return pipeline.HubError(err)
}

func setupHubUpload(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	message := fs.String("message", "", "`text` of the commit (default: Upload and the folder's name)")
	branch := fs.String("branch", hub.DefaultRevision, "`name` of the branch that gets the commit")
	private := fs.Bool("private", false, "of a repository that is made: only its owner sees it")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 2 {
			return usagef("hub upload wants a folder and a repository: triality hub upload FOLDER org/name")
		}
		o, err := hubOptions("")
		if err != nil {
			return err
		}
		return e.withHub(o, func(c *hub.Client) error {
			made, err := c.Upload(ctx, args[1], args[0], hub.UploadOptions{Message: *message, Branch: *branch, Create: true, Private: *private})
			if err != nil {
				return err
			}
			if made.Uploaded == 0 {
				fmt.Fprintf(e.stderr, "%-9s nothing has changed since commit %s\n", hubStep, made.ID)
			} else {
				fmt.Fprintf(e.stderr, "%-9s %d files sent, %d unchanged: %s\n", hubStep, made.Uploaded, made.Unchanged, made.URL)
			}
			out := map[string]any{"repository": args[1], "commit": made.ID, "url": made.URL, "uploaded": made.Uploaded, "unchanged": made.Unchanged}
			return e.result(out, func(w io.Writer) { fmt.Fprintf(w, "%s@%s\n", args[1], made.ID) })
		})
	}
}

func setupHubList(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	dir := cacheFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		o, err := hubOptions(*dir)
		if err != nil {
			return err
		}
		list, err := hub.List(o.CacheDir)
		if err != nil {
			return err
		}
		for _, r := range list {
			slices.SortFunc(r.Commits, func(a, b hub.CachedCommit) int { return b.Modified.Compare(a.Modified) })
		}
		if len(list) == 0 {
			fmt.Fprintf(e.stderr, "no models in %s\n", filepath.Clean(o.CacheDir))
		}
		return e.result(append([]hub.Cached{}, list...), func(w io.Writer) { printCache(w, list) })
	}
}

func printCache(w io.Writer, list []hub.Cached) {
	for _, r := range list {
		fmt.Fprintf(w, "%-40s %10s", r.Repo, size(r.Bytes))
		if r.Incomplete > 0 {
			fmt.Fprintf(w, ", %s of cut downloads", size(r.Incomplete))
		}
		fmt.Fprintln(w)
		for _, c := range r.Commits {
			fmt.Fprintf(w, "  %s %10s, %d files, %s %s\n", c.Commit, size(c.Bytes), c.Files, c.Modified.Local().Format("2006-01-02 15:04"), strings.Join(c.Refs, " "))
		}
	}
}

// size is bytes for a reader, in decimal units.
func size(n int64) string {
	v, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	i := 0
	for v >= 1000 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
