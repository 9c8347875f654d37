// Triality runs experiments on language models and tracks them. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"triality/runtime/sandbox"
	"triality/runtime/tablefile"
	"triality/server/cli"
	"triality/server/think"
	"triality/server/worker"
)

func main() {
	// A worker, of a metric, of a job or of queries, and a reader of others' tables are this program again; they must do nothing else.
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArg {
		os.Exit(sandbox.WorkerMain(os.Stdin, os.Stdout))
	}
	if len(os.Args) > 1 && os.Args[1] == worker.Arg {
		os.Exit(cli.WorkerMain(os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == think.Arg {
		os.Exit(cli.ThinkMain(os.Stdin, os.Stdout))
	}
	if len(os.Args) > 1 && os.Args[1] == tablefile.Arg {
		os.Exit(tablefile.Main(os.Stdin, os.Stdout, os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
