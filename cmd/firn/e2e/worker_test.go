package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"
)

// TestWorker runs the cases of testdata/worker where their expectations come
// from and where they have to hold.
func TestWorker(t *testing.T) {
	t.Run("simulator", func(t *testing.T) {
		modules := nodeModules(t)
		testWorker(t, simulator(t, modules, script(t, "worker"), t.TempDir()))
	})
	t.Run("firn", func(t *testing.T) {
		modules := nodeModules(t)
		server := serve(t, t.TempDir())
		testWorker(t, workerd(t, modules, script(t, "worker"), server, server.create(t, "worker")))
	})
}

func testWorker(t *testing.T, worker string) {
	var names []string
	ask(t, worker+"/", &names)
	testCases(t, worker, names...)
}

func testCases(t *testing.T, worker string, names ...string) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			var checks []struct{ What, Got, Want string }
			ask(t, worker+"/"+url.PathEscape(name), &checks)
			for _, check := range checks {
				if check.Got != check.Want {
					t.Errorf("%s:\n got %s\nwant %s", check.What, short(check.Got), short(check.Want))
				}
			}
			if len(checks) == 0 {
				t.Error("nothing checked")
			}
		})
	}
}

// ask decodes the JSON that a Worker answers with.
func ask(t testing.TB, address string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(soon(t), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %s: %v: %s", address, resp.Status, err, short(string(body)))
	}
}

func short(s string) string {
	const most = 1000
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
