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
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	utilversion "k8s.io/apimachinery/pkg/util/version"
)

// recipe makes the file of a program, at a path.
type recipe func(ctx context.Context, b *builder, path string) error

func recipeFor(program Program) (recipe, error) {
	compile := func(verb, pkg string, more ...string) recipe {
		return func(ctx context.Context, b *builder, path string) error {
			return b.compile(ctx, program, path, verb, pkg, more...)
		}
	}
	switch program {
	case Etcd:
		return compile("build", "go.etcd.io/etcd/server/v3"), nil
	case APIServer, ControllerManager, Scheduler, Kubectl:
		return compile("build", "k8s.io/kubernetes/cmd/"+string(program)), nil
	case Kwok:
		return compile("build", "sigs.k8s.io/kwok/cmd/kwok"), nil
	case taintManager:
		return compile("build", modulePath+"/cmd/taint-manager"), nil
	case E2ETest:
		return compile("test", "k8s.io/kubernetes/test/e2e", "-c"), nil
	case kwokStages:
		return collectStages, nil
	default:
		return nil, fmt.Errorf("no such program: %q", program)
	}
}

// builder fills one directory of the cache.
type builder struct {
	servers  string // the module
	cache    string // the directory
	flags    []string
	label    string // what progress says after a program's name
	progress io.Writer
	// prepare, if not nil, makes the module before the first program is built.
	prepare func(context.Context) error
}

func newBuilder(ctx context.Context, progress io.Writer) (*builder, error) {
	servers, err := workingServers()
	if err != nil {
		return nil, err
	}
	b := &builder{servers: servers, progress: progress}
	version, err := kubernetesVersion(servers)
	if err != nil {
		return nil, err
	}
	b.flags = buildFlags(version)
	goVersion, err := b.goVersion(ctx)
	if err != nil {
		return nil, err
	}
	key, err := cacheKey(servers, strings.Join(b.flags, " "), goVersion)
	if err != nil {
		return nil, err
	}
	caches, err := cacheDir()
	if err != nil {
		return nil, err
	}
	b.cache = filepath.Join(caches, key)
	return b, nil
}

// cacheDir returns the directory that has one for each state of the servers.
func cacheDir() (string, error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("looking for a directory to keep the servers in: %w", err)
	}
	return filepath.Join(caches, "taint-manager", "controlplane"), nil
}

// goVersion returns what of the toolchain decides what a build gives.
func (b *builder) goVersion(ctx context.Context) (string, error) {
	out, err := b.goCommand(ctx, "env", "GOVERSION", "GOOS", "GOARCH", "GOEXPERIMENT").Output()
	if err != nil {
		return "", fmt.Errorf("asking the Go toolchain for its version: %w", complaint(err))
	}
	return string(out), nil
}

// complaint adds to the error of a command that has failed what the command had to say about it.
func complaint(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w\n%s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}

// buildFlags stamps the version into the programs, which otherwise report none. The flags change only how they are
// linked, so that packages already compiled for another version of these flags are used again.
func buildFlags(version *utilversion.Version) []string {
	ld := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, variable := range []string{
			fmt.Sprintf("gitVersion=v%s", version), fmt.Sprintf("gitMajor=%d", version.Major()),
			fmt.Sprintf("gitMinor=%d", version.Minor()), "gitTreeState=clean",
			"buildDate=1970-01-01T00:00:00Z", // a true one would make each build another program
		} {
			ld = append(ld, "-X="+pkg+"."+variable)
		}
	}
	return []string{"-buildvcs=false", "-ldflags=" + strings.Join(ld, " ")}
}

// goCommand runs the Go toolchain in the servers' module.
func (b *builder) goCommand(ctx context.Context, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", arguments...)
	cmd.Dir = b.servers
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	// The go command ends its compilers when it is interrupted, and leaves them when it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func (b *builder) path(program Program) string { return filepath.Join(b.cache, string(program)) }

func (b *builder) missing(programs []Program) []Program {
	return slices.DeleteFunc(slices.Clone(programs), func(program Program) bool { return isFile(b.path(program)) })
}

// ensure builds what the cache lacks.
func (b *builder) ensure(ctx context.Context, programs []Program) error {
	if len(b.missing(programs)) == 0 {
		return nil
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return fmt.Errorf("directory to keep the servers in: %w", err)
	}
	unlock, err := lockFile(ctx, filepath.Join(b.cache, "lock"), func() {
		fmt.Fprintln(b.progress, "control plane: another process builds the servers, waiting for it")
	})
	if err != nil {
		return err
	}
	defer unlock()
	missing := b.missing(programs) // asked again: whom we waited for may have built them
	if len(missing) > 0 && b.prepare != nil {
		if err := b.prepare(ctx); err != nil {
			return err
		}
	}
	for _, program := range missing {
		if err := b.build(ctx, program); err != nil {
			return fmt.Errorf("building %s: %w", program, err)
		}
	}
	return nil
}

// build makes a program under another name first, so that one under its own name is always complete. The lock is held,
// so a file of that other name is left over from a build that was cut off.
func (b *builder) build(ctx context.Context, program Program) error {
	cook, err := recipeFor(program)
	if err != nil {
		return err
	}
	unfinished := b.path(program) + ".unfinished"
	if err := cook(ctx, b, unfinished); err != nil {
		return errors.Join(err, removeIfThere(unfinished))
	}
	if err := os.Rename(unfinished, b.path(program)); err != nil {
		return fmt.Errorf("keeping it: %w", err)
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing what is unfinished: %w", err)
	}
	return nil
}

// compile runs "go build" or "go test" for one package.
func (b *builder) compile(
	ctx context.Context, program Program, path, verb, pkg string, more ...string,
) error {
	arguments := slices.Concat([]string{verb, "-v", "-o", path}, more, b.flags, []string{pkg})
	cmd := b.goCommand(ctx, arguments...)
	meter := newMeter(b.progress, string(program)+b.label)
	cmd.Stdout, cmd.Stderr = meter, meter
	stop := meter.start()
	err := cmd.Run()
	stop()
	if err != nil {
		return fmt.Errorf("go %s: %w\n%s", verb, err, meter.complaints())
	}
	meter.finish()
	return nil
}

// collectStages joins the stages that kwok's sources offer for a quick and healthy cluster into one file.
func collectStages(ctx context.Context, b *builder, path string) error {
	out, err := b.goCommand(ctx, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok").Output()
	if err != nil {
		return fmt.Errorf("looking for kwok's sources: %w", err)
	}
	dir := strings.TrimSpace(string(out))
	var joined []byte
	for _, stage := range []string{
		"node/fast/node-initialize", "node/heartbeat-with-lease/node-heartbeat-with-lease",
		"pod/fast/pod-ready", "pod/fast/pod-complete", "pod/fast/pod-delete",
	} {
		data, err := os.ReadFile(filepath.Join(dir, "kustomize", "stage", filepath.FromSlash(stage)+".yaml"))
		if err != nil {
			return fmt.Errorf("kwok's stages: %w", err)
		}
		joined = slices.Concat(joined, []byte("---\n"), data, []byte("\n"))
	}
	if err := os.WriteFile(path, joined, 0o644); err != nil {
		return fmt.Errorf("kwok's stages: %w", err)
	}
	return nil
}
