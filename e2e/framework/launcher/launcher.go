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

// Package launcher starts taint-manager as a process against a control plane, as a deployment does: with a service account of
// kube-system that may do what a deployment's may, and nothing else. It is never system:masters, which the API server's
// priority and fairness exempts.
package launcher

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

const (
	// BinaryVariable is the environment variable that names a binary to run, in place of one built for the occasion.
	BinaryVariable = "TAINT_MANAGER_BINARY"
	// Namespace is where the service accounts are.
	Namespace = metav1.NamespaceSystem

	// Name is the name of the service account, of its role and of the Lease.
	Name = "taint-manager"

	// Controller is the package of the controller.
	Controller = "github.com/taint-manager/taint-manager/cmd/taint-manager"
	// Plugin is the package of the kubectl plugin.
	Plugin = "github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager"

	readyTimeout = 30 * time.Second
)

// Binary returns the path of the binary that BinaryVariable names, or builds one into the directory with the given flags of
// go build.
func Binary(ctx context.Context, dir string, flags ...string) (string, error) {
	if path := os.Getenv(BinaryVariable); path != "" {
		path, err := filepath.Abs(path)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", BinaryVariable, err)
		}
		return path, nil
	}
	return Build(ctx, dir, Controller, flags...)
}

// Build builds a program into the directory with the given flags of go build.
func Build(ctx context.Context, dir, program string, flags ...string) (string, error) {
	file := filepath.Join(dir, path.Base(program))
	args := append(append([]string{"build", "-o", file}, flags...), program)
	if output, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", program, err, output)
	}
	return file, nil
}

// Options say how to start taint-manager.
type Options struct {
	// Name is the name of the process, which tells several apart. Default: taint-manager.
	Name string
	// Binary is the path of the program.
	Binary string
	// Kubeconfig is the path of the kubeconfig. Default: that of an account with Rules.
	Kubeconfig string
	// Args are further flags, and Env further variables of the environment.
	Args, Env []string
	// Bare runs it without serving: nobody can ask whether it is ready.
	Bare bool
	// Unready returns from Start before it is ready.
	Unready bool
}

// Start starts taint-manager, and waits until it is ready. It ends with the control plane.
func Start(ctx context.Context, cp *controlplane.ControlPlane, o Options) (*controlplane.Process, error) {
	if o.Name == "" {
		o.Name = Name
	}
	if o.Kubeconfig == "" {
		var err error
		if o.Kubeconfig, err = Account(ctx, cp, Name, Rules()); err != nil {
			return nil, err
		}
	}
	spec := controlplane.Spec{Name: o.Name, Path: o.Binary, Args: []string{"--kubeconfig=" + o.Kubeconfig}, Env: o.Env, ReadyTimeout: readyTimeout}
	if o.Bare {
		spec.Args = append(append(spec.Args, "--secure-port=0"), o.Args...)
		return cp.Run(ctx, spec)
	}
	port, err := controlplane.FreePort()
	if err != nil {
		return nil, err
	}
	client, err := cp.HTTPClient()
	if err != nil {
		return nil, err
	}
	// A server that shuts down waits for connections. The client's own method does not reach through its transport.
	defer utilnet.CloseIdleConnectionsFor(client.Transport)
	cert, key := cp.ServingCert()
	spec.URL = "https://127.0.0.1:" + strconv.Itoa(port)
	spec.Args = append(spec.Args, "--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(port), "--tls-cert-file="+cert, "--tls-private-key-file="+key)
	spec.Args = append(spec.Args, o.Args...)
	if !o.Unready {
		spec.Ready = func(ctx context.Context) error { return controlplane.AskHealth(ctx, client, spec.URL+"/readyz") }
	}
	return cp.Run(ctx, spec)
}
