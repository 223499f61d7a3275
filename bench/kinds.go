package bench

import "github.com/firnkv/firn/bench/report"

// What is measured. The times are those of operations.
var (
	throughput  = report.Kind{Name: "throughput", Unit: report.PerSecond, Better: report.Higher}
	bandwidth   = report.Kind{Name: "bandwidth", Unit: report.BytesPerSecond, Better: report.Higher}
	latency50   = report.Kind{Name: "p50", Unit: report.Seconds, Better: report.Lower}
	latency99   = report.Kind{Name: "p99", Unit: report.Seconds, Better: report.Lower}
	latency999  = report.Kind{Name: "p99.9", Unit: report.Seconds, Better: report.Lower}
	latencyMax  = report.Kind{Name: "max", Unit: report.Seconds, Better: report.Lower}
	cpuTime     = report.Kind{Name: "cpu", Unit: report.Seconds, Better: report.Lower} // an operation, on all cores
	closedRate  = report.Kind{Name: "throughput with close", Unit: report.PerSecond, Better: report.Higher}
	diskUse     = report.Kind{Name: "disk", Unit: report.Bytes, Better: report.Lower}
	diskOfRaw   = report.Kind{Name: "disk/raw", Unit: report.Ratio, Better: report.Lower}
	allocated   = report.Kind{Name: "allocated", Unit: report.Bytes, Better: report.Lower} // on the Go heap, an operation
	keysRead    = report.Kind{Name: "keys", Unit: report.PerSecond, Better: report.Higher}
	packedUse   = report.Kind{Name: "packed", Unit: report.Bytes, Better: report.Lower}
	peakUse     = report.Kind{Name: "peak/packed", Unit: report.Ratio, Better: report.Lower}
	restUse     = report.Kind{Name: "rest/packed", Unit: report.Ratio, Better: report.Lower} // after Config.Watch
	timeToGoal  = report.Kind{Name: "time to 1.3", Unit: report.Seconds, Better: report.Lower}
	writtenUse  = report.Kind{Name: "written/put", Unit: report.Ratio, Better: report.Lower} // bytes
	peakDisk    = report.Kind{Name: "peak disk", Unit: report.Bytes, Better: report.Lower}
	restDisk    = report.Kind{Name: "rest disk", Unit: report.Bytes, Better: report.Lower} // after Config.Watch
	openTime    = report.Kind{Name: "time", Unit: report.Seconds, Better: report.Lower}
	memoryAKey  = report.Kind{Name: "memory", Unit: report.BytesPerKey, Better: report.Lower}
	memoryStore = report.Kind{Name: "memory in all", Unit: report.Bytes, Better: report.Lower}

	// Of the machine.
	diskSyncs  = report.Kind{Name: "disk syncs", Unit: report.PerSecond, Better: report.Higher}
	zstdEncode = report.Kind{Name: "zstd encode", Unit: report.BytesPerSecond, Better: report.Higher}
	zstdDecode = report.Kind{Name: "zstd decode", Unit: report.BytesPerSecond, Better: report.Higher}
)
