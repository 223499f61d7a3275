package vfs

import "testing"

// TestOSFreeCountsDown allows for others that use the same disk.
func TestOSFreeCountsDown(t *testing.T) {
	const taken, slack = 64 << 20, 32 << 20
	s := system{OS, t.TempDir()}
	before, err := s.fs.Free(s.dir)
	must(t, err)
	if before < 4*taken {
		t.Skipf("only %d bytes free", before)
	}
	f := create(t, s, "f", "")
	must(t, f.Preallocate(0, taken))
	after, err := s.fs.Free(s.dir)
	must(t, err)
	if got := before - after; got < taken-slack || got > taken+slack {
		t.Errorf("preallocating %d bytes took %d", taken, got)
	}
}

func TestOSPreallocateTakesSpace(t *testing.T) {
	s := system{OS, t.TempDir()}
	f := create(t, s, "f", "abc")
	must(t, f.Preallocate(0, 1<<20))
	info, err := s.fs.Stat(s.path("f"))
	must(t, err)
	if info.Allocated < 1<<20 {
		t.Errorf("allocated %d bytes, want 1 MiB at least; does the file system have fallocate?", info.Allocated)
	}
	must(t, f.Truncate(3))
	must(t, f.Sync())
	info, err = s.fs.Stat(s.path("f"))
	must(t, err)
	if info.Allocated >= 1<<20 {
		t.Errorf("allocated %d bytes after truncation", info.Allocated)
	}
}
