package report

import (
	"fmt"
	"time"
)

// fact is something to know about a run.
type fact struct{ Name, Text string }

func (r *Report) facts() []fact {
	mc, s := &r.Machine, &r.Settings
	memory := Bytes.Format(float64(mc.Memory)) + " of memory"
	if mc.MemoryLimit > 0 {
		memory += ", limited to " + Bytes.Format(float64(mc.MemoryLimit))
	}
	data := fmt.Sprintf("%d pairs (%s), %s", s.Data.Keys, s.Data.Kind, Bytes.Format(float64(s.RawBytes)))
	if s.Data.File != "" {
		data += " of " + s.Data.File
	}
	facts := []fact{
		{"Run", fmt.Sprintf("%s, %v", r.Started.Format(time.RFC3339), time.Duration(r.Seconds*float64(time.Second)).Round(time.Second))},
		{"Machine", fmt.Sprintf("%s, %d cores, %s, %s, %s", orUnknown(mc.CPU), mc.Cores, memory, mc.System, mc.Go)},
		{"Disk", fmt.Sprintf("%s, %s writes of 4 KiB, each synced, by one thread", orUnknown(mc.FileSystem), r.DiskSyncs.String())},
	}
	if len(r.ZstdEncode.Samples)+len(r.ZstdDecode.Samples) > 0 {
		facts = append(facts, fact{"zstd", fmt.Sprintf("%s compressed and %s decompressed, at the fastest level in chunks of 128 KiB, by one thread",
			r.ZstdEncode.String(), r.ZstdDecode.String())})
	}
	facts = append(facts, []fact{
		{"Data", data},
		{"Rounds", fmt.Sprintf("%d, interleaved; %s each after %s of warming up; counted operations end after %s at the latest; disk use is watched for %s after the last put",
			s.Rounds, Seconds.Format(s.RoundSeconds), Seconds.Format(s.WarmUpSeconds), Seconds.Format(s.LimitSeconds), Seconds.Format(s.WatchSeconds))},
	}...)
	for _, e := range r.Engines {
		facts = append(facts, fact{e.Name + " " + e.Version, e.Configuration})
	}
	return facts
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
