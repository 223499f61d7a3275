package peers

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
)

// Some things are measured on a process of their own: this program again, told
// what to do by variables of its environment.
const (
	childTask   = "PEERS_CHILD"
	childEngine = "PEERS_ENGINE"
	childDir    = "PEERS_DIR"
	childKeys   = "PEERS_KEYS"
)

var childTasks = map[string]func(e Engine, dir string, keys int) error{
	"fill":   childFill,
	"memory": childMemory,
}

func childWanted() bool { return os.Getenv(childTask) != "" }

func childMain() int {
	keys, err := strconv.Atoi(os.Getenv(childKeys))
	for _, e := range Engines {
		if err == nil && e.Name == os.Getenv(childEngine) {
			err = childTasks[os.Getenv(childTask)](e, os.Getenv(childDir), keys)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child starts a task and returns the first line that it prints. The process
// waits behind that line and is killed.
func child(task string, e Engine, dir string, keys int) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childTask+"="+task, childEngine+"="+e.Name, childDir+"="+dir, childKeys+"="+strconv.Itoa(keys))
	cmd.Stderr = os.Stderr
	if _, err = cmd.StdinPipe(); err != nil {
		return "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // says that it was killed
	if err != nil {
		return "", fmt.Errorf("%s of %s in a process of its own: %w", task, e.Name, err)
	}
	return line[:len(line)-1], nil
}

// waitForKill says that the task is done, and lets nothing be closed.
func waitForKill(result any) error {
	fmt.Println(result)
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func childFill(e Engine, dir string, keys int) error {
	s, err := e.Open(dir, false)
	if err != nil {
		return err
	}
	if _, err := fill(s, NewData(keys), 1); err != nil {
		return err
	}
	if err := s.Sync(); err != nil { // or the kill takes the last puts along
		return err
	}
	return waitForKill("filled")
}

func childMemory(e Engine, dir string, _ int) error {
	before := residentAfterGC()
	s, err := e.Open(dir, false)
	if err != nil {
		return err
	}
	grown := residentAfterGC() - before
	if err := s.Close(); err != nil {
		return err
	}
	return waitForKill(grown)
}

func residentAfterGC() int64 {
	runtime.GC()
	debug.FreeOSMemory()
	return ResidentBytes()
}
