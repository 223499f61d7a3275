package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// hashFiles describes every byte in a directory.
func hashFiles(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %d %x\n", e.Name(), len(content), xxhash.Sum64(content))
	}
	return b.String()
}

// childDirEnv has the test binary hold the directory that it names open until
// its standard input ends.
const childDirEnv = "FIRN_TEST_HOLD_OPEN"

func TestHoldOpenHelper(t *testing.T) {
	dir := os.Getenv(childDirEnv)
	if dir == "" {
		t.Skip("it serves TestSecondOpen")
	}
	s, err := Open(dir, &Options{
		Logger: quiet, ReadOnly: os.Getenv(childDirEnv+"_RO") != "", AllowClockBehind: true,
	})
	if err != nil {
		fmt.Println("error:", err, errors.Is(err, ErrLocked))
		return
	}
	defer s.Close()
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// otherProcess opens dir in a child and returns what it says, and what ends it.
func otherProcess(t *testing.T, dir string, readOnly bool) (said string, end func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHoldOpenHelper$")
	cmd.Env = append(os.Environ(), childDirEnv+"="+dir)
	if readOnly {
		cmd.Env = append(cmd.Env, childDirEnv+"_RO=1")
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(line), func() {
		t.Helper()
		_ = stdin.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestSecondOpen(t *testing.T) {
	a := openAPI(t, Options{})
	a.put("key", "value", nil)
	for _, readOnly := range []bool{false, true} {
		if s, err := Open(a.path, &Options{ReadOnly: readOnly, Logger: quiet}); !errors.Is(err, ErrLocked) || s != nil {
			t.Fatalf("second open, read-only %v: %v", readOnly, err)
		}
		said, end := otherProcess(t, a.path, readOnly)
		end()
		if !strings.HasPrefix(said, "error:") || !strings.HasSuffix(said, "true") {
			t.Fatalf("open by another process, read-only %v: %s", readOnly, said)
		}
	}
	a.wantValue("key", "value")
	a.close()
	said, end := otherProcess(t, a.path, false)
	if said != "open" {
		t.Fatal(said)
	}
	if _, err := Open(a.path, &Options{Logger: quiet}); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	end()
	said, end = otherProcess(t, a.path, true)
	if said != "open" {
		t.Fatal(said)
	}
	if _, err := Open(a.path, &Options{Logger: quiet}); !errors.Is(err, ErrLocked) {
		t.Fatalf("writer beside a reader: %v", err)
	}
	a.opts.ReadOnly = true
	a.open()
	a.wantValue("key", "value")
	end()
}

// Whatever state the directory is in, opening it read-only and reading changes
// no byte of it.
func TestReadOnly(t *testing.T) {
	a := openAPI(t, Options{SegmentBytes: minSegmentBytes})
	value := incompressible(newRand(t), 1000)
	for i := range 150 {
		a.put(fmt.Sprintf("key:%03d", i), string(value), nil)
	}
	a.put("large", strings.Repeat("large", 20_000), nil)
	want := a.contents()
	// As after a kill: with allocated space, a torn end and files that are of
	// no use.
	killed := t.TempDir()
	copyStore(t, a.path, killed)
	appendTo(t, filepath.Join(killed, "MANIFEST.tmp"), "left behind")
	appendTo(t, filepath.Join(killed, "CHECKPOINT.tmp"), "left behind")
	active := segmentName(a.committer.active.id)
	appendTo(t, filepath.Join(killed, active), "torn")
	a.writesCheckpoint()
	a.close()

	for name, dir := range map[string]string{"closed": a.path, "killed": killed} {
		before := hashFiles(t, dir)
		ro := &apiTest{TB: t, path: dir, opts: a.opts, clock: a.clock, ctx: a.ctx}
		ro.opts.ReadOnly = true
		ro.open()
		if got := ro.contents(); got != want {
			t.Fatalf("%s: read-only, the store has\n%s\nwant\n%s", name, got, want)
		}
		if report, err := ro.Verify(a.ctx, nil); err != nil || len(report.Damage) > 0 {
			t.Fatal(name, report, err)
		}
		var b, deletes Batch
		b.Put("key", nil, nil)
		deletes.Delete("absent")
		for call, err := range map[string]error{
			"Put":           ro.Put(a.ctx, "key", nil, nil),
			"Put large":     ro.Put(a.ctx, "key", make([]byte, largeFrom), nil),
			"PutReader":     ro.PutReader(a.ctx, "key", strings.NewReader("v"), nil),
			"Delete":        ro.Delete(a.ctx, "key:000"),
			"Delete absent": ro.Delete(a.ctx, "absent"),
			"Write":         ro.Write(a.ctx, &b),
			"Write deletes": ro.Write(a.ctx, &deletes),
		} {
			if !errors.Is(err, ErrReadOnly) {
				t.Errorf("%s: %s: %v", name, call, err)
			}
		}
		_ = ro.Stats()
		ro.close()
		if after := hashFiles(t, dir); after != before {
			t.Errorf("%s: the directory was\n%s\nand is\n%s", name, before, after)
		}
	}
}

// copyStore copies the files of a store as they are at one instant, which are those
// that a kill would leave. The store may be open, and its background at work: files
// are read until two readings in a row agree.
func copyStore(t testing.TB, from, to string) {
	t.Helper()
	files := readFiles(t, from)
	for again := readFiles(t, from); !maps.EqualFunc(files, again, bytes.Equal); again = readFiles(t, from) {
		files = again
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// readFiles reads the files of a directory that are there when their turn comes.
func readFiles(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = b
	}
	return files
}

func appendTo(t testing.TB, name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestOpenMakesDirectories(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "store")
	for range 2 {
		s, err := Open(dir, &Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What is not a store is left as it is.
func TestOpenNotAStore(t *testing.T) {
	refused := func(what, dir string, opts *Options) {
		t.Helper()
		before := hashFiles(t, dir)
		if s, err := Open(dir, opts); !errors.Is(err, ErrNotStore) || s != nil {
			t.Errorf("%s: %v", what, err)
		}
		if after := hashFiles(t, dir); after != before {
			t.Errorf("%s: the directory held\n%s\nand holds\n%s", what, before, after)
		}
	}
	plain, readOnly := &Options{Logger: quiet}, &Options{Logger: quiet, ReadOnly: true}
	refused("empty, read-only", t.TempDir(), readOnly)
	home := t.TempDir()
	appendTo(t, filepath.Join(home, "letter.txt"), "Dear Ada,")
	refused("other files", home, plain)
	refused("other files, read-only", home, readOnly)

	a := openAPI(t, Options{})
	a.put("key", "value", nil)
	a.close()
	if err := os.Remove(filepath.Join(a.path, manifestName)); err != nil {
		t.Fatal(err)
	}
	refused("without manifest", a.path, plain)
	refused("without manifest, read-only", a.path, readOnly)

	if s, err := Open(filepath.Join(t.TempDir(), "missing"), readOnly); !errors.Is(err, ErrNotStore) || s != nil {
		t.Errorf("missing, read-only: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	appendTo(t, file, "text")
	if s, err := Open(file, plain); err == nil || s != nil {
		t.Error("a file was opened as a store")
	}
}

// twoStores returns closed stores that hold different values under one key.
func twoStores(t *testing.T) (a, b *apiTest) {
	a, b = openAPI(t, Options{}), openAPI(t, Options{})
	a.put("key", "value of a", nil)
	b.put("key", "value of b", nil)
	a.close()
	b.close()
	return a, b
}

func (a *apiTest) file(name string) string { return filepath.Join(a.path, name) }

// edit changes a file of the closed store.
func (a *apiTest) edit(name string, change func(b []byte) []byte) {
	a.Helper()
	b, err := os.ReadFile(a.file(name))
	if err != nil {
		a.Fatal(err)
	}
	if err := os.WriteFile(a.file(name), change(b), 0o600); err != nil {
		a.Fatal(err)
	}
}

func (a *apiTest) wantOpenError(want error, texts ...string) {
	a.Helper()
	before := hashFiles(a.TB.(*testing.T), a.path)
	for _, readOnly := range []bool{false, true} {
		opts := a.opts
		opts.ReadOnly = readOnly
		s, err := Open(a.path, &opts)
		if s != nil || !errors.Is(err, want) {
			a.Fatalf("open: %v; want %v", err, want)
		}
		for _, text := range append(texts, a.path) {
			if !strings.Contains(err.Error(), text) {
				a.Fatalf("open: %q does not say %q", err, text)
			}
		}
	}
	if after := hashFiles(a.TB.(*testing.T), a.path); after != before {
		a.Fatalf("a refused open changed the directory from\n%s\nto\n%s", before, after)
	}
}

func TestOpenForeignSegment(t *testing.T) {
	a, b := twoStores(t)
	foreign, err := os.ReadFile(b.file("000001.seg"))
	if err != nil {
		t.Fatal(err)
	}
	a.edit("000001.seg", func([]byte) []byte { return foreign })
	a.wantOpenError(ErrCorrupt, "000001.seg", "another store")
}

// A segment of a copy of the store that went another way is not taken for the
// store's own.
func TestOpenSegmentOfCopy(t *testing.T) {
	a := openAPI(t, Options{SegmentBytes: minSegmentBytes})
	a.close()
	twin := &apiTest{TB: t, path: t.TempDir(), opts: a.opts, clock: a.clock, ctx: a.ctx}
	copyStore(t, a.path, twin.path)
	value := incompressible(newRand(t), 1000)
	for _, s := range []*apiTest{a, twin} {
		s.open()
		for i := range 200 {
			s.put(fmt.Sprint(i), s.path+string(value), nil)
		}
		s.close()
	}
	foreign, err := os.ReadFile(twin.file("000003.seg"))
	if err != nil {
		t.Fatal(err)
	}
	a.edit("000003.seg", func([]byte) []byte { return foreign })
	a.wantOpenError(ErrCorrupt, "000003.seg", "copy")
}

// An older manifest than that of the segments, as from a backup of one file, is
// refused before anything is removed.
func TestOpenOldManifest(t *testing.T) {
	a := openAPI(t, Options{SegmentBytes: minSegmentBytes})
	a.put("key", "value", nil)
	a.close()
	old, err := os.ReadFile(a.file(manifestName))
	if err != nil {
		t.Fatal(err)
	}
	a.open()
	value := incompressible(newRand(t), 1000)
	for i := range 200 {
		a.put(fmt.Sprint(i), string(value), nil)
	}
	a.close()
	a.edit(manifestName, func([]byte) []byte { return old })
	a.wantOpenError(ErrCorrupt, "not the newest")
}

func TestOpenMissingSegment(t *testing.T) {
	a := openAPI(t, Options{})
	a.put("key", "value", nil)
	a.close()
	if err := os.Remove(a.file("000001.seg")); err != nil {
		t.Fatal(err)
	}
	a.wantOpenError(os.ErrNotExist, "000001.seg")
}

func TestOpenUnknownVersion(t *testing.T) {
	a := openAPI(t, Options{})
	a.put("key", "value", nil)
	a.writesCheckpoint()
	a.close()
	for _, name := range []string{manifestName, "000001.seg"} {
		var old []byte
		a.edit(name, func(b []byte) []byte {
			old = bytes.Clone(b)
			binary.LittleEndian.PutUint32(b[8:], 2)
			binary.LittleEndian.PutUint64(b[56:], xxhash.Sum64(b[:56]))
			return b
		})
		a.wantOpenError(ErrVersion, name, "2")
		a.edit(name, func([]byte) []byte { return old })
	}
	// A checkpoint of another version is not needed.
	for _, version := range []uint32{checkpointVersion - 1, checkpointVersion + 1} {
		a.edit(checkpointName, func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[8:], version)
			return b
		})
		a.opts.ReadOnly = true
		a.open()
		a.wantValue("key", "value")
		// One of an older program is not damaged.
		if err := checkVerify(a.ctx, a.Store); (err == nil) != (version < checkpointVersion) {
			t.Errorf("a checkpoint of version %d: %v", version, err)
		}
		a.close()
		a.opts.ReadOnly = false
		a.open()
		a.wantValue("key", "value")
		if _, err := os.Stat(a.file(checkpointName)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a checkpoint of version %d was left: %v", version, err)
		}
		a.writesCheckpoint()
		a.close()
	}
}

func TestOpenClock(t *testing.T) {
	const day = 24 * 60 * 60
	for _, clean := range []bool{true, false} {
		a := openMemory(t, Options{})
		a.clock.set(epoch + 10*day)
		a.put("key", "value", &PutOptions{TTL: 1e9 * 60})
		if clean {
			a.reopen()
		} else {
			a.kill() // only the commit in the log recorded the time
		}
		a.close()
		a.clock.set(epoch + 9*day) // one day behind is let pass
		a.open()
		a.wantValue("key", "value")
		a.wantMeta("key", "", epoch+10*day+60)
		// The store's time did not go back.
		a.put("other", "value", &PutOptions{TTL: 1e9 * 60})
		a.wantMeta("other", "", epoch+10*day+60)
		a.close()

		a.clock.set(epoch + 9*day - 1)
		if s, err := Open(a.path, &a.opts); !errors.Is(err, ErrClock) || s != nil ||
			!strings.Contains(err.Error(), fmt.Sprint(epoch+10*day)) || !strings.Contains(err.Error(), fmt.Sprint(epoch+9*day-1)) {
			t.Fatal(err)
		}
		a.opts.AllowClockBehind = true
		a.open()
		a.wantValue("key", "value")
		if err := a.Put(a.ctx, "key", nil, &PutOptions{Expiration: epoch + 10*day}); !errors.Is(err, ErrExpirationPast) {
			t.Fatal(err)
		}
		a.reopen()
		a.clock.set(epoch + 10*day + 60)
		a.wantAbsent("key")
	}
}

// Stores that are opened for a single command stay a few files.
func TestManyShortLives(t *testing.T) {
	a := openMemory(t, Options{})
	lives := 1000
	if testing.Short() {
		lives = 200
	}
	for i := range lives {
		a.put(fmt.Sprintf("key:%04d", i), fmt.Sprint(i), nil)
		a.reopen()
	}
	names, err := a.opts.fs.List(a.path)
	if err != nil || len(names) > 5 {
		t.Fatal(names, err)
	}
	if u := a.Usage(); u.Keys != int64(lives) || u.DiskBytes > 1<<20 {
		t.Fatalf("%+v", u)
	}
	for i := range lives {
		if v, err := a.Get(a.ctx, fmt.Sprintf("key:%04d", i)); err != nil || string(v) != fmt.Sprint(i) {
			t.Fatal(i, string(v), err)
		}
	}
}

// Opening and closing without a write changes nothing.
func TestOpenAndCloseWritesNothing(t *testing.T) {
	a := openAPI(t, Options{})
	a.put("key", "value", nil)
	a.put("large", strings.Repeat("v", largeFrom), nil)
	a.close()
	before := hashFiles(t, a.path)
	for range 3 {
		a.open()
		a.wantValue("key", "value")
		a.close()
	}
	if after := hashFiles(t, a.path); after != before {
		t.Errorf("the directory was\n%s\nand is\n%s", before, after)
	}
}

func TestClosed(t *testing.T) {
	a := openAPI(t, Options{})
	a.put("key", "value", nil)
	a.close()
	if err := a.Close(); err != nil {
		t.Fatalf("second close: %v", err)
	}
	var b Batch
	b.Delete("absent")
	for call, err := range map[string]error{
		"Put":       a.Put(a.ctx, "key", nil, nil),
		"PutReader": a.PutReader(a.ctx, "key", strings.NewReader(""), nil),
		"Delete":    a.Delete(a.ctx, "absent"),
		"Write":     a.Write(a.ctx, &b),
		"Sync":      a.Sync(a.ctx),
		"Get":       func() error { _, err := a.Get(a.ctx, "key"); return err }(),
		"GetPair":   func() error { _, err := a.GetPair(a.ctx, "key"); return err }(),
		"GetReader": func() error { _, err := a.GetReader(a.ctx, "key"); return err }(),
		"List":      func() error { _, err := a.List(a.ctx, ListOptions{}); return err }(),
		"Verify":    func() error { _, err := a.Verify(a.ctx, nil); return err }(),
		"Keys": func() (last error) {
			for _, err := range a.Keys(a.ctx, "") {
				last = err
			}
			return last
		}(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// A read beside Close either succeeds or says that the store is closed. It never
// takes a key that is there for absent.
func TestCloseWhileReading(t *testing.T) {
	a := openMemory(t, Options{Sync: SyncNever})
	for i := range 100 {
		a.put(fmt.Sprint(i), "value", nil)
	}
	for range 30 {
		errs := make(chan error)
		for range 2 {
			go func() {
				for i := 0; ; i++ {
					var err error
					if i%10 == 9 {
						var page *ListPage
						if page, err = a.List(a.ctx, ListOptions{}); err == nil && len(page.Keys) != 100 {
							err = fmt.Errorf("%d keys are listed", len(page.Keys))
						}
					} else {
						_, err = a.Get(a.ctx, fmt.Sprint(i%100))
					}
					if err != nil {
						errs <- err
						return
					}
				}
			}()
		}
		store := a.Store
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-errs; !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		}
		a.open()
	}
}
