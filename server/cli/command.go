package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	flag "github.com/spf13/pflag"

	"triality/experiments/config"
)

// command is one command of the program.
type command struct {
	name    string // "model init"
	args    string // positional arguments, for the usage line
	summary string
	// setup declares flags and gives what runs the command with the positional arguments.
	setup func(e *env, fs *flag.FlagSet) func(ctx context.Context, args []string) error
}

// section is a heading of the overview with its commands.
type section struct {
	id, title string
	commands  []command
}

func sections() []section {
	return []section{
		{"job", "The main job", slices.Concat(jobCommands(), bookCommands())},
		{"step", "Its steps alone", stepCommands()},
		{"model", "Models", slices.Concat(modelCommands(), hubCommands())},
		{"metric", "Metrics of your own", metricCommands()},
		{"server", "The tracker", slices.Concat(serverCommands(), workerCommands(), queueCommands(), runsCommands(), bulkCommands(), sharedCommands(), dbCommands(), auditCommands())},
		{"tool", "Tools", slices.Concat(dataCommands(), benchCommands(), toolCommands())},
	}
}

// families are the commands that only group others, with what they are about.
var families = map[string]string{
	"model":   "make, look at, merge, convert and check models",
	"hub":     "models of the Hugging Face Hub and its cache",
	"metric":  "WebAssembly metrics: start one, check it, try it",
	"shared":  "results that a team shares",
	"db":      "the tracker's database",
	"audit":   "the log of judged queries",
	"jobs":    "the server's queue",
	"runs":    "recorded runs",
	"views":   "saved views of the runs' tables",
	"book":    "notebooks: experiments as a text",
	"dataset": "rows to train and test on",
	"config":  "the pipeline's configuration",
	"bench":   "measurements beside a peer, as JSON",
}

func init() { cobra.EnableCommandSorting = false } // commands are listed in the order of the work

// newRoot is the program as a tree of cobra commands.
func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use: "triality", Short: "triality runs experiments on language models and tracks them",
		Version: Version, SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error { return family(cmd, args) },
		Args: cobra.ArbitraryArgs,
	}
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetVersionTemplate(thisBuild().String() + "\n")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(e.stdout, cmd) })
	parents := map[string]*cobra.Command{}
	for _, s := range sections() {
		root.AddGroup(&cobra.Group{ID: s.id, Title: s.title})
		for _, c := range s.commands {
			parent, name := root, c.name
			if first, rest, ok := strings.Cut(c.name, " "); ok {
				if parents[first] == nil && families[first] != "" {
					parents[first] = &cobra.Command{
						Use: first, Short: families[first], GroupID: s.id,
						RunE: func(cmd *cobra.Command, args []string) error { return family(cmd, args) },
						Args: cobra.ArbitraryArgs,
					}
					root.AddCommand(parents[first])
				}
				parent, name = parents[first], rest
			}
			child := leaf(e, c, name)
			if parent == root {
				child.GroupID = s.id
				parents[name] = child // it may have commands below it, and do something by itself too
			}
			parent.AddCommand(child)
		}
	}
	root.SetHelpCommand(helpCommand())
	root.SetCompletionCommandGroupID("tool")
	root.InitDefaultCompletionCmd("completion")
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Short = "a script that completes commands and flags in bash, zsh, fish or PowerShell"
			c.Args = cobra.ArbitraryArgs
			c.RunE = func(cmd *cobra.Command, args []string) error { return completionOf(cmd, args) }
		}
	}
	return root
}

// completionOf is reached where the argument names none of cobra's own commands below completion.
func completionOf(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	return usagef("completion %s: want bash, zsh, fish or powershell", args[0])
}

// helpCommand is `triality help COMMAND`.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "this list, or a command's flags", GroupID: "tool", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil {
				return usagef("%v", err)
			}
			if len(rest) > 0 {
				return family(found, rest)
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// leaf is a command that does something.
func leaf(e *env, c command, name string) *cobra.Command {
	cmd := &cobra.Command{Use: strings.TrimSpace(name + " [flags] " + c.args), Short: c.summary, DisableFlagsInUseLine: true, Args: cobra.ArbitraryArgs, Annotations: map[string]string{worksKey: "yes"}}
	cmd.Flags().SortFlags = false
	do := c.setup(e, cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.HasSubCommands() && len(args) > 0 {
			return family(cmd, args)
		}
		if c.args == "" && len(args) > 0 {
			return usagef("%s takes no arguments, have %q (`%s --help` lists the flags)", c.name, args[0], cmd.CommandPath())
		}
		return do(cmd.Context(), args)
	}
	cmd.Flags().VisitAll(func(f *flag.Flag) {
		if values, ok := flagValues[f.Name]; ok {
			// A name declared above cannot be unknown, the function's only error.
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		}
	})
	return cmd
}

// flagValues are what the shells offer after a flag of a fixed set.
var flagValues = map[string][]string{
	"device": {"auto", "cpu", "cuda"},
	"format": {"instruction", "chat", "completion"},
	"type":   {"f16", "q8_0", "f32"},
	"dtype":  {"float32", "float16", "bfloat16"},
	"lang":   {"go", "c", "assemblyscript", "rust", "wat"},
}

// family lists the commands below one that does nothing by itself; an argument there is a mistyped command.
func family(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	hint := fmt.Sprintf("`%s --help` lists the commands", cmd.CommandPath())
	if near, ok := config.Nearest(args[0], names); ok {
		hint = fmt.Sprintf("did you mean `%s %s`?", cmd.CommandPath(), near)
	}
	return usagef("unknown command %q; %s", strings.TrimPrefix(cmd.CommandPath()+" "+args[0], "triality "), hint)
}

// flagError is pflag's error in the words of the other messages, with the known flag that is spelled most
// alike where there is none of that name.
func flagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	var unknown *flag.NotExistError
	var invalid *flag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			name = short // "-seed" was read as the short flags s, e, e and d
		}
		if near, ok := nearestFlag(cmd, name); ok {
			text += fmt.Sprintf("; did you mean --%s?", near)
		}
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		text = fmt.Sprintf("--%s: %v", f.Name, invalid.Unwrap())
		if want, ok := flagWants[f.Value.Type()]; ok {
			text = fmt.Sprintf("--%s: want %s, have %q", f.Name, want, invalid.GetValue())
		}
	}
	return usagef("%s (`%s --help` lists the flags)", text, cmd.CommandPath())
}

// flagWants are what flags take, by pflag's name of their type.
var flagWants = map[string]string{
	"bool": "true or false", "int": "a whole number", "uint64": "a whole number, not negative", "float64": "a number",
	"duration": "a duration such as 300ms or 5m",
}

func nearestFlag(cmd *cobra.Command, name string) (string, bool) {
	var names []string
	cmd.Flags().VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return config.Nearest(name, names)
}

func joined(words []string) string { return strings.Join(words, ", ") }
