package bench

import (
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/firnkv/firn/bench/dataset"
)

// chosen returns the settings of a command line.
func chosen(args ...string) (Config, error) {
	var c Choice
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	c.Flags(flags)
	if err := flags.Parse(args); err != nil {
		return Config{}, err
	}
	return c.Config()
}

func TestChoice(t *testing.T) {
	c, err := chosen()
	if full := Full(); err != nil || c.Data != full.Data || c.Rounds != full.Rounds || len(c.Workloads) != len(full.Workloads) || c.Dir != "" {
		t.Errorf("%v: got %+v", err, c)
	}
	c, err = chosen("-quick", "-only", "^churn/", "-random")
	if quick := Quick(); err != nil || c.Round != quick.Round || c.Data != (dataset.Spec{Kind: dataset.Random, Keys: quick.Data.Keys}) || len(c.Workloads) != 2 {
		t.Errorf("%v: got %+v", err, c)
	}
	c, err = chosen("-keys", "7", "-rounds", "3", "-limit", "2m", "-data", "pairs", "-scratch", "disk")
	if err != nil || c.Data != (dataset.Spec{Kind: dataset.Pairs, File: "pairs", Keys: 7}) || c.Rounds != 3 || c.Limit != 2*time.Minute || c.Dir != "disk" {
		t.Errorf("%v: got %+v", err, c)
	}
}

func TestWrongChoice(t *testing.T) {
	for line, want := range map[string]string{
		"-keys 0":            "at least 1",
		"-keys many":         "at least 1",
		"-rounds -1":         "at least 1",
		"-limit 5":           "a duration",
		"-limit -5s":         "a duration",
		"-only (":            "--only: ",
		"-only xyzzy":        "no workload",
		"-data file -random": "exclude each other",
	} {
		if _, err := chosen(strings.Fields(line)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", line, err)
		}
	}
}
