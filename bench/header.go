package bench

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/firnkv/firn/bench/machine"
	"github.com/firnkv/firn/bench/report"
)

// newReport returns a report of what is known before anything is measured.
func (r *runner) newReport() *report.Report {
	c := &r.config
	rep := &report.Report{
		Version: report.Version,
		Started: time.Now().UTC().Truncate(time.Second),
		Machine: machine.Describe(r.scratch),
		Settings: report.Settings{
			Data:          c.Data,
			RawBytes:      r.data.Bytes(),
			Rounds:        c.Rounds,
			RoundSeconds:  c.Round.Seconds(),
			WarmUpSeconds: c.WarmUp.Seconds(),
			LimitSeconds:  c.Limit.Seconds(),
			WatchSeconds:  c.Watch.Seconds(),
		},
		DiskSyncs: report.Metric{Kind: diskSyncs},
		Notes:     []string{},
	}
	rep.Settings.Data.Keys = r.data.Keys // a file may have fewer pairs
	for _, e := range c.Engines {
		rep.Engines = append(rep.Engines, report.Engine{
			Name: e.Name, Version: moduleVersion(e.Module), Configuration: e.Configuration,
		})
	}
	for _, w := range c.Workloads {
		rep.Workloads = append(rep.Workloads, report.Workload{Name: w.Name, About: w.About, Threads: w.Threads, Durable: w.Durable})
	}
	rep.Notes = append(rep.Notes, memoryNote(rep))
	if rep.Machine.FileSystem == "tmpfs" {
		rep.Notes = append(rep.Notes, "The stores were in memory (tmpfs): what is durable is not measured.")
	}
	return rep
}

// memoryNote says whether the data fits into memory.
func memoryNote(rep *report.Report) string {
	memory, raw := rep.Machine.Memory, rep.Settings.RawBytes
	if limit := rep.Machine.MemoryLimit; limit > 0 && limit < memory {
		memory = limit
	}
	switch {
	case memory == 0:
		return "It is not known whether the data fits into memory."
	case raw < memory/4:
		return "The data fits into memory: it is read from the page cache. Working sets larger than memory were not measured."
	}
	return fmt.Sprintf("The data takes %.1f times the memory before compression: not all of it is read from the page cache.", float64(raw)/float64(memory))
}

// moduleVersion returns the version of a module in this program. That of the
// program's own module may be the commit that it was built from.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path != path {
			continue
		}
		if commit := setting(info, "vcs.revision"); commit != "" && (m.Version == "(devel)" || m.Version == "v0.0.0") {
			return "commit " + commit[:min(len(commit), 12)]
		}
		return m.Version
	}
	return "unknown"
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
