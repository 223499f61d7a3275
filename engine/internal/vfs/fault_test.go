package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"testing"
)

func faultSystem(t *testing.T) (*Mem, *Fault, system) {
	t.Helper()
	m := newMemDir(t)
	f := NewFault(m)
	return m, f, system{f, "/db"}
}

// workload does each kind of operation once and returns the errors.
func workload(s system) (errs []error) {
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	note(s.fs.MkdirAll(s.path("d")))
	lock, err := s.fs.Lock(s.path("LOCK"))
	note(err)
	if err == nil {
		defer lock.Close()
	}
	f, err := s.fs.Create(s.path("f"))
	note(err)
	if err == nil {
		note(f.Preallocate(0, 10))
		_, err = f.WriteAt([]byte("abc"), 2)
		note(err)
		_, err = f.ReadAt(make([]byte, 3), 2)
		note(err)
		note(f.Truncate(5))
		_, err = f.Size()
		note(err)
		note(f.SyncData())
		note(f.Close())
	}
	if err := s.fs.Link(s.path("f"), s.path("g")); !errors.Is(err, fs.ErrNotExist) {
		note(err)
	}
	if err := s.fs.Rename(s.path("f"), s.path("h")); !errors.Is(err, fs.ErrNotExist) {
		note(err)
	}
	_, err = s.fs.List(s.dir)
	note(err)
	if err := s.fs.Remove(s.path("h")); !errors.Is(err, fs.ErrNotExist) {
		note(err)
	}
	_, err = s.fs.Free(s.dir)
	note(err)
	note(s.fs.SyncDir(s.dir))
	return errs
}

func TestFaultSeesEveryOperation(t *testing.T) {
	_, f, s := faultSystem(t)
	var got []string
	f.SetHook(func(op Op) error {
		got = append(got, op.String())
		return nil
	})
	if errs := workload(s); errs != nil {
		t.Fatal(errs)
	}
	want := []string{
		"#0 mkdir /db/d [0,+0)", "#1 lock /db/LOCK [0,+0)", "#2 create /db/f [0,+0)",
		"#3 preallocate /db/f [0,+10)", "#4 write /db/f [2,+3)", "#5 read /db/f [2,+3)", "#6 truncate /db/f [5,+0)",
		"#7 stat /db/f [0,+0)", "#8 sync /db/f [0,+0)", "#9 close /db/f [0,+0)", "#10 link /db/g [0,+0)",
		"#11 rename /db/h [0,+0)", "#12 list /db [0,+0)", "#13 remove /db/h [0,+0)", "#14 stat /db [0,+0)",
		"#15 syncdir /db [0,+0)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if f.Count() != int64(len(want)) {
		t.Errorf("count %d, want %d", f.Count(), len(want))
	}
}

func TestFaultFailsEveryOperation(t *testing.T) {
	_, f, s := faultSystem(t)
	workload(s)
	for i := range f.Count() {
		_, f, s := faultSystem(t)
		f.SetHook(func(op Op) error {
			if op.Index == i {
				return syscall.EIO
			}
			return nil
		})
		errs := workload(s)
		var pathErr *fs.PathError
		if len(errs) != 1 || !errors.Is(errs[0], syscall.EIO) || !errors.As(errs[0], &pathErr) {
			t.Errorf("failing operation %d gives %v", i, errs)
		}
	}
}

func TestFaultShortWrite(t *testing.T) {
	_, f, s := faultSystem(t)
	file := create(t, s, "f", "......")
	for _, c := range []struct {
		short ShortWrite
		n     int
		err   error
		want  string
	}{
		{ShortWrite{N: 0}, 0, syscall.ENOSPC, "......"},
		{ShortWrite{N: 2}, 2, syscall.ENOSPC, "ab...."},
		{ShortWrite{N: 9, Err: syscall.EIO}, 4, syscall.EIO, "abcd.."},
	} {
		f.SetHook(func(op Op) error {
			if op.Kind != KindWrite {
				return nil
			}
			return c.short
		})
		n, err := file.WriteAt([]byte("abcd"), 0)
		if n != c.n {
			t.Errorf("%+v: wrote %d, want %d", c.short, n, c.n)
		}
		wantErr(t, err, c.err)
		wantBytes(t, file, []byte(c.want))
	}
}

func TestFaultHookTakesCopies(t *testing.T) {
	m, f, s := faultSystem(t)
	file := create(t, s, "f", "old")
	must(t, file.Sync())
	must(t, m.SyncDir("/db"))
	rng := seeded(t)
	var states []string
	f.SetHook(func(op Op) error {
		states = append(states, fmt.Sprint(op.Kind, ":", seen(t, m.Kill(), "f"), seen(t, m.Crash(rng), "f")))
		return nil
	})
	write(t, file, []byte("new"), 0)
	must(t, file.SyncData())
	must(t, file.Close())
	if states[0] != "write:oldold" || states[2] != "close:newnew" {
		t.Errorf("states before the operations: %q", states)
	}
	f.SetHook(nil)
	must(t, s.fs.SyncDir("/db"))
	if len(states) != 3 {
		t.Errorf("removed hook called: %q", states)
	}
}

// TestFailedSyncGivesUpData is the behaviour of Linux that PostgreSQL found out about in 2018: after a failed fsync the
// next one succeeds, and the data is in the page cache but not on the disk.
func TestFailedSyncGivesUpData(t *testing.T) {
	m, f, s := faultSystem(t)
	file := create(t, s, "f", "old")
	must(t, file.Sync())
	must(t, m.SyncDir("/db"))

	write(t, file, []byte("new"), 0)
	write(t, file, []byte("far"), 2*sectorSize)
	f.SetHook(func(op Op) error {
		if op.Kind == KindSync {
			return syscall.EIO
		}
		return nil
	})
	wantErr(t, file.SyncData(), syscall.EIO)
	f.SetHook(nil)
	must(t, file.SyncData())

	describe := func(m *Mem) string {
		got := seen(t, m, "f")
		return got[:3] + got[2*sectorSize:]
	}
	both := []string{"old\x00\x00\x00", "oldfar", "new\x00\x00\x00", "newfar"}
	for name, m := range map[string]*Mem{"the same": m, "killed": m.Kill()} {
		if got := describe(m); got != "newfar" {
			t.Errorf("%s process sees %q", name, got)
		}
		outcomes(t, m, describe, both...)
	}

	write(t, file, []byte("N"), 0)
	outcomes(t, m, describe, append(both, "Newfar", "New\x00\x00\x00")...)
	must(t, file.SyncData())
	outcomes(t, m, describe, "Newfar", "New\x00\x00\x00")
	write(t, file, []byte("far"), 2*sectorSize)
	must(t, file.Sync())
	outcomes(t, m, describe, "Newfar")
}

func TestFailedSyncAndTruncation(t *testing.T) {
	m, f, s := faultSystem(t)
	file := create(t, s, "f", "")
	must(t, file.Sync())
	must(t, m.SyncDir("/db"))
	write(t, file, []byte("abcd"), 0)
	write(t, file, []byte("far"), 2*sectorSize)
	f.SetHook(func(Op) error { return syscall.EIO })
	wantErr(t, file.Sync(), syscall.EIO)
	f.SetHook(nil)
	must(t, file.Truncate(2))
	must(t, file.Truncate(2*sectorSize+3))
	must(t, file.Sync())
	outcomes(t, m, func(m *Mem) string {
		got := seen(t, m, "f")
		return got[:4] + got[2*sectorSize:]
	}, "\x00\x00\x00\x00\x00\x00\x00", "ab\x00\x00\x00\x00\x00")
}
