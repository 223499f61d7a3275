package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	killConnections = 64
	killRounds      = 3
	killWrites      = 3000 // answered in a round before the server is killed
	killKeys        = 20   // of each connection
)

// TestKill kills the server while it answers 64 connections, and demands what
// was acknowledged from the one that is started after it.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	writers := make([]*writer, killConnections)
	for i := range writers {
		writers[i] = &writer{number: i, random: rand.New(rand.NewPCG(1, uint64(i))), last: make([]version, killKeys)}
	}
	server := serve(t, dir)
	id := server.create(t, "kill")
	for range killRounds {
		writeUntilKilled(t, server, id, writers)
		server = serve(t, dir)
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Go(func() { w.check(t, server, id) })
		}
		wg.Wait()
	}
}

// writeUntilKilled has all writers write, and kills the server under them.
func writeUntilKilled(t *testing.T, server *firn, id string, writers []*writer) {
	t.Helper()
	var answered atomic.Int64
	enough := make(chan struct{})
	var wg sync.WaitGroup
	for _, w := range writers {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
			defer client.CloseIdleConnections()
			for w.write(t, client, server, id) {
				if answered.Add(1) == killWrites {
					close(enough)
				}
			}
		})
	}
	select {
	case <-enough:
	case <-server.exited:
	case <-soon(t).Done():
		t.Error("too few writes are answered")
	}
	if err := server.kill(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// version is what a key holds; "" is nothing.
type version struct {
	acknowledged string
	// attempted is what a write that was never answered may have left there.
	attempted string
	uncertain bool
}

// writer writes to keys that are its own, one after the other.
type writer struct {
	number int
	random *rand.Rand
	writes int
	last   []version
}

func (w *writer) key(i int) string { return fmt.Sprintf("writer %d/key %d", w.number, i) }

// write puts or deletes a key, in one protocol or the other. It reports whether
// the server answered.
func (w *writer) write(t *testing.T, client *http.Client, server *firn, id string) bool {
	i := w.random.IntN(killKeys)
	method, value := http.MethodDelete, ""
	if w.random.IntN(5) > 0 {
		w.writes++
		value = fmt.Sprintf("%d %s", w.writes, strings.Repeat("x", w.random.IntN(2000)))
		if w.random.IntN(50) == 0 {
			value += strings.Repeat("y", 100_000)
		}
		method = http.MethodPut
	}
	status, body, err := w.ask(t.Context(), client, method, server, id, i, value)
	if err != nil {
		w.last[i].attempted, w.last[i].uncertain = value, true
		return false
	}
	if status != http.StatusOK {
		t.Errorf("%s %s: %d %s", method, w.key(i), status, body)
		return false
	}
	w.last[i] = version{acknowledged: value}
	return true
}

// check reads what the writer wrote.
func (w *writer) check(t *testing.T, server *firn, id string) {
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	for i := range w.last {
		status, got, err := w.ask(t.Context(), client, http.MethodGet, server, id, i, "")
		if err != nil || status != http.StatusOK && status != http.StatusNotFound {
			t.Errorf("get %s: %d %v %s", w.key(i), status, err, got)
			return
		}
		if status == http.StatusNotFound {
			got = ""
		}
		last := &w.last[i]
		if got != last.acknowledged && !(last.uncertain && got == last.attempted) {
			t.Errorf("%s: %q, but %q was acknowledged", w.key(i), short(got), short(last.acknowledged))
		}
		*last = version{acknowledged: got}
	}
}

// ask sends a request about a key: even writers over REST, odd ones as the
// runtime does for a binding.
func (w *writer) ask(ctx context.Context, client *http.Client, method string, server *firn, id string, i int, value string) (int, string, error) {
	key := url.PathEscape(w.key(i))
	address := server.namespaces() + "/" + id + "/values/" + key
	if w.number%2 == 1 {
		address = "http://" + server.addr + "/" + key + "?urlencoded=true"
	}
	var body io.Reader
	if method == http.MethodPut {
		body = bytes.NewReader([]byte(value))
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if w.number%2 == 1 {
		req.Header.Set("Firn-Namespace", id)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}
