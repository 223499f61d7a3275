package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a command line that cannot be understood.
type usageError struct {
	command string // as typed, for the hint at its help
	message string
}

func (e *usageError) Error() string { return e.message }

func usage(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{cmd.CommandPath(), fmt.Sprintf(format, args...)}
}

// errHelpShown: a group was called without one of its commands, and its help
// has been printed.
var errHelpShown = errors.New("help shown")

// group makes cmd one that only has subcommands.
func group(cmd *cobra.Command, subcommands ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(subcommands...)
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		cmd.SetOut(cmd.ErrOrStderr())
		if err := cmd.Help(); err != nil {
			return err
		}
		return errHelpShown
	}
	return cmd
}

func unknownCommand(cmd *cobra.Command, typed string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	hint := didYouMean(typed, names, "")
	if paths := commandsNamed(cmd.Root(), typed); len(paths) > 0 {
		hint = "; there is " + strings.Join(paths, ", ")
	}
	return usage(cmd, "unknown command %q for %q%s", typed, cmd.CommandPath(), hint)
}

// commandsNamed returns the paths of all commands of a name, quoted: a user who
// forgot a word of the path finds it there.
func commandsNamed(cmd *cobra.Command, name string) []string {
	var paths []string
	for _, sub := range cmd.Commands() {
		if sub.Name() == name {
			paths = append(paths, strconv.Quote(sub.CommandPath()))
		}
		paths = append(paths, commandsNamed(sub, name)...)
	}
	return paths
}

// flagError turns an error of the flag parser into a usage error. If words
// that are no command stand before an unknown flag, they are the cause of it.
func flagError(cmd *cobra.Command, err error) error {
	if words := cmd.Flags().Args(); cmd.HasSubCommands() && len(words) > 0 {
		return unknownCommand(cmd, words[0])
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usage(cmd, "%v", err)
	}
	typed := unknown.GetSpecifiedName()
	if strings.HasPrefix(err.Error(), "unknown shorthand") {
		return usage(cmd, `unknown flag "-%s": before an argument that begins with "-", write "--"`,
			unknown.GetSpecifiedShortnames())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return usage(cmd, "unknown flag --%s%s", typed, didYouMean(typed, names, "--"))
}

// positional checks the number of arguments: each of required has to be
// there, and at most as many more as there are optional ones. If the last
// required one ends in "...", any number may follow.
func positional(required []string, optional ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(required) {
			return usage(cmd, "%s is missing", strings.TrimSuffix(required[len(args)], "..."))
		}
		most := len(required) + len(optional)
		if len(args) > most && (len(required) == 0 || !strings.HasSuffix(required[len(required)-1], "...")) {
			return usage(cmd, "too many arguments: %q is one more than expected", args[most])
		}
		return nil
	}
}
