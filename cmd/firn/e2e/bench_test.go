package e2e

import (
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

const (
	benchKeys   = 5000
	benchFlight = 16
	benchSize   = 500
	benchPages  = 1000
)

// BenchmarkWorker has one Worker write, read and list 5,000 values of 500 bytes
// with 16 requests under way, on Firn and on the official local simulator. It
// reports operations a second as the Worker sees them, and the files that hold
// the data afterwards. The runtime is the same in both.
func BenchmarkWorker(b *testing.B) {
	modules := nodeModules(b)
	worker := script(b, "bench")
	b.Run("firn", func(b *testing.B) {
		data := b.TempDir()
		server := serve(b, data)
		benchWorker(b, workerd(b, modules, worker, server, server.create(b, "bench")), data)
	})
	b.Run("simulator", func(b *testing.B) {
		data := b.TempDir()
		benchWorker(b, simulator(b, modules, worker, data), data)
	})
}

func benchWorker(b *testing.B, worker, data string) {
	phases := []struct {
		name, unit string
		count      int
	}{
		{"put", "puts/s", benchKeys},
		{"get", "gets/s", benchKeys},
		{"list", "pages/s", benchPages},
	}
	spent := make([]time.Duration, len(phases))
	for b.Loop() {
		for i, phase := range phases {
			start := time.Now()
			drive(b, worker, phase.name, phase.count)
			spent[i] += time.Since(start)
		}
	}
	for i, phase := range phases {
		b.ReportMetric(float64(phase.count)*float64(b.N)/spent[i].Seconds(), phase.unit)
	}
	b.ReportMetric(float64(filesIn(b, data)), "files")
	b.ReportMetric(0, "ns/op") // of no meaning here
}

// drive has the Worker run one operation count times.
func drive(b *testing.B, worker, operation string, count int) {
	b.Helper()
	address := fmt.Sprintf("%s/%s?count=%d&flight=%d&size=%d&keys=%d", worker, operation, count, benchFlight, benchSize, benchKeys)
	req, err := http.NewRequestWithContext(soon(b), http.MethodGet, address, nil)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		b.Fatalf("%s: %s", operation, resp.Status)
	}
}

func filesIn(b *testing.B, dir string) int {
	b.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files++
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return files
}
