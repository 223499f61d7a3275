package report

import (
	"time"

	"github.com/firnkv/firn/bench/dataset"
	"github.com/firnkv/firn/bench/machine"
)

// Version is that of the reports that this package writes and reads.
const Version = 1

// Report is a run of benchmarks.
type Report struct {
	Version  int                 `json:"version"`
	Started  time.Time           `json:"started"`
	Seconds  float64             `json:"seconds"` // the whole run
	Machine  machine.Description `json:"machine"`
	Settings Settings            `json:"settings"`
	Engines  []Engine            `json:"engines"`
	// DiskSyncs is how many blocks of 4 KiB a second one thread writes and
	// syncs in turn, with a sample from before each round of each workload.
	DiskSyncs Metric `json:"disk_syncs"`
	// ZstdEncode and ZstdDecode are how many bytes a second of a large value
	// one thread compresses and decompresses, in chunks of 128 KiB by the
	// fastest level of zstd, with a sample from before each round of putting
	// and getting values as large.
	ZstdEncode Metric     `json:"zstd_encode,omitzero"`
	ZstdDecode Metric     `json:"zstd_decode,omitzero"`
	Workloads  []Workload `json:"workloads"`
	// Results are in the order of the workloads, and for each in the order of
	// the engines.
	Results []Result `json:"results"`
	// Notes say what else to know of this run.
	Notes []string `json:"notes"`
}

// Settings says what all engines had to do.
type Settings struct {
	Data     dataset.Spec `json:"data"`
	RawBytes int64        `json:"raw_bytes"` // of the keys and values in a store
	Rounds   int          `json:"rounds"`
	// RoundSeconds is how long a round of operations goes on that are not
	// counted, and WarmUpSeconds how long they go on before it.
	RoundSeconds  float64 `json:"round_seconds"`
	WarmUpSeconds float64 `json:"warm_up_seconds"`
	// LimitSeconds ends a round of counted operations that takes longer.
	LimitSeconds float64 `json:"limit_seconds"`
	// WatchSeconds is for how long disk use is watched when writing has ended.
	WatchSeconds float64 `json:"watch_seconds"`
}

// Engine is a store that was measured.
type Engine struct {
	Name          string `json:"name"`
	Version       string `json:"version"`
	Configuration string `json:"configuration"` // in words
}

// Workload is what was done.
type Workload struct {
	Name    string `json:"name"`
	About   string `json:"about"` // in words
	Threads int    `json:"threads"`
	Durable bool   `json:"durable"` // each put is on disk when it returns
}

// Result is what one workload came to with one engine.
type Result struct {
	Workload string `json:"workload"`
	Engine   string `json:"engine"`
	// Skipped says why it was not run, and Failed why it came to nothing. Both
	// are empty otherwise.
	Skipped string `json:"skipped,omitempty"`
	Failed  string `json:"failed,omitempty"`
	// Metrics begin with the one that matters most.
	Metrics []Metric `json:"metrics"`
	// Latency is the distribution of latencies over all rounds, in ascending
	// order.
	Latency []Percentile `json:"latency,omitempty"`
	// Timeline is what happened in the last round.
	Timeline []Moment `json:"timeline,omitempty"`
}

// Percentile is a latency in seconds that the share Quantile of all operations did
// not exceed.
type Percentile struct {
	Quantile float64 `json:"quantile"`
	Seconds  float64 `json:"seconds"`
}

// Moment is what a look at a store showed.
type Moment struct {
	Seconds   float64 `json:"seconds"`    // since the beginning
	Ops       int64   `json:"ops"`        // operations that were done by then
	DiskBytes int64   `json:"disk_bytes"` // that the store took
}

// Metric returns the metric of a name, or nil.
func (r *Result) Metric(name string) *Metric {
	for i := range r.Metrics {
		if r.Metrics[i].Name == name {
			return &r.Metrics[i]
		}
	}
	return nil
}

// Add adds a sample to a metric, which it creates if there is none.
func (r *Result) Add(kind Kind, sample float64) {
	m := r.Metric(kind.Name)
	if m == nil {
		r.Metrics = append(r.Metrics, Metric{Kind: kind})
		m = &r.Metrics[len(r.Metrics)-1]
	}
	m.Samples = append(m.Samples, sample)
}

// Result returns the result of a workload with an engine, or nil.
func (r *Report) Result(workload, engine string) *Result {
	for i := range r.Results {
		if r.Results[i].Workload == workload && r.Results[i].Engine == engine {
			return &r.Results[i]
		}
	}
	return nil
}
