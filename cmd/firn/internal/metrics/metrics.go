package metrics

import (
	"iter"
	"net/http"
	"time"

	"github.com/firnkv/firn/engine/namespaces"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Request describes a request that was answered.
type Request struct {
	Protocol    string // of a few
	Operation   string // of a few
	NamespaceID string
	Status      int
	Duration    time.Duration
	BytesIn     int64 // of the body
	BytesOut    int64 // of the body
}

// Config says what is asked when the metrics are. All of it has to be safe for
// concurrent use.
type Config struct {
	InFlight    func() int64 // requests being answered
	Connections func() int64

	// Stores are those that are open. It must open none.
	Stores iter.Seq[*namespaces.Lease]

	Version, Commit, GoVersion string
}

// Metrics counts. It is safe for concurrent use.
type Metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	received  *prometheus.CounterVec
	sent      *prometheus.CounterVec
}

// seconds are the upper bounds of durations: from a read out of the cache to a
// large value over a slow line.
var seconds = []float64{
	50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10, 60,
}

// New returns metrics that have counted nothing yet.
func New(c Config) *Metrics {
	what := []string{"protocol", "operation"}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firn_requests_total", Help: "Requests that were answered, by class of status."},
			[]string{"protocol", "operation", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "firn_request_duration_seconds", Help: "Time from the header of a request to the last write of its answer.",
			Buckets: seconds}, what),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firn_received_bytes_total", Help: "Bytes of the bodies of requests."}, what),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firn_sent_bytes_total", Help: "Bytes of the bodies of answers."}, what),
	}
	m.registry.MustRegister(m.requests, m.durations, m.received, m.sent,
		gauge("firn_requests_in_flight", "Requests being answered.", c.InFlight),
		gauge("firn_connections", "Connections to the main port.", c.Connections),
		build(c),
		&stores{c.Stores},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func gauge(name, help string, value func() int64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
}

func build(c Config) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "firn_build_info", Help: "What runs here; always 1.",
		ConstLabels: prometheus.Labels{"version": c.Version, "commit": c.Commit, "go": c.GoVersion},
	}, func() float64 { return 1 })
}

// Observe counts a request.
func (m *Metrics) Observe(r Request) {
	m.requests.WithLabelValues(r.Protocol, r.Operation, class(r.Status)).Inc()
	m.durations.WithLabelValues(r.Protocol, r.Operation).Observe(r.Duration.Seconds())
	m.received.WithLabelValues(r.Protocol, r.Operation).Add(float64(r.BytesIn))
	m.sent.WithLabelValues(r.Protocol, r.Operation).Add(float64(r.BytesOut))
}

func class(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return string(rune('0'+status/100)) + "xx"
}

// scrapes is how many may ask at once: each asks all stores that are open.
const scrapes = 2

// Handler answers with all metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes})
}
