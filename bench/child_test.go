package bench

import (
	"strings"
	"testing"

	"github.com/firnkv/firn/bench/machine"
	"github.com/firnkv/firn/bench/report"
)

func TestChildErrors(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "read what to do",
		`{"engine":"unknown"}`: `no engine "unknown"`,
		`{"engine":"firn","task":"dance","dir":"DIR"}`: `unknown task "dance"`,
		`{"engine":"firn","task":"fill","dir":"DIR"}`:  "data of 0 keys",
	} {
		var out strings.Builder
		err := Child(t.Context(), []Engine{Firn}, strings.NewReader(strings.ReplaceAll(in, "DIR", t.TempDir())), &out)
		if err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%s: got %v, %q, want %q", in, err, out.String(), want)
		}
	}
}

// A child that fails is an error that tells why.
func TestChildFails(t *testing.T) {
	c := tiny(t)
	c.Engines[0].Name = "renamed" // the child does not know it
	c.Workloads, _ = Select(c.Workloads, "^open/crash")
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), `no engine "renamed"`) {
		t.Errorf("got %v", err)
	}
	c.Child = nil
	r, err := Run(t.Context(), c)
	if err != nil || r.Results[0].Skipped == "" {
		t.Errorf("%v: %+v", err, r)
	}
}

func TestMemoryNote(t *testing.T) {
	for _, c := range []struct {
		memory, limit, raw int64
		want               string
	}{
		{0, 0, 100, "not known"},
		{1000, 0, 100, "fits"},
		{1000, 200, 100, "0.5 times the memory"},
		{1000, 0, 3000, "3.0 times the memory"},
	} {
		r := &report.Report{Machine: machine.Description{Memory: c.memory, MemoryLimit: c.limit}, Settings: report.Settings{RawBytes: c.raw}}
		if got := memoryNote(r); !strings.Contains(got, c.want) {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}
