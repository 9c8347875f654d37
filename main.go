// Triality runs experiments on language models and tracks them. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"triality/runtime/sandbox"
	"triality/server/cli"
)

func main() {
	// A metric worker is this program again; it must do nothing else.
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArg {
		os.Exit(sandbox.WorkerMain(os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
