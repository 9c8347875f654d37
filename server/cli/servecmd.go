package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/pipeline"
	"triality/frontend"
	"triality/runtime/disk"
	"triality/runtime/tablefile"
	"triality/server/api"
	"triality/server/books"
	"triality/server/client"
	"triality/server/jobs"
	"triality/server/modules"
	"triality/server/report"
	"triality/server/store"
	"triality/server/worker"
)

func serverCommands() []command {
	return []command{{"serve", "[NOTEBOOKS]", "the web interface and the API", setupServe}}
}

// serving are the flags of serve.
type serving struct {
	data, addr, configs *string
	root                *string
	slots, cpuSlots     *int
	workers             workersFlags
	shared              sharing
	keepDeleted         *time.Duration
	verbose             *bool
	think               thinkFlags
	books               *books.Folder // nil: none
}

func serveFlags(fs *flag.FlagSet) serving {
	return serving{
		data:        dataFlag(fs),
		addr:        fs.String("addr", "127.0.0.1:8787", "`address` to listen on; loopback only"),
		configs:     fs.String("configs", "configs", "`folder` of pipeline configurations that the web interface offers"),
		root:        fs.String("data-root", os.Getenv("TRIALITY_DATA_ROOT"), "`folder` that runs read and write below, and nowhere else; their relative paths begin there (default: $TRIALITY_DATA_ROOT)"),
		slots:       fs.Int("slots", 0, "`jobs` at once on the machine's cards, or on its processor where it has none; 0: one to a card"),
		cpuSlots:    fs.Int("cpu-slots", 0, "`jobs` of device: cpu that run beside those; 0: they take a slot as others do"),
		workers:     serveWorkersFlags(fs),
		shared:      sharedFlags(fs),
		keepDeleted: fs.Duration("keep-deleted", store.KeepDeleted, "how long a deletion or another change of many runs can be undone; its space is freed after it"),
		verbose:     fs.Bool("verbose", false, "log every request"),
		think:       serveThinkFlags(fs),
	}
}

func setupServe(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	s := serveFlags(fs)
	return func(ctx context.Context, args []string) error {
		var err error
		if s.books, err = openBooks(*s.data, args); err != nil {
			return err
		}
		if *s.keepDeleted <= 0 {
			return usagef("--keep-deleted: want a duration, such as 720h, have %s", *s.keepDeleted)
		}
		st, err := e.openStore(*s.data, store.Options{Logger: e.logger(s.level()), KeepDeleted: *s.keepDeleted})
		if err != nil {
			return err
		}
		return errors.Join(e.serve(ctx, st, s, nil), st.Close())
	}
}

func (s serving) level() slog.Level {
	if *s.verbose {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// logger writes what operators read to standard error.
func (e *env) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: level}))
}

// openStore opens the tracker and marks what a dead process left running.
func (e *env) openStore(dir string, o store.Options) (*store.Store, error) {
	st, err := store.Open(dir, o)
	if err != nil {
		return nil, err
	}
	if err := jobs.Recover(context.Background(), st); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

// shippedBooks is the folder of notebooks that is served where none is named.
const shippedBooks = "configs/notebooks"

// openBooks opens the folder of notebooks that the command line names, or the shipped one where it is there.
func openBooks(data string, args []string) (*books.Folder, error) {
	history := filepath.Join(data, "notebooks")
	switch len(args) {
	case 0:
		if info, err := os.Stat(shippedBooks); err != nil || !info.IsDir() {
			return nil, nil
		}
		return books.Open(shippedBooks, history)
	case 1:
		return books.Open(args[0], history)
	}
	return nil, usagef("serve takes one folder of notebooks: triality serve %s", shippedBooks)
}

// maxSlots bounds the jobs that run at once: each is a process.
const maxSlots = 256

// listen opens the server's address before anything costly starts, so that a taken port fails at once.
func listen(addr string) (net.Listener, error) {
	if err := api.CheckAddress(addr); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "listen on %s: %w; another program has the port: stop it or give another --addr, such as 127.0.0.1:0 for any free one", addr, err)
	}
	return l, nil
}

// serve answers until ctx ends. ready, where not nil, is called with the address once it is reachable,
// and ends the server when it returns.
func (e *env) serve(ctx context.Context, st *store.Store, s serving, ready func(ctx context.Context, url string) error) (err error) {
	if *s.slots < 0 || *s.slots > maxSlots || *s.cpuSlots < 0 || *s.cpuSlots > maxSlots {
		return usagef("--slots and --cpu-slots must be at least 0 and at most %d", maxSlots)
	}
	l, err := listen(*s.addr)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := st.Index(ctx); err != nil { // so that the first page need not wait for it
		return err
	}
	log := e.logger(s.level())
	reporter := report.New(report.Assets{EChartsJS: frontend.ReportECharts()})
	host, err := openSandbox(0, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	dev, _, err := pipeline.OpenDevice(config.Default())
	if err != nil {
		return err
	}
	info := dev.Info()
	if err := dev.Close(); err != nil {
		return err
	}
	site, err := fs.Sub(frontend.Dist, "dist")
	if err != nil {
		return err
	}
	configs, err := shippedConfigs(*s.configs)
	if err != nil {
		return err
	}
	token := rand.Text()
	cards := 0
	if info.Name == "cuda" {
		if cards, err = pipeline.Cards(); err != nil {
			return err
		}
	}
	o := jobs.Options{Slots: *s.slots, Beside: *s.cpuSlots, Cards: cards, Memory: worker.FreeMemory, Away: *s.workers.only, Logger: log}
	if *s.root != "" {
		if o.DataRoot, err = dataRoot(*s.root); err != nil {
			return err
		}
	}
	workers, err := s.workers.open(ctx, st, o.DataRoot, log)
	if err != nil {
		return err
	}
	if workers != nil {
		defer func() { err = errors.Join(err, workers.Close()) }()
		o.Fleet = workers
	}
	if _, err := s.shared.open(ctx, log); err != nil { // what is wrong with it is said now, and not by each job
		return err
	}
	results, err := s.shared.named()
	if err != nil {
		return err
	}
	queue, err := jobs.New(ctx, st, worker.Process{Root: o.DataRoot, Shared: results}, o)
	if err != nil {
		return err
	}
	if workers != nil {
		if err := workers.Serve(ctx, queue.Fill); err != nil {
			return errors.Join(err, queue.Close())
		}
	}
	shown := api.Workers(nil)
	if workers != nil {
		shown = workers
	}
	var notebooks api.Notebooks
	if s.books != nil {
		notebooks = s.books
	}
	desk := books.NewDesk(ctx, st, queue)
	defer desk.Close()
	thinker, err := s.think.open(ctx, e, st, *s.data, o.DataRoot, log)
	if err != nil {
		return errors.Join(err, queue.Close())
	}
	defer func() { err = errors.Join(err, thinker.Close()) }()
	server, err := api.New(api.Options{
		Think: thinker.answers(), Escalations: thinker.escalations(),
		Workers: shown, Store: st, Notebooks: notebooks, Desk: desk, Rows: tablefile.Apart, Token: token, Jobs: queue, Modules: modules.New(st, host), Reporter: reporter, Frontend: site, Configs: configs, Logger: log,
		Info: api.Info{Version: Version, EngineVersion: pipeline.EngineVersion, Device: api.Device{Name: info.Name, Model: info.Model, Threads: info.Threads, SIMD: info.SIMD}},
	})
	if err != nil {
		return errors.Join(err, queue.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	url := "http://" + l.Addr().String()
	closeDoor, err := client.Open(*s.data, client.Door{URL: url, Token: token})
	if err != nil {
		return errors.Join(err, queue.Close())
	}
	defer func() { err = errors.Join(err, closeDoor()) }()
	fmt.Fprintf(e.stdout, "listening on %s\n", url)
	if workers != nil {
		fmt.Fprintf(e.stdout, "workers join %s\n", workers.Address())
	}
	var readyErr error
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		if ready != nil {
			readyErr = ready(ctx, url)
			stop()
		}
	}()
	err = server.Serve(ctx, l)
	stop()
	<-checked
	return errors.Join(err, readyErr, queue.Close())
}

// dataRoot is the folder that a server's runs keep to; it must be there.
func dataRoot(dir string) (string, error) {
	real, err := disk.Real(dir)
	if err != nil {
		return "", experiments.Errorf(experiments.CodeInvalid, "--data-root: %w", err)
	}
	if info, err := os.Stat(real); err != nil || !info.IsDir() {
		return "", experiments.Errorf(experiments.CodeInvalid, "--data-root %s: there is no such folder", dir)
	}
	return real, nil
}

// shippedConfigs reads the configurations that the "new run" form offers. The first comment line is the
// title.
func shippedConfigs(dir string) ([]api.Config, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var out []api.Config
	for _, f := range files {
		text, err := disk.ReadRegular(f, disk.MaxText)
		if err != nil {
			return nil, err
		}
		first, _, _ := strings.Cut(string(text), "\n")
		name := strings.TrimSuffix(filepath.Base(f), ".yaml")
		title := name
		if rest, ok := strings.CutPrefix(first, "#"); ok {
			title = strings.TrimSpace(rest)
		}
		out = append(out, api.Config{Name: name, Title: title, YAML: string(text)})
	}
	return out, nil
}
