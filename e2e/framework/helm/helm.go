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

// Package helm runs Helm, of the version that .tools/chart pins, as an operator does: as a process, and with no files of the user's.
package helm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Client runs Helm, and shell commands that call it.
type Client struct {
	// path is the program, and dir has the files that it keeps.
	path, dir string
	// kubeconfig says which cluster.
	kubeconfig string
}

// New builds Helm, which takes minutes the first time and is in Go's cache afterwards. What it keeps is in the directory.
func New(ctx context.Context, dir, kubeconfig string) (*Client, error) {
	root, err := Root(ctx)
	if err != nil {
		return nil, err
	}
	output, err := exec.CommandContext(ctx, "go", "-C", filepath.Join(root, ".tools/chart"), "tool", "-n", "helm").CombinedOutput()
	path := strings.TrimSpace(string(output))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("building Helm: %w\n%s", err, output)
	}
	return &Client{path: path, dir: dir, kubeconfig: kubeconfig}, nil
}

// Path returns the program, for those who run it in another way.
func (c *Client) Path() string { return c.path }

// Root returns the top of the repository.
func Root(ctx context.Context) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("looking for the top of the repository: %w", err)
	}
	return strings.TrimSpace(string(output)), nil
}

// Run runs Helm, and returns what it printed. The error has that, too.
func (c *Client) Run(ctx context.Context, args ...string) (string, error) {
	return c.run(ctx, c.path, args...)
}

// Shell runs a command line as an operator types it, in which helm is this one.
func (c *Client) Shell(ctx context.Context, line string) (string, error) {
	return c.run(ctx, "bash", "-c", line)
}

func (c *Client) run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(),
		"PATH="+filepath.Dir(c.path)+string(os.PathListSeparator)+os.Getenv("PATH"), "KUBECONFIG="+c.kubeconfig,
		"HELM_CACHE_HOME="+filepath.Join(c.dir, "helm-cache"), "HELM_CONFIG_HOME="+filepath.Join(c.dir, "helm-config"), "HELM_DATA_HOME="+filepath.Join(c.dir, "helm-data"))
	output, err := cmd.CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, output)
	}
	return string(output), nil
}
