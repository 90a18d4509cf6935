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
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/kind/nodes"
)

// buildKind makes bin/kind of the version that tools/go.mod pins. It is run from there, and not by "go tool", because it
// stays with a cluster that is kept.
func (r *run) buildKind(ctx context.Context) error {
	_, err := nodes.Run(ctx, nil, "go", "build", "-C", "e2e/kind/tools", "-buildvcs=false", "-o", r.kind, "sigs.k8s.io/kind")
	return err
}

func (r *run) checkEngine(ctx context.Context) error {
	if _, err := nodes.Run(ctx, nil, "docker", "version"); err != nil {
		return fmt.Errorf("no Docker engine answers; start one: %w", err)
	}
	return nil
}

// buildImage makes the archive that is loaded, unless there is one.
func (r *run) buildImage(ctx context.Context) error {
	if os.Getenv("IMAGE_ARCHIVE") != "" {
		return nil
	}
	_, err := nodes.Run(ctx, nil, "make", "image", "IMAGE="+image, "TAG="+tag)
	return err
}

func (r *run) imageArchive() string {
	if archive := os.Getenv("IMAGE_ARCHIVE"); archive != "" {
		return archive
	}
	return filepath.Join("bin/image", "taint-manager-linux-"+runtime.GOARCH+".tar")
}

func (r *run) buildWorkload(ctx context.Context) error {
	directory := filepath.Join(r.temporary, "workload")
	if err := os.Mkdir(directory, 0o755); err != nil {
		return err
	}
	build := nodes.Command(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w",
		"-o", filepath.Join(directory, "workload"), "./e2e/kind/workload")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./e2e/kind/workload: %w: %s", err, out)
	}
	dockerfile := "FROM scratch\nCOPY workload /workload\nENTRYPOINT [\"/workload\"]\n"
	if err := os.WriteFile(filepath.Join(directory, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		return err
	}
	_, err := nodes.Run(ctx, nil, "docker", "build", "--quiet", "--tag", workloadImage, directory)
	return err
}

// create makes the cluster. One of an earlier run is deleted.
func (s *stage) create(ctx context.Context) error {
	clusters, err := nodes.Run(ctx, nil, s.kind, "get", "clusters")
	if err != nil {
		return err
	}
	s.created = true
	if slices.Contains(strings.Fields(clusters), s.cluster.Name) {
		fmt.Println("       deleting the cluster of an earlier run")
		if err := s.delete(ctx); err != nil {
			return err
		}
	}
	arguments := []string{
		"create", "cluster", "--name", s.cluster.Name, "--config", s.config, "--kubeconfig", s.kubeconfig, "--wait", "120s",
	}
	if nodeImage := os.Getenv("KIND_IMAGE"); nodeImage != "" {
		arguments = append(arguments, "--image", nodeImage)
	}
	_, err = nodes.Run(ctx, nil, s.kind, arguments...)
	return err
}

func (s *stage) loadImage(ctx context.Context) error {
	_, err := nodes.Run(ctx, nil, s.kind, "load", "image-archive", "--name", s.cluster.Name, s.imageArchive())
	return err
}

func (s *stage) loadWorkload(ctx context.Context) error {
	_, err := nodes.Run(ctx, nil, s.kind, "load", "docker-image", "--name", s.cluster.Name, workloadImage)
	return err
}

func (s *stage) deploy(ctx context.Context) error {
	if err := s.cluster.CopyManifests(ctx, filepath.Join(s.root, "manifests")); err != nil {
		return err
	}
	for _, directory := range []string{nodes.Manifest("crd"), nodes.Overlay("kind")} {
		if _, err := s.cluster.Kubectl(ctx, "apply", "-k", directory); err != nil {
			return err
		}
	}
	_, err := s.cluster.Kubectl(ctx, "-n", "kube-system", "rollout", "status", "deployment/taint-manager", "--timeout=120s")
	if err != nil {
		return fmt.Errorf("the Deployment is not complete after two minutes; the logs tell more: %w", err)
	}
	return nil
}

// connectPods lets pods of all nodes reach each other, and Services all of their pods.
func (s *stage) connectPods(ctx context.Context) error {
	if _, err := s.cluster.Kubectl(ctx, "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s"); err != nil {
		return err
	}
	return s.cluster.ConnectPods(ctx)
}

// delete works on one whose nodes are paused, as a test leaves them that was killed.
func (s *stage) delete(ctx context.Context) error {
	paused, err := nodes.Run(ctx, nil, "docker", "ps", "--quiet", "--filter", "status=paused",
		"--filter", "label=io.x-k8s.kind.cluster="+s.cluster.Name)
	if err != nil {
		return err
	}
	for _, container := range strings.Fields(paused) {
		if err := s.cluster.Unpause(ctx, container); err != nil {
			return err
		}
	}
	_, err = nodes.Run(ctx, nil, s.kind, "delete", "cluster", "--name", s.cluster.Name, "--kubeconfig", s.kubeconfig)
	return err
}

// exportLogs keeps the logs of nodes and pods, and Events. What cannot be had is said, and changes nothing else.
func (s *stage) exportLogs(ctx context.Context) {
	err := s.step("export logs", func() error {
		_, err := nodes.Run(ctx, nil, s.kind, "export", "logs", s.logs(), "--name", s.cluster.Name)
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return err
		}
		return s.exportObjects(ctx)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Printf("       logs are in %s\n", s.logs())
}

func (s *stage) exportObjects(ctx context.Context) error {
	if err := os.MkdirAll(s.logs(), 0o755); err != nil {
		return err
	}
	var all error
	for file, arguments := range map[string][]string{
		"taint-manager.log":      {"logs", "-n", "kube-system", "-l", selector, "--prefix", "--tail=-1"},
		"taint-manager-pods.txt": {"describe", "pods", "-A", "-l", selector},
		"events.txt":             {"get", "events", "-A", "--sort-by=.metadata.creationTimestamp"},
		"pods.txt":               {"get", "pods", "-A", "-o", "wide"},
		"nodes.txt":              {"describe", "nodes"},
	} {
		text, err := s.cluster.Kubectl(ctx, arguments...)
		all = errors.Join(all, err, os.WriteFile(filepath.Join(s.logs(), file), []byte(text), 0o600))
	}
	return all
}
