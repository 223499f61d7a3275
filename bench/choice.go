package bench

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/firnkv/firn/bench/dataset"
)

// Choice is what the user of a command chooses of a [Config].
type Choice struct {
	Quick  bool
	Keys   int           // 0: as many as the settings say
	Rounds int           // 0: as many as the settings say
	Limit  time.Duration // 0: as the settings say; see [Config.Limit]
	Only   string        // a regular expression that the names of the workloads match
	File   string        // where pairs come from; empty: they are made
	Random bool          // values cannot be compressed
	Dir    string        // see [Config.Dir]
}

// Flags defines a flag for each choice.
func (c *Choice) Flags(flags *flag.FlagSet) {
	full, quick := Full(), Quick()
	flags.BoolVar(&c.Quick, "quick", false, fmt.Sprintf("smaller stores and shorter rounds: %d keys, %d rounds", quick.Data.Keys, quick.Rounds))
	flags.Func("keys", fmt.Sprintf("`number` of pairs in a store (default %d)", full.Data.Keys), atLeastOne(&c.Keys))
	flags.Func("rounds", fmt.Sprintf("`number` of rounds of each workload (default %d)", full.Rounds), atLeastOne(&c.Rounds))
	flags.Func("limit", fmt.Sprintf("end rounds of counted operations, as of overwriting ten-fold, after `duration` (default %v)", full.Limit), c.setLimit)
	flags.StringVar(&c.Only, "only", "", "run the workloads whose names match `regexp`")
	flags.StringVar(&c.File, "data", "", "take the pairs from `file`: lines of JSON with \"key\" and \"value\", plain or zstd")
	flags.BoolVar(&c.Random, "random", false, "take values that cannot be compressed (default JSON documents)")
	flags.StringVar(&c.Dir, "scratch", "", "make the stores in `directory`, to measure its disk (default that for temporary files)")
}

// atLeastOne sets n to the number that a flag is given.
func atLeastOne(n *int) func(text string) error {
	return func(text string) (err error) {
		if *n, err = strconv.Atoi(text); err != nil || *n < 1 {
			return errors.New("it is a number of at least 1")
		}
		return nil
	}
}

func (c *Choice) setLimit(text string) (err error) {
	if c.Limit, err = time.ParseDuration(text); err != nil || c.Limit <= 0 {
		return errors.New("it is a duration, as 90s or 5m")
	}
	return nil
}

// Config returns the settings that were chosen, without engines and without a child.
// An error is one of the user.
func (c *Choice) Config() (Config, error) {
	config := Full()
	if c.Quick {
		config = Quick()
	}
	if c.Keys > 0 {
		config.Data.Keys = c.Keys
	}
	if c.Rounds > 0 {
		config.Rounds = c.Rounds
	}
	if c.Limit > 0 {
		config.Limit = c.Limit
	}
	switch {
	case c.File != "" && c.Random:
		return config, errors.New("--data and --random exclude each other")
	case c.File != "":
		config.Data.Kind, config.Data.File = dataset.Pairs, c.File
	case c.Random:
		config.Data.Kind = dataset.Random
	}
	config.Dir = c.Dir
	var err error
	if config.Workloads, err = Select(config.Workloads, c.Only); err != nil {
		return config, fmt.Errorf("--only: %w", err)
	}
	return config, nil
}
