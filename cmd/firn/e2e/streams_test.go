package e2e

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
)

// TestStreams puts a hundred values of 25 MiB at once, and bounds the memory that
// the server takes meanwhile.
func TestStreams(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the peak of another process's memory is not known here")
	}
	const streams, length, most = 100, 25 << 20, 400 << 20
	server := serve(t, t.TempDir())
	id := server.create(t, "streams")
	path := "/client/v4/accounts/" + account + "/storage/kv/namespaces/" + id + "/values/"
	piece := make([]byte, 128<<10) // of which nothing can be compressed
	for i := range piece {
		piece[i] = byte(rand.Uint32())
	}
	all := make(chan struct{})
	var connected, sending sync.WaitGroup
	connected.Add(streams)
	for i := range streams {
		sending.Go(func() {
			conn, err := net.Dial("tcp", server.addr)
			if err != nil {
				connected.Done()
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "PUT %s%d HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", path, i, token, length)
			left := length
			for n := 0; left > 0; left -= n {
				if n, err = conn.Write(piece[:min(left, len(piece))]); err != nil {
					t.Error(err)
					return
				}
				if left == length { // all of them are under way before any goes on
					connected.Done()
					<-all
				}
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("%s %s %v", answer.Status, text, err)
			}
		})
	}
	connected.Wait()
	close(all)
	sending.Wait()
	peak := server.peakMemory(t)
	req, err := http.NewRequestWithContext(soon(t), http.MethodGet, "http://"+server.addr+path+"0", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	stored, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Body.Close()
	if n, err := io.Copy(io.Discard, stored.Body); err != nil || n != length {
		t.Errorf("of a value, %d bytes came back: %v", n, err)
	}
	t.Logf("%d streams of %d MiB: %d MiB at most", streams, length>>20, peak>>20)
	if peak > most {
		t.Errorf("the server took %d MiB of memory, more than %d MiB", peak>>20, most>>20)
	}
}

// peakMemory returns the most memory that the process had so far, in bytes.
func (p *process) peakMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var kib int64
			if _, err := fmt.Sscanf(value, "%d kB", &kib); err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no peak in\n%s", status)
	return 0
}
