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
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	utilversion "k8s.io/apimachinery/pkg/util/version"
)

// Program names a program by the file name that it usually has.
type Program string

// The programs that the module "servers" pins.
const (
	Etcd              Program = "etcd"
	APIServer         Program = "kube-apiserver"
	ControllerManager Program = "kube-controller-manager"
	Scheduler         Program = "kube-scheduler"
	Kwok              Program = "kwok"
	Kubectl           Program = "kubectl"

	// E2ETest is upstream's own suite of end-to-end tests, as a test binary. It takes minutes to build.
	E2ETest Program = "e2e.test"

	// kwokStages is no program: what kwok has nodes and pods do, which comes with its sources and not in its binary.
	kwokStages Program = "kwok-stages.yaml"
)

// AssetsVariable names the environment variable with a directory of ready programs, which go before ours.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// modulePath is the module that this package is part of.
const modulePath = "github.com/taint-manager/taint-manager"

// Binaries returns the paths of the programs. Those that $KUBEBUILDER_ASSETS does not hold come from the user's cache,
// and those that are not there are built first, which takes minutes when the Go build cache is cold: progress then
// receives a line every few seconds.
func Binaries(ctx context.Context, progress io.Writer, programs ...Program) (map[Program]string, error) {
	if progress == nil {
		progress = io.Discard
	}
	if slices.Contains(programs, Kwok) {
		programs = append(slices.Clone(programs), kwokStages)
	}
	found := make(map[Program]string, len(programs))
	var rest []Program
	for _, program := range programs {
		if _, err := recipeFor(program); err != nil {
			return nil, err
		}
		if path := inAssets(program); path != "" {
			found[program] = path
		} else {
			rest = append(rest, program)
		}
	}
	if len(rest) == 0 {
		return found, nil
	}
	b, err := newBuilder(ctx, progress)
	if err != nil {
		return nil, fmt.Errorf("%s not found in $%s, and building it is not possible: %w",
			join(rest), AssetsVariable, err)
	}
	if err := b.ensure(ctx, rest); err != nil {
		return nil, err
	}
	for _, program := range rest {
		found[program] = b.path(program)
	}
	return found, nil
}

func join(programs []Program) string {
	names := make([]string, len(programs))
	for i, program := range programs {
		names[i] = string(program)
	}
	return strings.Join(names, ", ")
}

// inAssets is the path of a program that the environment offers, or "".
func inAssets(program Program) string {
	dir := os.Getenv(AssetsVariable)
	if dir == "" {
		return ""
	}
	path := filepath.Join(dir, string(program))
	if !isFile(path) {
		return ""
	}
	return path
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// workingServers returns the directory of the module "servers", of the checkout that we are in.
func workingServers() (string, error) {
	working, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("looking for the servers' module: %w", err)
	}
	return findServers(working)
}

// findServers returns the directory of the module "servers", for any directory of this repository to start from.
func findServers(start string) (string, error) {
	declaration := regexp.MustCompile(`(?m)^module\s+` + regexp.QuoteMeta(modulePath) + `\s*$`)
	for dir := start; ; dir = filepath.Dir(dir) {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("looking for the servers' module: %w", err)
		}
		if declaration.Match(data) {
			servers := filepath.Join(dir, "e2e", "framework", "controlplane", "servers")
			if !isFile(filepath.Join(servers, "go.mod")) {
				return "", fmt.Errorf("looking for the servers' module: %s has no go.mod", servers)
			}
			return servers, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("looking for the servers' module: %s is not in a checkout of %s", start, modulePath)
		}
	}
}

// cacheKey is the same as long as a build would give the same programs. It reads the go.mod of the servers, so whoever changes
// as much as the name of that module makes everybody build them again.
func cacheKey(servers string, inputs ...string) (string, error) {
	var files strings.Builder
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(servers, name))
		if err != nil {
			return "", fmt.Errorf("reading the servers' module: %w", err)
		}
		fmt.Fprintf(&files, "%s %d\n%s", name, len(data), data)
	}
	return hash(files.String(), inputs...), nil
}

// hash returns a name for files and what else decides what is made of them.
func hash(files string, inputs ...string) string {
	sum := sha256.New()
	_, _ = io.WriteString(sum, files) // a hash takes everything
	for _, input := range inputs {
		fmt.Fprintf(sum, "%d %s\n", len(input), input)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// kubernetesVersion returns what the module "servers" requires of k8s.io/kubernetes.
func kubernetesVersion(servers string) (*utilversion.Version, error) {
	data, err := os.ReadFile(filepath.Join(servers, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("reading the servers' module: %w", err)
	}
	m := regexp.MustCompile(`(?m)^\s*(?:require\s+)?k8s\.io/kubernetes\s+(v\S+)`).FindSubmatch(data)
	if m == nil {
		return nil, fmt.Errorf("%s/go.mod does not require k8s.io/kubernetes", servers)
	}
	return ParseVersion(string(m[1]))
}
