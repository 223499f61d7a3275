package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const lines = `{"key":"film:1977:Star_Wars","value":"{\"year\":1977}","metadata":{"year":1977}}
{"key":"film:1977:Annie_Hall","value":"{}"}
{"key":"film:1977:Annie_Hall","value":"again"}
{"key":"film:1980:Fame","value":"x"}
`

func writeFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pairs")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func zstdOf(t *testing.T, s string) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	return enc.EncodeAll([]byte(s), nil)
}

func TestPairs(t *testing.T) {
	for name, content := range map[string][]byte{"plain": []byte(lines), "zstd": zstdOf(t, lines)} {
		t.Run(name, func(t *testing.T) {
			d, err := Spec{Kind: Pairs, File: writeFile(t, content), Keys: 10}.New()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for i := range d.Keys {
				got[d.Key(i)] = string(d.Value(i))
			}
			want := map[string]string{"film:1977:Star_Wars": `{"year":1977}`, "film:1977:Annie_Hall": "{}", "film:1980:Fame": "x"}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v", got)
			}
			for i := d.Keys; i < 2*d.Keys; i++ {
				if _, ok := got[d.Key(i)]; ok {
					t.Errorf("%q is not absent", d.Key(i))
				}
			}
			if p := slices.Sorted(slices.Values(d.Prefixes())); !slices.Equal(p, []string{"film:1977:", "film:1980:"}) {
				t.Errorf("prefixes %q", p)
			}
			if d.Bytes() != int64(len("film:1977:Star_Wars"+`{"year":1977}`+"film:1977:Annie_Hall"+"{}"+"film:1980:Fame"+"x")) {
				t.Errorf("%d bytes", d.Bytes())
			}
		})
	}
}

func TestPairsLimit(t *testing.T) {
	d, err := Spec{Kind: Pairs, File: writeFile(t, []byte(lines)), Keys: 2}.New()
	if err != nil || d.Keys != 2 {
		t.Errorf("%v, %+v", err, d)
	}
}

func TestBadPairs(t *testing.T) {
	for content, want := range map[string]string{"": "no pairs", lines + "{": "pair 4", `{"key":1}`: "pair 1"} {
		path := writeFile(t, []byte(content))
		_, err := Spec{Kind: Pairs, File: path, Keys: 10}.New()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
}
