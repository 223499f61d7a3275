package compaction

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the decisions in testdata anew")

// TestPick runs the cases of testdata. A case is a title after #, the state, a
// line ----, and the decision; an empty line ends it. The first line of the state
// has its fields, the others a segment each, or several alike (ids 4-9):
//
//	quiet=10 free=5M fixed=4M/2M target=1.3
//	4-9 log disk=60M puts=90M live=90M age=1h
//
// Sizes have the units K, M and G, times s, m, h and d; expires counts from now.
func TestPick(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { testFile(t, file) })
	}
}

func testFile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, c := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		input, want, ok := strings.Cut(c, "\n----\n")
		if !ok && !*update {
			t.Fatalf("%s: no ---- in case %d", file, i+1)
		}
		input = strings.TrimSuffix(input, "\n----")
		st, err := parseState(input)
		if err != nil {
			t.Fatalf("%s: case %d: %v", file, i+1, err)
		}
		got := decision(st)
		if got != strings.TrimSpace(want) && !*update {
			t.Errorf("%s:\n%s\n----\n%s\nwant:\n%s", file, input, got, want)
		}
		if i > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "%s\n----\n%s\n", input, got)
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func decision(st *State) string {
	v := newView(st)
	s := fmt.Sprintf("%dM on disk, %dM packed, %dM to win; unit %dM; pressure %.2f\n",
		v.total>>20, v.packed>>20, v.waste>>20, v.unit>>20, Pressure(st))
	job, ok := Pick(st)
	if !ok {
		return s + "none"
	}
	return s + fmt.Sprintf("%s %v -> %s", job.Reason, job.Victims, formNames[job.Form])
}

var formNames = map[Form]string{Log: "log", Young: "young", Settled: "settled", Values: "values"}

const testNow = 1_800_000_000

func parseState(text string) (*State, error) {
	st := &State{Now: testNow, Free: -1, Target: 1.3}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case fields[0] == "#":
		case strings.Contains(fields[0], "="):
			for _, f := range fields {
				if err := parseField(st, f); err != nil {
					return nil, err
				}
			}
		default:
			if err := parseSegments(st, fields); err != nil {
				return nil, err
			}
		}
	}
	return st, nil
}

func parseField(st *State, field string) error {
	name, value, _ := strings.Cut(field, "=")
	var err error
	switch name {
	case "quiet":
		st.Quiet, err = strconv.ParseFloat(value, 64)
	case "target":
		st.Target, err = strconv.ParseFloat(value, 64)
	case "free":
		st.Free, err = parseNumber(value)
	case "fixed":
		disk, live, _ := strings.Cut(value, "/")
		if st.Fixed, err = parseNumber(disk); err == nil {
			st.FixedLive, err = parseNumber(live)
		}
	default:
		err = fmt.Errorf("no field %q", name)
	}
	return err
}

func parseSegments(st *State, fields []string) error {
	s := Segment{Newest: testNow}
	for form, name := range formNames {
		if name == fields[1] {
			s.Form = form
		}
	}
	for _, f := range fields[2:] {
		name, value, _ := strings.Cut(f, "=")
		var n int64
		if name != "kept" {
			var err error
			if n, err = parseNumber(value); err != nil {
				return err
			}
		}
		switch name {
		case "disk":
			s.Disk = n
		case "puts":
			s.Puts = n
		case "live":
			s.Live = n
		case "tombstones":
			s.Tombstones = n
		case "pointers":
			s.Pointers = n
		case "kept":
			s.Kept = true
		case "age":
			s.Newest = testNow - n
		case "expires":
			s.Expires = testNow + n
		default:
			return fmt.Errorf("no field %q", name)
		}
	}
	first, last, ok := strings.Cut(fields[0], "-")
	if !ok {
		last = first
	}
	from, err := strconv.ParseUint(first, 10, 64)
	if err != nil {
		return err
	}
	to, err := strconv.ParseUint(last, 10, 64)
	if err != nil {
		return err
	}
	for s.ID = from; s.ID <= to; s.ID++ {
		st.Segments = append(st.Segments, s)
	}
	return nil
}

// parseNumber parses a number with a unit of size or time.
func parseNumber(s string) (int64, error) {
	unit := int64(1)
	if s != "" {
		if u, ok := units[s[len(s)-1]]; ok {
			unit, s = u, s[:len(s)-1]
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	return int64(f * float64(unit)), err
}

var units = map[byte]int64{'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30, 's': 1, 'm': 60, 'h': 3600, 'd': 86400}
