package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/runtime/atomicfile"
	"triality/runtime/device/cuda"
	"triality/server/fleet"
	"triality/server/transfer"
	"triality/server/worker"
)

func workerCommands() []command {
	return []command{
		{"worker", "", "run jobs for a server on another machine", setupWorker},
		{"worker token", "", "make a token with which a worker joins this data folder's server", setupWorkerToken},
		{"worker tokens", "", "the tokens that were made, without their secrets", setupWorkerTokens},
		{"worker revoke", "ID", "take a token back: its workers are refused at once", setupWorkerRevoke},
	}
}

func setupWorker(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	join := fs.String("join", "", "`URL` of the server's workers' address: nats://HOST:PORT")
	tokenFile := fs.String("token-file", "", "`file` with a token of `triality worker token`, or with a NATS token, user and password, or credentials")
	ca := fs.String("ca", "", "`file` of the authorities that the server's certificate is held to (default: the token's own mark, or the system's)")
	dir := fs.String("dir", "worker", "`folder` for jobs, of this worker alone")
	name := fs.String("name", "", "`name` of the worker, which no other has (default: the machine's)")
	slots := fs.Int("slots", 0, "`jobs` at once; 0: one to a card, one on a machine without")
	cache := fs.Float64("cache", 50, "`GB` of inputs that are kept for later jobs")
	share := sharedFlags(fs)
	verbose := fs.Bool("verbose", false, "log more")
	return func(ctx context.Context, args []string) (err error) {
		if err := need(map[string]string{"join": *join, "token-file": *tokenFile}); err != nil {
			return err
		}
		if !strings.Contains(*join, "://") {
			*join = "nats://" + *join
		}
		if !(*cache >= 0 && *cache <= 1e6) {
			return usagef("--cache is %v, must lie between 0 and 1000000", *cache)
		}
		if *slots < 0 || *slots > maxSlots {
			return usagef("--slots must be at least 0 and at most %d", maxSlots)
		}
		if *name == "" {
			host, err := os.Hostname()
			if err != nil {
				return fmt.Errorf("the machine's name: %w; give --name", err)
			}
			*name, _, _ = strings.Cut(host, ".")
		}
		access, err := fleet.ReadAccess(*join, *tokenFile, *ca)
		if err != nil {
			return err
		}
		info, err := thisMachine(*slots)
		if err != nil {
			return err
		}
		folder, err := filepath.Abs(*dir)
		if err != nil {
			return fmt.Errorf("--dir: %w", err)
		}
		results, err := share.named()
		if err != nil {
			return err
		}
		level := slog.LevelInfo
		if *verbose {
			level = slog.LevelDebug
		}
		log := e.logger(level)
		if _, err := share.open(ctx, log); err != nil {
			return err
		}
		files, err := transfer.OpenWorker(transfer.WorkerOptions{Dir: folder, CacheBytes: int64(*cache * 1e9), Logger: log})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, files.Close()) }()
		agent, err := fleet.NewAgent(fleet.AgentOptions{Access: access, Name: *name, Dir: folder, Info: info, Files: fleet.Transferred{Worker: files}, Process: worker.Process{Shared: results}, Logger: log})
		if err != nil {
			return err
		}
		var refused *fleet.Refused
		if err = agent.Run(ctx); errors.As(err, &refused) {
			return experiments.Errorf(experiments.CodeInvalid, "worker %s: %w", *name, err)
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil // it was stopped before it had joined
		}
		return err
	}
}

// thisMachine says what a worker here has.
func thisMachine(slots int) (fleet.Info, error) {
	_, memory := worker.FreeMemory()
	i := fleet.Info{Version: Version, Engine: pipeline.EngineVersion, OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Memory: memory, Slots: slots}
	n, err := pipeline.Cards()
	if err != nil {
		return i, err
	}
	for card := range n {
		d, err := cuda.Open(cuda.Options{Ordinal: card})
		if err != nil {
			return i, fmt.Errorf("card %d: %w", card, err)
		}
		i.Cards = append(i.Cards, fleet.Card{Name: d.Info().Model, Memory: d.Info().Memory})
		if err := d.Close(); err != nil {
			return i, fmt.Errorf("card %d: %w", card, err)
		}
	}
	if i.Slots == 0 {
		i.Slots = max(1, n)
	}
	return i, nil
}

func setupWorkerToken(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	name := fs.String("name", "", "the `worker` that alone may use it (default: any)")
	output := fs.String("output", "", "`file` to write it to, which only its user reads (default: standard output)")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		tokens, err := fleet.OpenTokens(*data)
		if err != nil {
			return err
		}
		token, err := tokens.Make(*name)
		if err != nil {
			return err
		}
		out := struct {
			ID    string `json:"id"`
			Name  string `json:"name,omitempty"`
			Token string `json:"token,omitempty"`
			File  string `json:"file,omitempty"`
		}{ID: token.ID, Name: *name, File: *output}
		if *output == "" {
			out.Token = token.String()
			return e.result(out, func(w io.Writer) { fmt.Fprintln(w, token) })
		}
		err = atomicfile.WriteFile(*output, 0o600, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, token)
			return err
		})
		if err != nil {
			return errors.Join(fmt.Errorf("write token: %w", err), tokens.Revoke(token.ID))
		}
		return e.result(out, func(w io.Writer) {
			fmt.Fprintf(w, "%s: token %s; `triality worker --join URL --token-file FILE` uses it, `triality worker revoke %s` takes it back\n", *output, token.ID, token.ID)
		})
	}
}

func setupWorkerTokens(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		tokens, err := fleet.OpenTokens(*data)
		if err != nil {
			return err
		}
		list, err := tokens.List()
		if err != nil {
			return err
		}
		type shown struct {
			ID     string    `json:"id"`
			Name   string    `json:"name,omitempty"`
			MadeAt time.Time `json:"made_at"`
		}
		out := []shown{}
		for _, g := range list {
			out = append(out, shown{g.ID, g.Name, g.MadeAt})
		}
		return e.result(out, func(w io.Writer) {
			table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			defer table.Flush()
			for _, g := range out {
				who := g.Name
				if who == "" {
					who = "any worker"
				}
				fmt.Fprintf(table, "%s\t%s\t%s\n", g.ID, who, g.MadeAt.Local().Format(time.DateTime))
			}
			if len(out) == 0 {
				fmt.Fprintln(w, "no tokens; `triality worker token` makes one")
			}
		})
	}
}

func setupWorkerRevoke(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("worker revoke wants one token's id; `triality worker tokens` lists them")
		}
		tokens, err := fleet.OpenTokens(*data)
		if err != nil {
			return err
		}
		if err := tokens.Revoke(args[0]); err != nil {
			return err
		}
		return e.result(struct {
			ID string `json:"id"`
		}{args[0]}, func(w io.Writer) { fmt.Fprintf(w, "token %s is no longer accepted\n", args[0]) })
	}
}
