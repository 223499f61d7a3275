package machine

import "runtime"

// Description is what is known of the machine.
type Description struct {
	CPU    string `json:"cpu"`    // as it calls itself
	Cores  int    `json:"cores"`  // that this process may use
	Memory int64  `json:"memory"` // bytes
	// MemoryLimit is what the process and the page cache of its files may take,
	// in bytes; 0: no limit.
	MemoryLimit int64  `json:"memory_limit"`
	System      string `json:"system"` // operating system, its version, architecture
	FileSystem  string `json:"file_system"`
	Go          string `json:"go"` // version
}

// Describe describes the machine, and the file system of dir.
func Describe(dir string) Description {
	d := Description{Cores: runtime.GOMAXPROCS(0), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	describeSystem(&d, dir)
	return d
}
