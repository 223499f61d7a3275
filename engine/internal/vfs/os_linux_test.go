package vfs

import "testing"

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
