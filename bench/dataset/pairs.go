package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// pair is a line of a file. Other members, such as metadata, are left out.
type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// load returns the data of the first pairs in a file. Where a key comes again,
// that pair is left out.
func load(path string, most int) (*Data, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	plain, err := decompressed(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer plain.Close()
	pairs, err := readPairs(plain, most)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("%s: there are no pairs in it", path)
	}
	return loaded(pairs), nil
}

// decompressed returns what r holds, decompressed if it begins as zstd does.
func decompressed(r io.Reader) (io.ReadCloser, error) {
	in := bufio.NewReader(r)
	begin, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !bytes.Equal(begin, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return io.NopCloser(in), nil
	}
	plain, err := zstd.NewReader(in)
	if err != nil {
		return nil, err
	}
	return plain.IOReadCloser(), nil
}

func readPairs(r io.Reader, most int) ([]pair, error) {
	var pairs []pair
	seen := map[string]bool{}
	lines := json.NewDecoder(r)
	for len(pairs) < most {
		var p pair
		if err := lines.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("pair %d, at %d: %w", len(pairs)+1, lines.InputOffset(), err)
		}
		if p.Key == "" || seen[p.Key] {
			continue
		}
		seen[p.Key] = true
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// absentSuffix makes absent keys of real ones: no text ends in it.
const absentSuffix = "\x01"

// loaded returns the data of real pairs, in random order.
func loaded(pairs []pair) *Data {
	rng := rand.New(rand.NewPCG(5, 6))
	rng.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	d := &Data{Keys: len(pairs), ends: make([]uint32, 1, 2*len(pairs)+1)}
	var text []byte
	for _, p := range pairs {
		text = d.addKey(text, []byte(p.Key))
		d.values = append(d.values, []byte(p.Value))
	}
	for _, p := range pairs {
		text = d.addKey(text, []byte(p.Key+absentSuffix))
	}
	d.text = string(text)
	d.value = func(i int) int { return i % len(d.values) }
	d.prefixes = commonPrefixes(pairs)
	return d.finish()
}

// commonPrefixes returns what stands before the last separator of each key, in
// the order of first appearance; without separators, the empty prefix.
func commonPrefixes(pairs []pair) []string {
	var all []string
	seen := map[string]bool{}
	for _, p := range pairs {
		prefix := p.Key[:strings.LastIndexAny(p.Key, ":/")+1]
		if !seen[prefix] {
			seen[prefix] = true
			all = append(all, prefix)
		}
	}
	return all
}
