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

package controlplane

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
)

// BuiltinOptions says how to run the built-in controller.
type BuiltinOptions struct {
	// Name tells several apart, in their service accounts and logs. Default: "builtin".
	Name string
	// ExtraArgs are added to the arguments of the controller manager, as "--kube-api-qps=10000".
	ExtraArgs []string
}

// controllers are some of the controllers of kube-controller-manager, which run in a process of their own.
type controllers struct {
	// name is that of the process, and account that of their service account in kube-system.
	name, account string
	// names are theirs, separated by commas.
	names string
	// roles are the cluster roles that they need beside those of every controller manager.
	roles     []string
	extraArgs []string
}

// StartBuiltin runs Kubernetes' own taint-eviction-controller in a process of its own, in place of which taint-manager
// runs: to compare the two. Its URL serves /metrics to HTTPClient. It ends with Stop, or before.
func (cp *ControlPlane) StartBuiltin(ctx context.Context, options BuiltinOptions) (*Process, error) {
	if options.Name == "" {
		options.Name = "builtin"
	}
	return cp.startControllers(ctx, controllers{
		name: options.Name, account: options.Name + "-taint-eviction", extraArgs: options.ExtraArgs,
		// The second controller is there for what it does in passing: it indexes the cached pods by node, without
		// which the first evicts nothing.
		names: "taint-eviction-controller,daemonset-controller",
		roles: []string{
			"system:controller:node-controller", // it has no role of its own: in a controller manager it shares this one
			"system:controller:daemon-set-controller",
		},
	})
}

// StartDisruption runs Kubernetes' disruption controller, which keeps the status of disruption budgets, in a process of its own. It ends
// with Stop, or before.
func (cp *ControlPlane) StartDisruption(ctx context.Context) (*Process, error) {
	return cp.startControllers(ctx, controllers{
		name: "disruption", account: "disruption", names: "disruption-controller",
		roles:     []string{"system:controller:disruption-controller"},
		extraArgs: []string{"--kube-api-qps=10000", "--kube-api-burst=20000"},
	})
}

func (cp *ControlPlane) startControllers(ctx context.Context, c controllers) (*Process, error) {
	binaries, err := Binaries(ctx, cp.options.Progress, ControllerManager)
	if err != nil {
		return nil, err
	}
	const namespace = "kube-system"
	roles := append([]string{"system:kube-controller-manager", "system:auth-delegator"}, c.roles...)
	kubeconfig, _, err := cp.ServiceAccountWithRoles(ctx, namespace, c.account, roles...)
	if err != nil {
		return nil, err
	}
	const reader = "extension-apiserver-authentication-reader"
	if err := cp.BindRole(ctx, namespace, reader, namespace, c.account); err != nil {
		return nil, err
	}
	const attempts = 4
	for attempt := 1; ; attempt++ {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		process, err := cp.Run(ctx, cp.controllersSpec(binaries[ControllerManager], kubeconfig, port, c))
		var failure *ProcessError
		if err == nil || attempt == attempts || !errors.As(err, &failure) || !failure.portTaken() {
			return process, err
		}
	}
}

func (cp *ControlPlane) controllersSpec(path, kubeconfig string, port int, c controllers) Spec {
	url := "https://" + loopback(port)
	return Spec{
		Name: c.name, Path: path, URL: url,
		LogPath: filepath.Join(cp.dir, c.name+".log"),
		Args: append(append(cp.componentArgs(kubeconfig, port),
			"--controllers="+c.names,
			"--use-service-account-credentials=false",
			"--leader-elect=false",
		), c.extraArgs...),
		Ready: func(ctx context.Context) error { return AskHealth(ctx, cp.secure, url+"/healthz") },
	}
}

// portTaken says whether the process ended because somebody else had taken its port.
func (e *ProcessError) portTaken() bool { return strings.Contains(e.Log, "address already in use") }
