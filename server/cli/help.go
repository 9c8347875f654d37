package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	flag "github.com/spf13/pflag"
)

// printHelp prints a command's usage, summary and flags, or the commands below it.
func printHelp(w io.Writer, cmd *cobra.Command) {
	if cmd.HasSubCommands() && !works(cmd) {
		printCommands(w, cmd)
		return
	}
	fmt.Fprintf(w, "usage: %s\n\n%s\n", cmd.UseLine(), cmd.Short)
	if cmd.Long != "" {
		fmt.Fprintf(w, "\n%s\n", cmd.Long)
	}
	printFlags(w, cmd.Flags())
	if cmd.HasSubCommands() {
		fmt.Fprintln(w, "\ncommands below it:")
		for _, c := range cmd.Commands() {
			printChildren(w, cmd, c)
		}
	}
}

// works says whether a command with others below it does something by itself.
func works(cmd *cobra.Command) bool { return cmd.HasParent() && cmd.Annotations[worksKey] != "" }

const worksKey = "works"

func printFlags(w io.Writer, fs *flag.FlagSet) {
	first := true
	fs.VisitAll(func(f *flag.Flag) {
		if f.Hidden {
			return
		}
		if first {
			fmt.Fprintln(w)
			first = false
		}
		value, text := flag.UnquoteUsage(f)
		if f.Name == "help" {
			text = "this text"
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && !strings.Contains(text, "default:") {
			text += fmt.Sprintf(" (default: %s)", f.DefValue)
		}
		fmt.Fprintf(w, "  %-26s %s\n", strings.TrimSpace("--"+f.Name+" "+value), text)
	})
}

// printCommands lists the commands below cmd; those of the root under their headings.
func printCommands(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, "%s\n\nusage: %s COMMAND [flags]\n", cmd.Short, cmd.CommandPath())
	if cmd.HasParent() {
		fmt.Fprintln(w)
		for _, c := range cmd.Commands() {
			printChildren(w, cmd, c)
		}
		fmt.Fprintf(w, "\n`%s COMMAND --help` shows a command's flags.\n", cmd.CommandPath())
		return
	}
	for _, group := range cmd.Groups() {
		fmt.Fprintf(w, "\n%s\n", group.Title)
		for _, c := range cmd.Commands() {
			if c.GroupID == group.ID {
				printChildren(w, cmd, c)
			}
		}
	}
	fmt.Fprint(w, "\n`triality COMMAND --help` or `triality help COMMAND` shows a command's flags.\n"+
		"exit status: 0 done, 1 failed, 2 wrong usage or input, 3 port or database taken, 4 with --gate B must not ship, 130 interrupted\n")
}

// printChildren prints a line for c, or for each command below it, named from root on.
func printChildren(w io.Writer, root, c *cobra.Command) {
	if c.HasSubCommands() && c.Name() != "completion" {
		if works(c) {
			printLine(w, root, c)
		}
		for _, sub := range c.Commands() {
			printChildren(w, root, sub)
		}
		return
	}
	printLine(w, root, c)
}

func printLine(w io.Writer, root, c *cobra.Command) {
	path := strings.TrimPrefix(strings.Replace(c.UseLine(), " [flags]", "", 1), root.Root().Name()+" ")
	if c.Name() == "completion" {
		path = "completion SHELL"
	}
	fmt.Fprintf(w, "  %-32s %s\n", path, c.Short)
}
