package e2e

import (
	"os/exec"
	"syscall"
)

// endWithTests has the kernel kill the process when the tests are gone, so that
// a panic leaves nothing behind. (It goes by the thread that starts the process,
// and Go ends no thread that nobody has locked.)
func endWithTests(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
