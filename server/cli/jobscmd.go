package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/runtime/atomicfile"
	"triality/server/client"
	"triality/server/jobs"
)

func queueCommands() []command {
	return []command{
		{"jobs list", "", "the runs that the server runs, and those that wait", setupJobsList},
		{"jobs show", "RUN", "one run of the queue: its steps, attempts and reasons", setupJobsShow},
		{"jobs logs", "RUN", "what a run's workers printed", setupJobsLogs},
		{"jobs cancel", "RUN", "stop a queued or running run; it leaves a checkpoint", setupJobsCancel},
		{"jobs priority", "RUN N", "let a waiting run start before those of a lower number", setupJobsPriority},
		{"jobs retry", "RUN", "let an interrupted or failed run go on, in the same run", setupJobsRetry},
	}
}

// running gives a client of the server that has a data folder open; without one nothing runs.
func running(ctx context.Context, data string) (*client.Client, error) {
	c, ok := client.Of(ctx, data)
	if !ok {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "no server has %s open; `triality serve --data %s` starts one", data, data)
	}
	return c, nil
}

func setupJobsList(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		defer o.Close()
		list := []experiments.Run{}
		if o.server != nil {
			if list, err = o.server.Queue(ctx); err != nil {
				return err
			}
		} else {
			queued, err := o.runs(ctx, "", experiments.Queued, 1000)
			if err != nil {
				return err
			}
			for _, r := range queued {
				if r.Job != nil {
					list = append(list, r)
				}
			}
		}
		return e.result(list, func(w io.Writer) {
			if len(list) == 0 {
				fmt.Fprintln(w, "nothing runs or waits")
				return
			}
			if o.server == nil {
				fmt.Fprintln(w, "no server runs; these wait for `triality serve`")
			}
			table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			defer table.Flush()
			for _, r := range list {
				fmt.Fprintf(table, "%s\t%s\t%s\tattempt %d\tpriority %d\t%s\n", r.ID, r.Name, standing(r), r.Job.Attempt, r.Job.Priority, waiting(r.Job))
			}
		})
	}
}

// standing is a run's status, and the machine of one that another runs.
func standing(r experiments.Run) string {
	if r.Status == experiments.Running && r.Job.Worker != "" {
		return string(r.Status) + " on " + r.Job.Worker
	}
	return string(r.Status)
}

// waiting says what a job waits for, and why it waits again.
func waiting(j *experiments.Job) string {
	var parts []string
	if j.Waits != nil {
		parts = append(parts, j.Waits.String())
	}
	if j.Reason != "" {
		parts = append(parts, j.Reason)
	}
	return strings.Join(parts, "; ")
}

func setupJobsShow(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	return e.show(fs, "jobs", printRun)
}

// show is a command that prints one run.
func (e *env) show(fs *flag.FlagSet, family string, text func(w io.Writer, run experiments.Run)) func(context.Context, []string) error {
	data := dataFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("%[1]s show wants one run id; `triality %[1]s list` has them", family)
		}
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		defer o.Close()
		run, err := o.run(ctx, args[0])
		if err != nil {
			return err
		}
		return e.result(run, func(w io.Writer) { text(w, run) })
	}
}

// printRun prints where a run stands.
func printRun(w io.Writer, r experiments.Run) {
	fmt.Fprintf(w, "%s  %s, %s\n", r.ID, r.Name, r.Status)
	if r.Error != "" {
		fmt.Fprintf(w, "  %s\n", r.Error)
	}
	if j := r.Job; j != nil {
		fmt.Fprintf(w, "  queued %s, priority %d, attempt %d\n", j.QueuedAt.Local().Format(time.DateTime), j.Priority, j.Attempt)
		if j.Worker != "" {
			fmt.Fprintf(w, "  on worker %s\n", j.Worker)
		}
		if text := waiting(j); text != "" {
			fmt.Fprintf(w, "  %s\n", text)
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer table.Flush()
	for _, s := range r.Steps {
		took := ""
		if !s.EndedAt.IsZero() && !s.StartedAt.IsZero() {
			took = s.EndedAt.Sub(s.StartedAt).Round(100 * time.Millisecond).String()
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", s.Title(), s.Status, took, s.Output)
	}
}

func setupJobsLogs(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	follow := fs.Bool("follow", false, "go on until the run has ended")
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("jobs logs wants one run id")
		}
		c, err := running(ctx, *data)
		if err != nil {
			if *follow {
				return err
			}
			return e.storedLog(*data, args[0])
		}
		var from int64
		var last []byte // what was read last is read again, to see that the log did not begin anew
		for {
			// Asked before the log, so that what is printed before the end is not missed.
			run, err := c.Run(ctx, args[0])
			if err != nil {
				return err
			}
			text, err := c.Log(ctx, args[0], from-int64(len(last)))
			if err != nil {
				return err
			}
			fresh, ok := bytes.CutPrefix(text, last)
			if !ok { // the oldest part was dropped
				from, last = 0, nil
				continue
			}
			if _, err := e.stdout.Write(fresh); err != nil {
				return err
			}
			from += int64(len(fresh))
			last = text[max(0, len(text)-256):]
			if !*follow || run.Status.Done() {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(500 * time.Millisecond):
			}
		}
	}
}

// storedLog prints a log where no server runs: the files are there all the same.
func (e *env) storedLog(data, id string) error {
	log, err := jobs.OpenLog(data, id, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(e.stdout, log)
	return errors.Join(err, log.Close())
}

func setupJobsCancel(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	return e.act(fs, "cancel", (*client.Client).Cancel)
}

func setupJobsRetry(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	return e.act(fs, "retry", (*client.Client).Resume)
}

func setupJobsPriority(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 2 {
			return usagef("jobs priority wants a run id and a number: higher ones start first; after -- it may be negative")
		}
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return usagef("jobs priority: want a whole number, have %q", args[1])
		}
		c, err := running(ctx, *data)
		if err != nil {
			return err
		}
		run, err := c.Prioritize(ctx, args[0], n)
		if err != nil {
			return err
		}
		return e.result(run, func(w io.Writer) { printRun(w, run) })
	}
}

// act is a command that asks the server to do something with one run.
func (e *env) act(fs *flag.FlagSet, what string, do func(*client.Client, context.Context, string) (experiments.Run, error)) func(context.Context, []string) error {
	data := dataFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("jobs %s wants one run id", what)
		}
		c, err := running(ctx, *data)
		if err != nil {
			return err
		}
		run, err := do(c, ctx, args[0])
		if err != nil {
			return err
		}
		return e.result(run, func(w io.Writer) { printRun(w, run) })
	}
}

// writeReport writes a report that a server made.
func (e *env) writeReport(ctx context.Context, c *client.Client, run, language, path string) error {
	html, err := c.Report(ctx, run, language)
	if err != nil {
		return err
	}
	err = atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(html)
		return err
	})
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return e.made(path)
}
