package vfs

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// crashes is how many copies a test takes of one state.
const crashes = 1000

// seeded returns a source of random numbers that FIRN_SEED repeats.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("FIRN_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		must(t, err)
	}
	t.Logf("FIRN_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func memSystem(t *testing.T) (*Mem, system) {
	t.Helper()
	m := newMemDir(t)
	return m, system{m, "/db"}
}

// seen reads a file of a copy, and says "none" if there is none.
func seen(t *testing.T, m *Mem, name string) string {
	t.Helper()
	f, err := m.Open("/db/" + name)
	if os.IsNotExist(err) {
		return "none"
	}
	must(t, err)
	defer f.Close()
	return string(readAll(t, f))
}

// outcomes counts what describe says of many crashes of m. It fails the test unless the outcomes are exactly those in
// want, each seen at least once.
func outcomes(t *testing.T, m *Mem, describe func(*Mem) string, want ...string) {
	t.Helper()
	rng := seeded(t)
	counts := map[string]int{}
	for range crashes {
		counts[describe(m.Crash(rng))]++
	}
	for _, w := range want {
		if counts[w] == 0 {
			t.Errorf("never seen: %.60q", w)
		}
		delete(counts, w)
	}
	for got, n := range counts {
		t.Errorf("seen %d times: %.60q", n, got)
	}
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	m, s := memSystem(t)
	f := create(t, s, "f", "first")
	write(t, f, []byte("second"), 5000)
	must(t, f.Truncate(5005))
	must(t, f.SyncData())
	must(t, m.SyncDir("/db"))
	want := string(readAll(t, f))
	outcomes(t, m, func(m *Mem) string { return seen(t, m, "f") }, want)
}

func TestCrashTearsAndReorders(t *testing.T) {
	m, s := memSystem(t)
	sectors := func(c ...byte) string {
		var p []byte
		for _, b := range c {
			p = append(p, bytes.Repeat([]byte{b}, sectorSize)...)
		}
		return string(p)
	}
	f := create(t, s, "f", sectors('0', '0', '0'))
	must(t, f.Sync())
	must(t, m.SyncDir("/db"))
	write(t, f, []byte(sectors('1', '1')), 0)
	write(t, f, []byte(sectors('2')), 2*sectorSize)
	var want []string
	for _, a := range []byte("01") {
		for _, b := range []byte("01") {
			for _, c := range []byte("02") {
				want = append(want, sectors(a, b, c))
			}
		}
	}
	outcomes(t, m, func(m *Mem) string { return seen(t, m, "f") }, want...)
}

func TestCrashKeepsWritesToASectorInOrder(t *testing.T) {
	m, s := memSystem(t)
	f := create(t, s, "f", "..")
	must(t, f.Sync())
	must(t, m.SyncDir("/db"))
	write(t, f, []byte("1"), 0)
	write(t, f, []byte("2"), 1)
	outcomes(t, m, func(m *Mem) string { return seen(t, m, "f") }, "..", "1.", "12")
}

func TestCrashLosesSizes(t *testing.T) {
	m, s := memSystem(t)
	f := create(t, s, "f", "abcd")
	must(t, f.Sync())
	must(t, m.SyncDir("/db"))
	must(t, f.Truncate(2))
	must(t, f.Preallocate(0, 3))
	write(t, f, []byte("e"), 3)
	outcomes(t, m, func(m *Mem) string { return seen(t, m, "f") },
		"abcd", "ab", "ab\x00", "ab\x00\x00", "ab\x00e")
}

func TestCrashLeavesNothingBehindTheSize(t *testing.T) {
	m, s := memSystem(t)
	f := create(t, s, "f", "ab")
	must(t, f.Sync())
	must(t, m.SyncDir("/db"))
	write(t, f, []byte("c"), 2)
	outcomes(t, m, func(m *Mem) string {
		f, err := m.OpenReadWrite("/db/f")
		must(t, err)
		size, err := f.Size()
		must(t, err)
		must(t, f.Truncate(4))
		return strconv.FormatInt(size, 10) + string(readAll(t, f))
	}, "2ab\x00\x00", "3ab\x00\x00", "3abc\x00")
}

func TestCrashLosesNames(t *testing.T) {
	m, s := memSystem(t)
	f := create(t, s, "f", "abc")
	outcomes(t, m, func(m *Mem) string { return seen(t, m, "f") }, "none", "", "\x00\x00\x00", "abc")
	must(t, f.SyncData())
	outcomes(t, m, func(m *Mem) string { return seen(t, m, "f") }, "none", "abc")
	must(t, m.SyncDir("/db"))
	must(t, m.Remove("/db/f"))
	outcomes(t, m, func(m *Mem) string { return seen(t, m, "f") }, "none", "abc")
	must(t, m.SyncDir("/db"))
	outcomes(t, m, func(m *Mem) string { return seen(t, m, "f") }, "none")
}

func TestCrashLosesDirectories(t *testing.T) {
	m, s := memSystem(t)
	must(t, m.MkdirAll("/db/sub"))
	must(t, create(t, s, "sub/f", "abc").Sync())
	must(t, m.SyncDir("/db/sub"))
	outcomes(t, m, func(m *Mem) string { return seen(t, m, "sub/f") }, "none", "abc")
	must(t, m.SyncDir("/db"))
	outcomes(t, m, func(m *Mem) string { return seen(t, m, "sub/f") }, "abc")
}

func TestCrashRenameReplacesInOneStep(t *testing.T) {
	m, s := memSystem(t)
	must(t, create(t, s, "f", "old").Sync())
	must(t, m.SyncDir("/db"))
	must(t, create(t, s, "tmp", "new").Sync())
	must(t, m.Rename("/db/tmp", "/db/f"))
	both := func(m *Mem) string { return seen(t, m, "tmp") + " " + seen(t, m, "f") }
	outcomes(t, m, both, "none old", "new old", "none new")
	must(t, m.SyncDir("/db"))
	outcomes(t, m, both, "none new")
}

func TestCrashRenameOfUnsyncedData(t *testing.T) {
	m, s := memSystem(t)
	must(t, create(t, s, "f", "old").Sync())
	must(t, m.SyncDir("/db"))
	create(t, s, "tmp", "new")
	must(t, m.Rename("/db/tmp", "/db/f"))
	must(t, m.SyncDir("/db"))
	outcomes(t, m, func(m *Mem) string { return seen(t, m, "f") }, "", "\x00\x00\x00", "new")
}

func TestSyncDirMakesAMoveDurableOnBothSides(t *testing.T) {
	for _, synced := range []string{"/db/d", "/db/e"} {
		m, s := memSystem(t)
		must(t, m.MkdirAll("/db/d"))
		must(t, m.MkdirAll("/db/e"))
		must(t, m.SyncDir("/db"))
		must(t, create(t, s, "d/f", "F").Sync())
		must(t, create(t, s, "d/unrelated", "U").Sync())
		must(t, m.Rename("/db/d/f", "/db/e/f"))
		must(t, m.SyncDir(synced))
		outcomes(t, m, func(m *Mem) string { return seen(t, m, "d/f") + " " + seen(t, m, "e/f") }, "none F")
		if synced == "/db/e" {
			outcomes(t, m, func(m *Mem) string { return seen(t, m, "d/unrelated") }, "none", "U")
		}
	}
}

// TestCrashRotationLosesNoFile renames into a name that an earlier unsynced rename made free.
func TestCrashRotationLosesNoFile(t *testing.T) {
	m, s := memSystem(t)
	must(t, create(t, s, "a", "A").Sync())
	must(t, create(t, s, "c", "C").Sync())
	must(t, m.SyncDir("/db"))
	must(t, m.Rename("/db/a", "/db/b"))
	must(t, m.Rename("/db/c", "/db/a"))
	all := func(m *Mem) string { return seen(t, m, "a") + seen(t, m, "b") + seen(t, m, "c") }
	outcomes(t, m, all, "AnoneC", "noneAC", "CAnone")
}

func TestCrashLinkAndRemoveLosesNoFile(t *testing.T) {
	m, s := memSystem(t)
	must(t, m.MkdirAll("/db/d"))
	must(t, create(t, s, "a", "A").Sync())
	must(t, m.SyncDir("/db"))
	must(t, m.Link("/db/a", "/db/d/b"))
	must(t, m.Remove("/db/a"))
	all := func(m *Mem) string { return seen(t, m, "a") + " " + seen(t, m, "d/b") }
	outcomes(t, m, all, "A none", "A A", "none A")
	must(t, m.SyncDir("/db/d"))
	outcomes(t, m, all, "A A", "none A")
}

func TestCrashMoveOutOfRemovedDirectory(t *testing.T) {
	m, s := memSystem(t)
	must(t, m.MkdirAll("/db/d"))
	must(t, m.MkdirAll("/db/e"))
	must(t, create(t, s, "d/f", "F").Sync())
	must(t, m.SyncDir("/db/d"))
	must(t, m.SyncDir("/db"))
	must(t, m.Rename("/db/d/f", "/db/e/f"))
	must(t, m.Remove("/db/d"))
	all := func(m *Mem) string { return seen(t, m, "d/f") + " " + seen(t, m, "e/f") }
	outcomes(t, m, all, "F none", "none F")
	must(t, m.SyncDir("/db"))
	outcomes(t, m, all, "none F")
}

func TestCrashIsDeterministic(t *testing.T) {
	seed := seeded(t).Uint64()
	state := func() string {
		m, s := memSystem(t)
		f := create(t, s, "f", "")
		for i := range 100 {
			write(t, f, bytes.Repeat([]byte{byte(i)}, 700), int64(i*300))
			create(t, s, strconv.Itoa(i), "x")
		}
		c := m.Crash(rand.New(rand.NewPCG(seed, 1)))
		all := ""
		for i := range 100 {
			all += seen(t, c, strconv.Itoa(i)) + ","
		}
		return all + seen(t, c, "f")
	}
	if once, again := state(), state(); once != again {
		t.Error("two crashes from one seed differ")
	}
}

func TestCopiesAreIndependent(t *testing.T) {
	m, s := memSystem(t)
	f := create(t, s, "f", "before")
	_, err := m.Lock("/db/LOCK")
	must(t, err)
	must(t, f.Sync())
	must(t, m.SyncDir("/db"))
	for name, c := range map[string]*Mem{"crash": m.Crash(seeded(t)), "kill": m.Kill()} {
		write(t, f, []byte("after!"), 0)
		must(t, f.Sync())
		if got := seen(t, c, "f"); got != "before" {
			t.Errorf("%s: copy sees %q", name, got)
		}
		g, err := c.OpenReadWrite("/db/f")
		must(t, err)
		write(t, g, []byte("change"), 0)
		must(t, g.Sync())
		must(t, c.Remove("/db/f"))
		wantBytes(t, f, []byte("after!"))
		if _, err := c.Lock("/db/LOCK"); err != nil {
			t.Errorf("%s: lock in the copy: %v", name, err)
		}
		_, err = m.Lock("/db/LOCK")
		wantErr(t, err, ErrLocked)
		write(t, f, []byte("before"), 0)
		must(t, f.Sync())
	}
}

func TestKillKeepsEverythingButDurability(t *testing.T) {
	m, s := memSystem(t)
	f := create(t, s, "f", "synced")
	must(t, f.Sync())
	must(t, m.SyncDir("/db"))
	write(t, f, []byte("cached"), 0)
	create(t, s, "new", "")
	k := m.Kill()
	describe := func(m *Mem) string { return seen(t, m, "f") + " " + seen(t, m, "new") }
	if got := describe(k); got != "cached " {
		t.Errorf("after the kill: %q", got)
	}
	outcomes(t, k, describe, "synced none", "synced ", "cached none", "cached ")
	g, err := k.OpenReadWrite("/db/f")
	must(t, err)
	must(t, g.SyncData())
	must(t, k.SyncDir("/db"))
	outcomes(t, k, describe, "cached ")
}

func TestCapacity(t *testing.T) {
	m, s := memSystem(t)
	m.SetCapacity(3 * blockSize)
	f := create(t, s, "f", "x")
	n, err := f.WriteAt(make([]byte, 4*blockSize), 100)
	wantErr(t, err, syscall.ENOSPC)
	if n != 3*blockSize-100 {
		t.Errorf("short write of %d bytes, want %d", n, 3*blockSize-100)
	}
	write(t, f, make([]byte, 3*blockSize), 0)
	g := create(t, s, "g", "")
	wantErr(t, g.Preallocate(0, 1), syscall.ENOSPC)
	must(t, f.Truncate(2*blockSize))
	must(t, g.Preallocate(0, 1))
	write(t, g, make([]byte, blockSize), 0)
	wantErr(t, g.Preallocate(0, blockSize+1), syscall.ENOSPC)
	must(t, m.Remove("/db/f"))
	wantErr(t, g.Preallocate(0, blockSize+1), syscall.ENOSPC)
	must(t, f.Close())
	must(t, g.Preallocate(0, 3*blockSize))
	for name, c := range map[string]*Mem{"crash": m.Crash(seeded(t)), "kill": m.Kill()} {
		var want int64
		if info, err := c.Stat("/db/g"); err == nil {
			want = info.Allocated / blockSize
		}
		if info, err := c.Stat("/db/f"); err == nil {
			want += info.Allocated / blockSize
		}
		if c.used != want {
			t.Errorf("%s: %d blocks used, want %d", name, c.used, want)
		}
	}
}

func TestFreeIsWhatCanBeTaken(t *testing.T) {
	m, s := memSystem(t)
	free := func() int64 {
		t.Helper()
		n, err := m.Free("/db")
		must(t, err)
		return n
	}
	if n := free(); n != math.MaxInt64 {
		t.Errorf("no limit: %d bytes free", n)
	}
	m.SetCapacity(4*blockSize + 1)
	f := create(t, s, "f", "x")
	if n := free(); n != 3*blockSize {
		t.Errorf("%d bytes free, want %d", n, 3*blockSize)
	}
	must(t, f.Preallocate(blockSize, free()))
	if n := free(); n != 0 {
		t.Errorf("full: %d bytes free", n)
	}
	m.SetCapacity(blockSize)
	if n := free(); n != 0 {
		t.Errorf("more than full: %d bytes free", n)
	}
	must(t, f.Truncate(0))
	if n := free(); n != blockSize {
		t.Errorf("truncated: %d bytes free, want %d", n, blockSize)
	}
}

func TestStaleData(t *testing.T) {
	m, s := memSystem(t)
	m.StaleData = true
	old := create(t, s, "old", string(bytes.Repeat([]byte("old!"), blockSize/4)))
	must(t, m.Remove("/db/old"))
	must(t, old.Close())
	f := create(t, s, "f", "")
	must(t, m.SyncDir("/db"))
	must(t, f.Preallocate(0, blockSize))
	describe := func(m *Mem) string { return seen(t, m, "f") }
	zeros, stale := string(make([]byte, blockSize)), string(bytes.Repeat([]byte("old!"), blockSize/4))
	outcomes(t, m, describe, "", zeros, stale)
	must(t, f.SyncData())
	outcomes(t, m, describe, zeros)
	must(t, f.Truncate(2*blockSize))
	outcomes(t, m, describe, zeros, zeros+zeros, zeros+stale)
}

// TestStaleDataOfTheFileItself has space that a file had before, and gets again, hold what it held, at the same place.
func TestStaleDataOfTheFileItself(t *testing.T) {
	m, s := memSystem(t)
	m.StaleData = true
	first, second := string(bytes.Repeat([]byte("1st!"), blockSize/4)), string(bytes.Repeat([]byte("2nd!"), blockSize/4))
	f := create(t, s, "f", first+second)
	must(t, m.SyncDir("/db"))
	must(t, f.Truncate(0))
	must(t, f.SyncData())
	must(t, f.Preallocate(0, 2*blockSize))
	rng := seeded(t)
	counts := map[string]int{}
	for range crashes {
		counts[seen(t, m.Kill().Crash(rng), "f")]++
	}
	zeros := string(make([]byte, blockSize))
	for _, want := range []string{"", zeros + zeros, first + zeros, zeros + second, first + second} {
		if counts[want] == 0 {
			t.Errorf("never seen: %.60q", want)
		}
	}
}

func TestNoReserve(t *testing.T) {
	m, s := memSystem(t)
	m.NoReserve = true
	m.SetCapacity(blockSize)
	f := create(t, s, "f", "")
	must(t, f.Preallocate(0, 2*blockSize))
	if got := len(readAll(t, f)); got != 2*blockSize {
		t.Errorf("%d bytes", got)
	}
	if n, err := f.WriteAt(make([]byte, 2*blockSize), 0); n != blockSize || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%d bytes were written, %v", n, err)
	}
}

func TestOpened(t *testing.T) {
	m, s := memSystem(t)
	want := func(names ...string) {
		t.Helper()
		if got := m.Opened(); !slices.Equal(got, names) {
			t.Errorf("open: %q, want %q", got, names)
		}
	}
	f := create(t, s, "f", "")
	again, err := m.Open("/db/f")
	must(t, err)
	lock, err := m.Lock("/db/lock")
	must(t, err)
	if _, err := m.Lock("/db/lock"); err == nil {
		t.Error("locked twice")
	}
	must(t, m.Remove("/db/f"))
	want("/db/f", "/db/lock")
	if open := m.Kill().Opened(); len(open) > 0 {
		t.Errorf("open after a kill: %q", open)
	}
	must(t, lock.Close())
	must(t, f.Close())
	want("/db/f")
	must(t, again.Close())
	want()
}

// TestCrashHistories checks random histories against an oracle that keeps a snapshot after each operation: after a
// crash each byte is what it was in one of the snapshots since the last sync, or zero; without truncation so is each
// sector as a whole; and the size is one of theirs.
func TestCrashHistories(t *testing.T) {
	rng := seeded(t)
	for round := range crashes {
		m, s := memSystem(t)
		f := create(t, s, "f", "")
		must(t, m.SyncDir("/db"))
		history := []string{""}
		truncates := round%2 == 0
		for range rng.IntN(40) {
			switch k := rng.IntN(10); {
			case k == 0:
				must(t, f.SyncData())
				history = nil
			case k == 1:
				must(t, f.Preallocate(rng.Int64N(4000), 1+rng.Int64N(4000)))
			case k == 2 && truncates:
				must(t, f.Truncate(rng.Int64N(9000)))
			default:
				p := bytes.Repeat([]byte{byte(1 + rng.IntN(255))}, 1+rng.IntN(2000))
				write(t, f, p, rng.Int64N(6000))
			}
			history = append(history, string(readAll(t, f)))
		}
		got := seen(t, m.Crash(rng), "f")
		unit := sectorSize
		if truncates {
			unit = 1
		}
		checkHistory(t, got, history, unit)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

func checkHistory(t *testing.T, got string, history []string, unit int) {
	t.Helper()
	size := false
	for _, h := range history {
		size = size || len(h) == len(got)
	}
	if !size {
		t.Errorf("size %d was never the file's", len(got))
	}
	for from := 0; from < len(got); from += unit {
		part := got[from:min(from+unit, len(got))]
		ok := part == string(make([]byte, len(part)))
		for _, h := range history {
			p := make([]byte, len(part))
			copy(p, h[min(from, len(h)):])
			ok = ok || part == string(p)
		}
		if !ok {
			t.Errorf("bytes from %d were never the file's", from)
			return
		}
	}
}

func BenchmarkMemWriteSyncCrash(b *testing.B) {
	m := NewMem()
	f, err := m.Create("f")
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Preallocate(0, 64<<20); err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	p := make([]byte, 16<<10)
	for i := 0; b.Loop(); i++ {
		if _, err := f.WriteAt(p, int64(i%4096)*int64(len(p))); err != nil {
			b.Fatal(err)
		}
		if err := f.SyncData(); err != nil {
			b.Fatal(err)
		}
		m.Crash(rng)
	}
}
