package fuse

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
)

// newRand returns a generator seeded by FIRN_SEED, or at random, and logs the seed.
func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	if s := os.Getenv("FIRN_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("FIRN_SEED: %v", err)
		}
	}
	t.Logf("FIRN_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func randomHashes(r *rand.Rand, n int) []uint64 {
	hashes := make([]uint64, n)
	for i := range hashes {
		hashes[i] = r.Uint64()
	}
	return hashes
}

func mustBuild(t testing.TB, hashes []uint64) *Filter {
	t.Helper()
	f, err := Build(hashes)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func requireMembers(t *testing.T, f *Filter, hashes []uint64) {
	t.Helper()
	for _, x := range hashes {
		if !f.Contains(x) {
			t.Fatalf("filter of %d hashes lacks %#x", len(hashes), x)
		}
	}
}

func TestMembersAreContained(t *testing.T) {
	r := newRand(t)
	sizes := []int{4095, 4096, 10_000, 65_537, 300_000}
	for n := range 600 {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		hashes := randomHashes(r, n)
		f := mustBuild(t, slices.Clone(hashes))
		requireMembers(t, f, hashes)
		decoded, err := Decode(f.AppendTo(nil))
		if err != nil {
			t.Fatalf("%d hashes: %v", n, err)
		}
		requireMembers(t, decoded, hashes)
	}
}

func TestRegularHashes(t *testing.T) {
	for name, step := range map[string]uint64{"consecutive": 1, "upper bits": 1 << 44, "seed": mix(1)} {
		hashes := make([]uint64, 50_000)
		for i := range hashes {
			hashes[i] = uint64(i) * step
		}
		t.Run(name, func(t *testing.T) {
			requireMembers(t, mustBuild(t, hashes), hashes)
		})
	}
}

func TestResultDependsOnTheSetOnly(t *testing.T) {
	r := newRand(t)
	for _, n := range []int{1, 2, 3, 10, 100, 10_000} {
		hashes := randomHashes(r, n)
		want := mustBuild(t, slices.Clone(hashes)).AppendTo(nil)

		several := slices.Clone(hashes)
		for range n/3 + 1 {
			several = append(several, hashes[r.IntN(n)])
		}
		// A count of 64, or a multiple of it, is zero to a counter of six bits.
		for range 4*64 + 1 {
			several = append(several, hashes[0])
		}
		r.Shuffle(len(several), func(i, j int) { several[i], several[j] = several[j], several[i] })
		sorted := slices.Sorted(slices.Values(several))
		if got := mustBuild(t, several).AppendTo(nil); !bytes.Equal(got, want) {
			t.Fatalf("%d hashes: another filter with duplicates and in another order", n)
		}
		slices.Sort(several)
		if !slices.Equal(several, sorted) {
			t.Fatalf("%d hashes: Build did more to its input than reorder it", n)
		}
	}
}

func TestCountOverflow(t *testing.T) {
	for n, want := range map[int]bool{1: true, 63: true, 64: false, 65: false, 128: false} {
		b := newBuilder(n)
		b.sort(make([]uint64, n), 0)
		if got := b.fillSlots(); got != want {
			t.Errorf("%d hashes in a slot: fillSlots reports %v", n, got)
		}
	}
}

func TestFalsePositives(t *testing.T) {
	r := newRand(t)
	for _, n := range []int{1, 20, 1000, 100_000} {
		// One filter of a single hash has only a few patterns to show; many filters average over them.
		filters, probes := max(1, 1000/n), 1_000_000
		hits := 0
		for range filters {
			f := mustBuild(t, randomHashes(r, n))
			for range probes / filters {
				if f.Contains(r.Uint64()) {
					hits++
				}
			}
		}
		// Expected 1/256 = 0.0039; 10^6 probes have a standard deviation of 0.00006, small filters more.
		if rate := float64(hits) / float64(probes); rate < 0.0030 || rate > 0.0048 {
			t.Errorf("%d hashes: false positive rate %.5f", n, rate)
		}
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		n    int
		bits float64
	}{{1, 96}, {100, 16}, {10_000, 10.3}, {1_000_000, 9.1}, {16_000_000, 9.1}, {maxHashes, 9.1}} {
		got := float64(8*shapeFor(c.n).slots()) / float64(c.n)
		t.Logf("%d hashes: %.2f bits a hash", c.n, got)
		if got > c.bits {
			t.Errorf("%d hashes: %.2f bits a hash, want at most %v", c.n, got, c.bits)
		}
	}
}

// TestAttempts measures how often a seed fails, from which maxAttempts is derived.
func TestAttempts(t *testing.T) {
	r := newRand(t)
	worst := 0.0
	for _, n := range []int{2, 3, 5, 8, 12, 20, 40, 100, 300, 1000, 1920, 3000, 10_000} {
		hashes, b := randomHashes(r, n), newBuilder(n)
		tries, failed := 20_000/n+100, 0
		for range tries {
			if !b.peel(hashes, r.Uint64()) {
				failed++
			}
		}
		rate := float64(failed) / float64(tries)
		worst = max(worst, rate)
		t.Logf("%d hashes: %.4f of %d seeds fail", n, rate, tries)
	}
	if worst > 0.4 {
		t.Errorf("a seed fails with probability %.3f", worst)
	}
}

// TestBuildAtEverySize builds filters of all kinds of sizes. Where the length of a
// segment doubles, or another segment is about to be added, a shape has the least
// room; without enough, every seed fails.
func TestBuildAtEverySize(t *testing.T) {
	r := newRand(t)
	steps := 0
	for n := 1; n < 50_000; n += 1 + n/256 {
		for _, n := range []int{n, n + n/512} {
			hashes := randomHashes(r, n)
			b := newBuilder(n)
			failed := 0
			for failed < 8 && !b.peel(hashes, r.Uint64()) {
				failed++
			}
			if failed == 8 {
				t.Errorf("%d hashes in %d slots: eight seeds have failed", n, b.shape.slots())
			}
			steps++
		}
	}
	t.Logf("%d sizes", steps)
	for _, n := range []int{3478, 11_387, 11_516, 37_435} {
		hashes := randomHashes(r, n)
		requireMembers(t, mustBuild(t, slices.Clone(hashes)), hashes)
	}
}

// goldenHashes are the first values of a multiplicative sequence, so that a reader in another language can make them.
func goldenHashes() []uint64 {
	hashes := make([]uint64, 10)
	for i := range hashes {
		hashes[i] = uint64(i+1) * 0x9e3779b97f4a7c15
	}
	return hashes
}

// golden is the encoding of goldenHashes: segment files hold such bytes, so a change breaks them.
const golden = "2ccbc234fcbc56b40100000004000000" +
	"0000000000000000000000000034007ef500000000ff000000000000000000000000e50000c300000000bd2968007c00"

func TestGolden(t *testing.T) {
	if got := hex.EncodeToString(mustBuild(t, goldenHashes()).AppendTo(nil)); got != golden {
		t.Errorf("filter is %s\nwant %s", got, golden)
	}
	if got := hex.EncodeToString(mustBuild(t, nil).AppendTo(nil)); got != "00000000000000000000000000000000" {
		t.Errorf("empty filter is %s", got)
	}
	encoded, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	requireMembers(t, f, goldenHashes())
}

// containsBySpecification looks x up in an encoded filter with nothing but what the package documentation says.
func containsBySpecification(b []byte, x uint64) bool {
	s, l := uint64(binary.LittleEndian.Uint32(b[8:12])), uint64(1)<<b[12]
	if s == 0 {
		return false
	}
	m := x + binary.LittleEndian.Uint64(b[0:8])
	m = (m ^ (m >> 33)) * 0xff51afd7ed558ccd
	m = (m ^ (m >> 33)) * 0xc4ceb9fe1a85ec53
	m = m ^ (m >> 33)
	product := new(big.Int).Mul(new(big.Int).SetUint64(m), new(big.Int).SetUint64(s*l))
	p0 := product.Rsh(product, 64).Uint64()
	p1 := (p0 + l) ^ ((m >> 18) % l)
	p2 := (p0 + 2*l) ^ (m % l)
	fp := byte((m ^ (m >> 32)) % 256)
	return b[16+p0]^b[16+p1]^b[16+p2] == fp
}

func TestSpecification(t *testing.T) {
	r := newRand(t)
	for _, n := range []int{0, 1, 7, 1000, 50_000} {
		hashes := randomHashes(r, n)
		f := mustBuild(t, hashes)
		encoded := f.AppendTo(nil)
		for _, x := range append(hashes, randomHashes(r, 1000)...) {
			if f.Contains(x) != containsBySpecification(encoded, x) {
				t.Fatalf("%d hashes: Contains(%#x) = %v, the documentation says otherwise", n, x, f.Contains(x))
			}
		}
	}
}

func TestAppendToKeepsWhatPrecedes(t *testing.T) {
	f := mustBuild(t, goldenHashes())
	got := f.AppendTo([]byte("before"))
	if !bytes.Equal(got, append([]byte("before"), f.AppendTo(nil)...)) {
		t.Errorf("AppendTo gave %q", got)
	}
}
