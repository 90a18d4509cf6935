//go:build unix && !linux

package controlplane

import "syscall"

// childAttributes puts a child in a process group of its own. Only Linux can also tie its life to that of its parent.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
