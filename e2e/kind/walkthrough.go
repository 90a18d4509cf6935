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

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/framework/helm"
	"github.com/taint-manager/taint-manager/e2e/kind/nodes"
)

const (
	// toolsVariable tells the test of the walkthrough which directory has the programs that its commands call, and registryVariable the host and
	// port of a registry from which the nodes pull.
	toolsVariable    = "E2E_KIND_TOOLS"
	registryVariable = "E2E_KIND_REGISTRY"

	registryImage = "taint-manager-e2e/registry:dev"
	registryPort  = "5000"
)

func (s *stage) registryName() string { return s.cluster.Name + "-registry" }

// buildTools makes Helm and the image of a registry, of the versions that their go.mod files pin.
func (s *stage) buildTools(ctx context.Context) error {
	if err := os.Mkdir(s.tools(), 0o755); err != nil {
		return err
	}
	client, err := helm.New(ctx, s.tools(), s.kubeconfig)
	if err != nil {
		return err
	}
	if err := os.Symlink(client.Path(), filepath.Join(s.tools(), "helm")); err != nil {
		return err
	}
	directory := filepath.Join(s.temporary, "registry")
	build := nodes.Command(ctx, "go", "build", "-C", "e2e/kind/tools", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w",
		"-o", filepath.Join(directory, "crane"), "github.com/google/go-containerregistry/cmd/crane")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the registry: %w: %s", err, out)
	}
	dockerfile := "FROM scratch\nCOPY crane /crane\nENTRYPOINT [\"/crane\", \"registry\", \"serve\", \"--address=:" + registryPort + "\"]\n"
	if err := os.WriteFile(filepath.Join(directory, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		return err
	}
	_, err = nodes.Run(ctx, nil, "docker", "build", "--quiet", "--tag", registryImage, directory)
	return err
}

func (s *stage) tools() string { return filepath.Join(s.temporary, "tools") }

// serveRegistry starts a registry in the network of the nodes. What this machine pushes to a port of its loopback, the nodes pull by the same
// name.
func (s *stage) serveRegistry(ctx context.Context) error {
	if err := s.removeRegistry(ctx); err != nil {
		return err
	}
	name := s.registryName()
	_, err := nodes.Run(ctx, nil, "docker", "run", "--detach", "--name", name, "--network", "kind", "--publish", "127.0.0.1::"+registryPort, registryImage)
	if err != nil {
		return err
	}
	published, err := nodes.Run(ctx, nil, "docker", "port", name, registryPort+"/tcp")
	if err != nil {
		return err
	}
	_, port, _ := strings.Cut(strings.TrimSpace(published), ":")
	registry := "localhost:" + port
	if err := s.cluster.Mirror(ctx, registry, "http://"+name+":"+registryPort); err != nil {
		return err
	}
	s.environment = append(s.environment, registryVariable+"="+registry, toolsVariable+"="+s.tools())
	return s.copyKubectl(ctx)
}

// copyKubectl takes the nodes' own kubectl, which has the cluster's version. Where that does not run on this machine, there has to be one.
func (s *stage) copyKubectl(ctx context.Context) error {
	if runtime.GOOS == "linux" {
		_, err := nodes.Run(ctx, nil, "docker", "cp", s.cluster.ControlPlane()+":/usr/bin/kubectl", filepath.Join(s.tools(), "kubectl"))
		return err
	}
	if _, err := exec.LookPath("kubectl"); err != nil {
		return fmt.Errorf("the walkthrough needs kubectl: %w", err)
	}
	return nil
}

func (s *stage) removeRegistry(ctx context.Context) error {
	_, err := nodes.Run(ctx, nil, "docker", "rm", "--force", "--volumes", s.registryName())
	return err
}
