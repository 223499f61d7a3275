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
	"github.com/firnkv/firn/bench/dataset"
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
		err = run(ctx, parse())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "peers: %v\n", err)
		os.Exit(1)
	}
}

type options struct {
	quick   bool
	keys    int
	rounds  int
	engines string
	only    string
	data    string
	random  bool
	scratch string
	out     string
	profile string
}

// parse parses the command line, or ends the program.
func parse() *options {
	o := new(options)
	full := bench.Full()
	flag.BoolVar(&o.quick, "quick", false, "smaller stores and shorter rounds: less than three minutes")
	flag.IntVar(&o.keys, "keys", 0, fmt.Sprintf("`number` of pairs in a store (default %d)", full.Data.Keys))
	flag.IntVar(&o.rounds, "rounds", 0, fmt.Sprintf("`number` of rounds of each workload (default %d)", full.Rounds))
	flag.StringVar(&o.engines, "engines", "", "`names` of engines, separated by commas; ratios are to the first (default all)")
	flag.StringVar(&o.only, "only", "", "run the workloads whose names match `regexp`")
	flag.StringVar(&o.data, "data", "", "take the pairs from `file`: lines of JSON with \"key\" and \"value\", plain or zstd")
	flag.BoolVar(&o.random, "random", false, "take values that cannot be compressed (default JSON documents)")
	flag.StringVar(&o.scratch, "scratch", "", "make the stores in `directory`, to measure its disk (default that for temporary files)")
	flag.StringVar(&o.out, "out", "", "write the report to `directory` (default as Markdown to standard output)")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the whole run to `file`")
	flag.Parse()
	if flag.NArg() > 0 || o.keys < 0 || o.rounds < 0 || o.data != "" && o.random {
		fmt.Fprintln(os.Stderr, "peers: arguments, negative numbers, or -data together with -random are not understood")
		flag.Usage()
		os.Exit(2)
	}
	return o
}

func (o *options) config() (bench.Config, error) {
	c := bench.Full()
	if o.quick {
		c = bench.Quick()
	}
	if o.keys > 0 {
		c.Data.Keys = o.keys
	}
	if o.rounds > 0 {
		c.Rounds = o.rounds
	}
	switch {
	case o.data != "":
		c.Data.Kind, c.Data.File = dataset.Pairs, o.data
	case o.random:
		c.Data.Kind = dataset.Random
	}
	var err error
	if c.Engines, err = selectEngines(o.engines); err != nil {
		return c, err
	}
	if c.Workloads, err = bench.Select(c.Workloads, o.only); err != nil {
		return c, err
	}
	self, err := os.Executable()
	c.Dir, c.Child = o.scratch, []string{self, childArg}
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
func run(ctx context.Context, o *options) error {
	c, err := o.config()
	if err != nil {
		return err
	}
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
