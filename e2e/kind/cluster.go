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
	clusters, err := nodes.Run(ctx, nil, r.kind, "get", "clusters")
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(clusters), clusterName) {
		return nil
	}
	fmt.Printf("       deleting the cluster %s of an earlier run\n", clusterName)
	return r.deleteCluster(ctx)
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

func (r *run) createCluster(ctx context.Context) error {
	r.created = true
	arguments := []string{
		"create", "cluster", "--name", clusterName, "--config", "manifests/kind/cluster.yaml",
		"--kubeconfig", r.kubeconfig, "--wait", "120s",
	}
	if nodeImage := os.Getenv("KIND_IMAGE"); nodeImage != "" {
		arguments = append(arguments, "--image", nodeImage)
	}
	_, err := nodes.Run(ctx, nil, r.kind, arguments...)
	return err
}

func (r *run) loadImages(ctx context.Context) error {
	if _, err := nodes.Run(ctx, nil, r.kind, "load", "image-archive", "--name", clusterName, r.imageArchive()); err != nil {
		return err
	}
	_, err := nodes.Run(ctx, nil, r.kind, "load", "docker-image", "--name", clusterName, workloadImage)
	return err
}

func (r *run) deploy(ctx context.Context) error {
	if err := r.cluster.CopyManifests(ctx, filepath.Join(r.root, "manifests")); err != nil {
		return err
	}
	for _, directory := range []string{nodes.Manifest("crd"), nodes.Overlay("kind")} {
		if _, err := r.cluster.Kubectl(ctx, "apply", "-k", directory); err != nil {
			return err
		}
	}
	_, err := r.cluster.Kubectl(ctx, "-n", "kube-system", "rollout", "status", "deployment/taint-manager", "--timeout=120s")
	if err != nil {
		return fmt.Errorf("the Deployment is not complete after two minutes; the logs tell more: %w", err)
	}
	return nil
}

// connectPods lets pods of all nodes reach each other, and Services all of their pods.
func (r *run) connectPods(ctx context.Context) error {
	if _, err := r.cluster.Kubectl(ctx, "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s"); err != nil {
		return err
	}
	return r.cluster.ConnectPods(ctx)
}

// deleteCluster works on one whose nodes are paused, as a test leaves them that was killed.
func (r *run) deleteCluster(ctx context.Context) error {
	paused, err := nodes.Run(ctx, nil, "docker", "ps", "--quiet", "--filter", "status=paused",
		"--filter", "label=io.x-k8s.kind.cluster="+clusterName)
	if err != nil {
		return err
	}
	for _, container := range strings.Fields(paused) {
		if err := r.cluster.Unpause(ctx, container); err != nil {
			return err
		}
	}
	_, err = nodes.Run(ctx, nil, r.kind, "delete", "cluster", "--name", clusterName, "--kubeconfig", r.kubeconfig)
	return err
}

// exportLogs keeps the logs of nodes and pods, and Events. What cannot be had is said, and changes nothing else.
func (r *run) exportLogs(ctx context.Context) {
	err := r.step("export logs", func() error {
		_, err := nodes.Run(ctx, nil, r.kind, "export", "logs", logsDirectory, "--name", clusterName)
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return err
		}
		return r.exportObjects(ctx)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Printf("       logs are in %s\n", logsDirectory)
}

func (r *run) exportObjects(ctx context.Context) error {
	if err := os.MkdirAll(logsDirectory, 0o755); err != nil {
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
		text, err := r.cluster.Kubectl(ctx, arguments...)
		all = errors.Join(all, err, os.WriteFile(filepath.Join(logsDirectory, file), []byte(text), 0o600))
	}
	return all
}
