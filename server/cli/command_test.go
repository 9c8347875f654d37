package cli

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// walkCommands visits every command that does something.
func walkCommands(cmd *cobra.Command, visit func(*cobra.Command)) {
	if !cmd.HasSubCommands() {
		visit(cmd)
	}
	for _, c := range cmd.Commands() {
		walkCommands(c, visit)
	}
}

func TestEveryCommandThatPrintsAResultPrintsItAsJSON(t *testing.T) {
	// These print no result, or JSON, a shell's script or a page of text always.
	without := []string{"demo", "serve", "help", "config reference", "config kinds", "jobs logs"}
	walkCommands(newRoot(&env{stdout: io.Discard, stderr: io.Discard}), func(c *cobra.Command) {
		path := strings.TrimPrefix(c.CommandPath(), "triality ")
		exempt := slices.Contains(without, path) || strings.HasPrefix(path, "bench ") || strings.HasPrefix(path, "completion ")
		if has := c.Flags().Lookup("json") != nil; has == exempt {
			t.Errorf("triality %s: --json is there: %t", path, has)
		}
	})
}

func TestEveryCommandIsListedUnderAHeadingWithASummary(t *testing.T) {
	root := newRoot(&env{stdout: io.Discard, stderr: io.Discard})
	var overview strings.Builder
	printHelp(&overview, root)
	walkCommands(root, func(c *cobra.Command) {
		path := strings.TrimPrefix(c.CommandPath(), "triality ")
		if first, _, _ := strings.Cut(path, " "); first == "completion" {
			path = "completion SHELL"
		}
		if !strings.Contains(overview.String(), "  "+path) || c.Short == "" {
			t.Errorf("%s is not in the overview, or has no summary", path)
		}
	})
	for _, c := range root.Commands() {
		if c.GroupID == "" || c.Short == "" {
			t.Errorf("%s has no heading or no summary", c.Name())
		}
	}
}
