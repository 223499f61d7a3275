package metrics_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/metrics"
	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
	"go.uber.org/goleak"
)

// TestMain fails if a goroutine stays when all tests are done.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scrape returns the lines of all metrics.
func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	s := httptest.NewServer(m.Handler())
	defer s.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %s %v", resp.Status, body, err)
	}
	return string(body)
}

func want(t *testing.T, got string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(got, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func count(n int64) func() int64 { return func() int64 { return n } }

func TestRequests(t *testing.T) {
	m := metrics.New(metrics.Config{
		InFlight: count(3), Connections: count(5), Stores: func(func(*namespaces.Lease) bool) {}, Version: "v1",
	})
	m.Observe(metrics.Request{Protocol: "rest", Operation: "put", Status: 200, Duration: time.Millisecond, BytesIn: 10, BytesOut: 20})
	m.Observe(metrics.Request{Protocol: "rest", Operation: "put", Status: 204, Duration: time.Second, BytesIn: 1, BytesOut: 2})
	m.Observe(metrics.Request{Protocol: "binding", Operation: "get", Status: 404})
	m.Observe(metrics.Request{Protocol: "binding", Operation: "get"})
	want(t, scrape(t, m),
		`firn_requests_total{operation="put",protocol="rest",status="2xx"} 2`,
		`firn_requests_total{operation="get",protocol="binding",status="4xx"} 1`,
		`firn_requests_total{operation="get",protocol="binding",status="none"} 1`,
		`firn_request_duration_seconds_bucket{operation="put",protocol="rest",le="0.001"} 1`,
		`firn_request_duration_seconds_count{operation="put",protocol="rest"} 2`,
		`firn_received_bytes_total{operation="put",protocol="rest"} 11`,
		`firn_sent_bytes_total{operation="put",protocol="rest"} 22`,
		`firn_requests_in_flight 3`,
		`firn_connections 5`,
		`firn_build_info{commit="",go="",version="v1"} 1`,
	)
}

// TestStores asks a store that holds something of every kind.
func TestStores(t *testing.T) {
	ctx := context.Background()
	dir := namespaces.At(t.TempDir(), engine.Options{Logger: slog.New(slog.DiscardHandler)})
	ns, err := dir.Create(ctx, `a "title"`)
	if err != nil {
		t.Fatal(err)
	}
	store, _, err := dir.OpenWrite(ctx, ns.ID)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, store)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	m := metrics.New(metrics.Config{InFlight: count(0), Connections: count(0), Stores: leased(t, dir, ns.ID)})
	got := scrape(t, m)
	in := `{namespace="` + ns.ID + `"`
	want(t, got,
		`firn_namespace_info`+in+`,title="a \"title\""} 1`,
		`firn_keys`+in+`} 1`,
		`firn_live_bytes`+in+`} 6`,
		`firn_tombstones`+in+`} 1`,
		`firn_garbage_records`+in[:1]+`cause="overwritten",`+in[1:]+`} 2`,
		`firn_garbage_records`+in[:1]+`cause="deleted",`+in[1:]+`} 1`,
		`firn_garbage_records`+in[:1]+`cause="expired",`+in[1:]+`} 0`,
		`firn_garbage_bytes`+in[:1]+`cause="overwritten",`+in[1:]+`} 11`,
		`firn_segments`+in[:1]+`form="log",`+in[1:]+`} 1`,
		`firn_written_records_total`+in+`} 1`,
		`firn_commit_groups_total`+in+`} 1`,
		`firn_cache_misses_total`+in+`} 0`,
		`firn_compaction_paused`+in+`} 0`,
		`firn_compaction_failed`+in+`} 0`,
	)
	for _, name := range []string{"firn_sync_seconds_total", "firn_longest_sync_seconds"} {
		_, value, _ := strings.Cut(got, "\n"+name+in+"} ")
		value, _, _ = strings.Cut(value, "\n")
		if took, err := strconv.ParseFloat(value, 64); err != nil || took <= 0 {
			t.Errorf("%s is %q", name, value)
		}
	}
	if again := names(scrape(t, m)); !maps.Equal(again, names(got)) {
		t.Errorf("the second time, there are other metrics: %v", again)
	}
}

// fill leaves an overwritten, a deleted and a live version.
func fill(t *testing.T, store *engine.Store) {
	t.Helper()
	ctx := context.Background()
	for _, value := range []string{"1234", "12345"} {
		if err := store.Put(ctx, "k", []byte(value), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Put(ctx, "d", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(ctx, "d"); err != nil {
		t.Fatal(err)
	}
}

// leased opens a pool, in which that namespace is open and has one write.
func leased(t *testing.T, dir *namespaces.Directory, id string) func(func(*namespaces.Lease) bool) {
	t.Helper()
	ctx := context.Background()
	pool, err := dir.OpenPool(ctx, namespaces.PoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lease, err := pool.Acquire(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		lease.Release()
		if err := pool.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := lease.Store().Put(ctx, "k", []byte("12345"), nil); err != nil {
		t.Fatal(err)
	}
	return func(yield func(*namespaces.Lease) bool) { yield(lease) }
}

// names returns the names of metrics of stores.
func names(scraped string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(scraped) {
		if name, _, found := strings.Cut(line, "{namespace="); found {
			all[name] = true
		}
	}
	return all
}
