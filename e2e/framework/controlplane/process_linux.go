package controlplane

import "syscall"

// childAttributes puts a child in a process group of its own and ties its life to that of the forking thread; see
// run.live.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
