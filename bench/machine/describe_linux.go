package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func describeSystem(d *Description, dir string) {
	d.CPU = field("/proc/cpuinfo", "model name")
	kib, _, _ := strings.Cut(field("/proc/meminfo", "MemTotal"), " ")
	d.Memory = number(kib) << 10
	d.MemoryLimit = memoryLimit()
	if release := line("/proc/sys/kernel/osrelease"); release != "" {
		d.System += " " + release
	}
	d.FileSystem = fileSystem(dir)
}

// memoryLimit returns the limit of this process's control group, or 0.
func memoryLimit() int64 {
	content, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	for text := range strings.Lines(string(content)) {
		// hierarchy:controllers:path (cgroups(7))
		parts := strings.SplitN(strings.TrimSpace(text), ":", 3)
		if len(parts) < 3 {
			continue
		}
		var limit int64
		switch parts[1] {
		case "": // version 2; "max" is no number
			limit = number(line(filepath.Join("/sys/fs/cgroup", parts[2], "memory.max")))
		case "memory":
			limit = number(line(filepath.Join("/sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes")))
		}
		if limit > 0 && limit < unlimited {
			return limit
		}
	}
	return 0
}

// unlimited is less than what version 1 says if there is no limit: the greatest
// number of pages.
const unlimited = 1 << 62

// fileSystem names the file system of dir by its magic number (statfs(2)).
func fileSystem(dir string) string {
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) != nil {
		return ""
	}
	magic := uint32(st.Type)
	names := map[uint32]string{
		0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x01021994: "tmpfs", 0x794c7630: "overlay",
		0xf2f52010: "f2fs", 0x2fc12fc1: "zfs", 0x6969: "nfs",
	}
	if name := names[magic]; name != "" {
		return name
	}
	return fmt.Sprintf("%#x", magic)
}

// field returns what stands behind the first "name:" of a file, or "".
func field(path, name string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for text := range strings.Lines(string(content)) {
		if key, value, ok := strings.Cut(text, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// line returns the first line of a file, or "".
func line(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(content), "\n")
	return first
}

// number is what s says, or 0.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
