// Command peers measures Firn beside other stores, and writes a report.
//
//	go run ./cmd/peers -out report
//
// The report is report.json, report.md and report.html, with plots as SVG; "firn bench
// compare" says what differs between two of them. The exit status is 0 if everything
// was measured, 1 if something failed, and 2 if the command line could not be
// understood.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"

	"github.com/firnkv/firn/bench"
	"github.com/firnkv/firn/bench/peers"
)

// childArg makes this program a child of itself.
const childArg = "child"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) == 2 && os.Args[1] == childArg {
		err = bench.Child(ctx, peers.Engines, os.Stdin, os.Stdout)
	} else {
		o, c := parse()
		err = run(ctx, o, c)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "peers: %v\n", err)
		os.Exit(1)
	}
}

type options struct {
	bench.Choice
	engines string
	out     string
	profile string
}

// parse parses the command line, or ends the program.
func parse() (*options, bench.Config) {
	o := new(options)
	o.Flags(flag.CommandLine)
	flag.StringVar(&o.engines, "engines", "", "`names` of engines, separated by commas; ratios are to the first (default all)")
	flag.StringVar(&o.out, "out", "", "write the report to `directory` (default as Markdown to standard output)")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the whole run to `file`")
	flag.Parse()
	c, err := o.config()
	if flag.NArg() > 0 {
		err = errors.New("there are no arguments")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "peers: %v\n", err)
		flag.Usage()
		os.Exit(2)
	}
	return o, c
}

func (o *options) config() (bench.Config, error) {
	c, err := o.Config()
	if err != nil {
		return c, err
	}
	if c.Engines, err = selectEngines(o.engines); err != nil {
		return c, err
	}
	self, err := os.Executable()
	c.Child = []string{self, childArg}
	c.Progress = func(step string) { fmt.Fprintln(os.Stderr, step) }
	return c, err
}

// selectEngines returns the engines of a list of names, in its order.
func selectEngines(names string) ([]bench.Engine, error) {
	if names == "" {
		return peers.Engines, nil
	}
	var selected []bench.Engine
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(peers.Engines, func(e bench.Engine) bool { return e.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no engine %q", name)
		}
		selected = append(selected, peers.Engines[i])
	}
	return selected, nil
}

// run measures, and reports also if something failed.
func run(ctx context.Context, o *options, c bench.Config) error {
	if o.profile != "" {
		file, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	r, err := bench.Run(ctx, c)
	switch {
	case r == nil:
		return err
	case o.out == "":
		return errors.Join(err, r.WriteMarkdown(os.Stdout))
	}
	return errors.Join(err, r.WriteFiles(o.out))
}
