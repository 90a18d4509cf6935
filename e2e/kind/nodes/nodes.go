/*
Copyright The taint-manager Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

// Package nodes runs commands on the nodes of a kind cluster, each of which is a container of the Docker engine here.
// Whatever a test does to a node from outside of Kubernetes goes through it, and so does kubectl: the control-plane node
// has one, of the cluster's own version, so none is needed on this machine.
package nodes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

const (
	adminKubeconfig = "/etc/kubernetes/admin.conf"
	manifests       = "/root/manifests"
	// killAfter is how long a command has to end after it was asked to.
	killAfter = 10 * time.Second
)

// Cluster is one that kind has made.
type Cluster struct{ Name string }

// ControlPlane is the name of its only control-plane node.
func (c Cluster) ControlPlane() string { return c.Name + "-control-plane" }

// Exec runs a command on a node, and returns what it printed.
func (c Cluster) Exec(ctx context.Context, node string, command ...string) (string, error) {
	return Run(ctx, nil, "docker", append([]string{"exec", node}, command...)...)
}

// Script runs a script by the node's bash, in a new directory.
func (c Cluster) Script(ctx context.Context, node, script string, arguments ...string) (string, error) {
	stdin := strings.NewReader("cd \"$(mktemp -d)\"\n" + script)
	return Run(ctx, stdin, "docker", append([]string{"exec", "-i", node, "bash", "-euo", "pipefail", "-s", "--"}, arguments...)...)
}

// Kubectl runs the control-plane node's kubectl as an administrator. What it prints to stderr, such as warnings, is
// part of what is returned.
func (c Cluster) Kubectl(ctx context.Context, arguments ...string) (string, error) {
	script := `export KUBECONFIG=` + adminKubeconfig + `; kubectl "$@" 2>&1`
	return c.Script(ctx, c.ControlPlane(), script, arguments...)
}

// CopyManifests puts the directory manifests on the control-plane node, for Overlay and Manifest.
func (c Cluster) CopyManifests(ctx context.Context, directory string) error {
	if _, err := c.Exec(ctx, c.ControlPlane(), "rm", "-rf", manifests); err != nil {
		return err
	}
	_, err := Run(ctx, nil, "docker", "cp", directory, c.ControlPlane()+":"+manifests)
	return err
}

// Overlay is where one of manifests/overlays is on the control-plane node, for kubectl -k.
func Overlay(name string) string { return Manifest("overlays/" + name) }

// Manifest is where another file or directory of manifests is there.
func Manifest(path string) string { return manifests + "/" + path }

// Pause stops everything on a node at once, as if it had died; to others it just falls silent.
func (c Cluster) Pause(ctx context.Context, node string) error {
	_, err := Run(ctx, nil, "docker", "pause", node)
	return err
}

// Unpause lets it go on.
func (c Cluster) Unpause(ctx context.Context, node string) error {
	_, err := Run(ctx, nil, "docker", "unpause", node)
	return err
}

// Paused says whether a node is.
func (c Cluster) Paused(ctx context.Context, node string) (bool, error) {
	out, err := Run(ctx, nil, "docker", "inspect", "--format", "{{.State.Paused}}", node)
	return strings.TrimSpace(out) == "true", err
}

// Run runs a command of this machine and returns what it printed to stdout. An error tells the rest.
func Run(ctx context.Context, stdin io.Reader, name string, arguments ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := Command(ctx, name, arguments...)
	command.Stdin, command.Stdout, command.Stderr = stdin, &stdout, &stderr
	if err := command.Run(); err != nil {
		said := strings.TrimSpace(stdout.String() + "\n" + stderr.String())
		return stdout.String(), fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), errors.Join(ctx.Err(), err), said)
	}
	return stdout.String(), nil
}

// Command is one in a process group of its own: a Ctrl-C reaches only us, and we end the command and what it started.
func Command(ctx context.Context, name string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, arguments...)
	ownGroup(command)
	command.WaitDelay = killAfter
	return command
}
