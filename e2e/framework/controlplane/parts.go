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
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

const (
	serviceRange = "10.96.0.0/12"

	// SilentLabel stops the heartbeats of the node that has it, whatever the label's value: kwok lets go of the node
	// and of its pods, as if its kubelet had died. Without the label kwok takes the node up again.
	SilentLabel = "controlplane.taint-manager.test/silent"
)

// serviceIP is the address of the service "kubernetes": the first of serviceRange.
func serviceIP() net.IP { return net.IPv4(10, 96, 0, 1) }

// part is one program of the control plane and how to run it.
type part struct {
	program Program
	ports   int // how many it listens on
	spec    func(cp *ControlPlane, ports []int) Spec
}

// allParts are in the order in which they start; they stop in the reverse one.
func allParts() []part {
	return []part{
		{program: Etcd, ports: 2, spec: etcdSpec},
		{program: APIServer, ports: 1, spec: apiServerSpec},
		{program: ControllerManager, ports: 1, spec: controllerManagerSpec},
		{program: Scheduler, ports: 1, spec: schedulerSpec},
		{program: Kwok, ports: 1, spec: kwokSpec},
	}
}

// AllParts are the programs that Start runs by default.
func AllParts() []Program {
	return []Program{Etcd, APIServer, ControllerManager, Scheduler, Kwok}
}

func etcdSpec(cp *ControlPlane, ports []int) Spec {
	client, peer := "http://"+loopback(ports[0]), "http://"+loopback(ports[1])
	return Spec{
		URL: client,
		Args: []string{
			"--name=etcd",
			"--data-dir=" + filepath.Join(cp.dir, "etcd"),
			"--listen-client-urls=" + client,
			"--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer,
			"--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=etcd=" + peer,
			"--unsafe-no-fsync",
			// The only member elects itself when this is over: at its start and at each restart.
			"--heartbeat-interval=50",
			"--election-timeout=250",
			"--quota-backend-bytes=" + strconv.Itoa(8<<30), // the default of 2 GiB fills up in long load tests
			"--log-level=warn",
		},
		Ready: func(ctx context.Context) error { return AskHealth(ctx, cp.plain, client+"/readyz") },
	}
}

func apiServerSpec(cp *ControlPlane, ports []int) Spec {
	url := "https://" + loopback(ports[0])
	return Spec{
		URL: url,
		Args: []string{
			"--etcd-servers=" + cp.parts[Etcd].URL(),
			"--bind-address=127.0.0.1",
			"--secure-port=" + strconv.Itoa(ports[0]),
			// A loopback address cannot be an endpoint of the service "kubernetes", so nobody may try to make it one.
			"--advertise-address=127.0.0.1",
			"--endpoint-reconciler-type=none",
			"--service-cluster-ip-range=" + serviceRange,
			"--tls-cert-file=" + cp.pki.file("apiserver.crt"),
			"--tls-private-key-file=" + cp.pki.file("apiserver.key"),
			"--client-ca-file=" + cp.pki.file("ca.crt"),
			"--requestheader-client-ca-file=" + cp.pki.file("front-proxy-ca.crt"),
			"--requestheader-allowed-names=front-proxy-client",
			"--requestheader-username-headers=X-Remote-User",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + cp.pki.file("front-proxy-client.crt"),
			"--proxy-client-key-file=" + cp.pki.file("front-proxy-client.key"),
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file=" + cp.pki.file("accounts.key"),
			"--service-account-signing-key-file=" + cp.pki.file("accounts.key"),
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
		},
		Ready: func(ctx context.Context) error { return AskHealth(ctx, cp.secure, url+"/readyz") },
	}
}

func controllerManagerSpec(cp *ControlPlane, ports []int) Spec {
	spec := cp.componentSpec(controllerManagerID, ports[0])
	spec.Args = append(spec.Args,
		"--controllers="+cp.options.Controllers,
		"--use-service-account-credentials=true",
		"--root-ca-file="+cp.pki.file("ca.crt"),
		"--service-account-private-key-file="+cp.pki.file("accounts.key"),
		"--cluster-signing-cert-file="+cp.pki.file("ca.crt"),
		"--cluster-signing-key-file="+cp.pki.file("ca.key"),
		"--service-cluster-ip-range="+serviceRange,
	)
	return spec
}

func schedulerSpec(cp *ControlPlane, ports []int) Spec {
	return cp.componentSpec(schedulerID, ports[0])
}

// componentSpec is what the controller manager and the scheduler have in common.
func (cp *ControlPlane) componentSpec(id identity, port int) Spec {
	url := "https://" + loopback(port)
	return Spec{
		URL: url,
		Args: append(cp.componentArgs(cp.kubeconfigPath(string(id)), port),
			// There is one of each, and one that restarts should not wait for the lease of its former self.
			"--leader-elect=false",
			// The defaults protect API servers from controllers. Here they would only make tests wait: the controller
			// manager's start for 5 s, and every pod of a large test.
			"--kube-api-qps=500",
			"--kube-api-burst=1000"),
		Ready: func(ctx context.Context) error { return AskHealth(ctx, cp.secure, url+"/healthz") },
	}
}

// componentArgs are the flags that all components built on the API server's library share.
func (cp *ControlPlane) componentArgs(kubeconfig string, port int) []string {
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		"--tls-cert-file=" + cp.pki.file("serving.crt"),
		"--tls-private-key-file=" + cp.pki.file("serving.key"),
		"--client-ca-file=" + cp.pki.file("ca.crt"),
		"--requestheader-client-ca-file=" + cp.pki.file("front-proxy-ca.crt"),
	}
}

func kwokSpec(cp *ControlPlane, ports []int) Spec {
	url := "http://" + loopback(ports[0])
	return Spec{
		URL: url,
		// Otherwise it looks for, and makes, files in the home of whoever runs the test.
		Env: []string{"HOME=" + cp.dir},
		Args: []string{
			"--kubeconfig=" + cp.kubeconfigPath(string(kwokID)),
			"--config=" + cp.binaries[kwokStages],
			// All nodes but those that a test silences. The controller lets go of a node that stops matching.
			"--manage-nodes-with-label-selector=!" + SilentLabel,
			"--node-lease-duration-seconds=" + strconv.Itoa(cp.options.NodeLeaseSeconds),
			"--server-address=" + loopback(ports[0]),
		},
		Ready: func(ctx context.Context) error { return AskHealth(ctx, cp.plain, url+"/healthz") },
	}
}

// startPart starts a part and keeps it. Between the choice of a port and its use somebody else may take it: then it
// is started once more, with other ports.
func (cp *ControlPlane) startPart(ctx context.Context, part part) (*Process, error) {
	const attempts = 4
	for attempt := 1; ; attempt++ {
		ports, err := freePorts(part.ports)
		if err != nil {
			return nil, err
		}
		spec := part.spec(cp, ports)
		spec.Name = string(part.program)
		spec.Path = cp.binaries[part.program]
		spec.LogPath = filepath.Join(cp.dir, spec.Name+".log")
		spec.Args = slices.Concat(spec.Args, cp.options.ExtraArgs[part.program])
		began := time.Now()
		process, err := StartProcess(ctx, spec)
		if err == nil {
			cp.say("%s is ready after %s", part.program, time.Since(began).Round(10*time.Millisecond))
			return process, nil
		}
		var failure *ProcessError
		if attempt == attempts || !errors.As(err, &failure) || !failure.portTaken() {
			return nil, fmt.Errorf("starting the control plane: %w", err)
		}
	}
}
