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
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	utilversion "k8s.io/apimachinery/pkg/util/version"
)

const kubernetesModule = "k8s.io/kubernetes"

// VersionParts are the programs of a control plane that come from Kubernetes itself. Etcd and kwok are the same for all versions.
func VersionParts() []Program { return []Program{APIServer, ControllerManager, Scheduler} }

// ParseVersion returns the released version of Kubernetes that the text names, as "1.29.15" or "v1.29.15".
func ParseVersion(text string) (*utilversion.Version, error) {
	version, err := utilversion.ParseSemantic(text)
	if err != nil {
		return nil, fmt.Errorf("a version of Kubernetes is written as 1.29.15: %w", err)
	}
	if version.Major() != 1 || version.PreRelease() != "" || version.BuildMetadata() != "" {
		return nil, fmt.Errorf("a version of Kubernetes is written as 1.29.15: %q is no release of it", text)
	}
	return version, nil
}

// PinnedVersion returns the version of Kubernetes that the module "servers" pins.
func PinnedVersion() (*utilversion.Version, error) {
	servers, err := workingServers()
	if err != nil {
		return nil, err
	}
	return kubernetesVersion(servers)
}

// VersionAssets returns a directory with VersionParts of a version of Kubernetes, for $KUBEBUILDER_ASSETS. They are built at
// the first call, as Binaries builds those of the pinned version.
func VersionAssets(ctx context.Context, progress io.Writer, version *utilversion.Version) (string, error) {
	if progress == nil {
		progress = io.Discard
	}
	pinned, err := PinnedVersion()
	if err != nil {
		return "", err
	}
	newBuilder := newBuilder
	if !version.EqualTo(pinned) {
		newBuilder = func(ctx context.Context, progress io.Writer) (*builder, error) {
			return newVersionBuilder(ctx, progress, version)
		}
	}
	b, err := newBuilder(ctx, progress)
	if err != nil {
		return "", err
	}
	return b.cache, b.ensure(ctx, VersionParts())
}

// newVersionBuilder returns a builder whose module it makes itself, in the directory of the programs. A released version does
// not change, so the flags, which name it, and the toolchain tell the programs apart.
func newVersionBuilder(ctx context.Context, progress io.Writer, version *utilversion.Version) (*builder, error) {
	caches, err := cacheDir()
	if err != nil {
		return nil, err
	}
	// The build completes the module with what upstream's requires, and takes the sums from the checksum database.
	b := &builder{progress: progress, label: " " + version.String(), flags: append(buildFlags(version), "-mod=mod")}
	goVersion, err := b.goVersion(ctx)
	if err != nil {
		return nil, err
	}
	b.cache = filepath.Join(caches, "v"+version.String()+"-"+hash("", strings.Join(b.flags, " "), goVersion))
	b.servers = filepath.Join(b.cache, "module")
	b.prepare = func(ctx context.Context) error { return b.makeModule(ctx, version) }
	return b, nil
}

// makeModule writes the go.mod of a module that builds Kubernetes as released.
func (b *builder) makeModule(ctx context.Context, version *utilversion.Version) error {
	if err := os.MkdirAll(b.servers, 0o755); err != nil {
		return fmt.Errorf("directory of the module: %w", err)
	}
	fmt.Fprintf(b.progress, "control plane: downloading Kubernetes%s\n", b.label)
	upstream, err := b.download(ctx, kubernetesModule+"@v"+version.String())
	if err != nil {
		return err
	}
	out, err := b.goCommand(ctx, "mod", "edit", "-json", upstream).Output()
	if err != nil {
		return fmt.Errorf("reading the go.mod of Kubernetes%s: %w", b.label, complaint(err))
	}
	var mod goMod
	if err := json.Unmarshal(out, &mod); err != nil {
		return fmt.Errorf("reading the go.mod of Kubernetes%s: %w", b.label, err)
	}
	if err := os.WriteFile(filepath.Join(b.servers, "go.mod"), []byte(mod.wrapper(version)), 0o644); err != nil {
		return fmt.Errorf("writing the module: %w", err)
	}
	return nil
}

// download fetches a module, and returns the path of its go.mod.
func (b *builder) download(ctx context.Context, module string) (string, error) {
	out, err := b.goCommand(ctx, "mod", "download", "-json", module).Output()
	var answer struct{ GoMod, Error string }
	if jsonErr := json.Unmarshal(out, &answer); jsonErr == nil && answer.Error != "" {
		return "", fmt.Errorf("downloading %s: %s", module, answer.Error)
	}
	if err != nil {
		return "", fmt.Errorf("downloading %s: %w", module, complaint(err))
	}
	return answer.GoMod, nil
}

// goMod is what "go mod edit -json" says of a go.mod, as far as the module that builds it has to repeat it: of a module that
// is required, replacements and settings do not count.
type goMod struct {
	Go      string
	GoDebug []struct{ Key, Value string }
	Require []goModule
	Exclude []goModule
	Replace []struct{ Old, New goModule }
}

type goModule struct{ Path, Version string }

func (m goModule) String() string { return strings.TrimSpace(m.Path + " " + m.Version) }

// unreleased is the version by which Kubernetes requires the modules of its own source tree. They are published as v0.N.P.
const unreleased = "v0.0.0"

// wrapper returns a go.mod that requires Kubernetes and nothing else, with the modules of its source tree as published. The
// requirements of Kubernetes' own are complete and decide the versions of the rest.
func (m *goMod) wrapper(version *utilversion.Version) string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("module %s/e2e/framework/controlplane/kubernetes", modulePath)
	line("go %s", m.Go)
	for _, setting := range m.GoDebug {
		line("godebug %s=%s", setting.Key, setting.Value)
	}
	line("require %s v%s", kubernetesModule, version)
	for _, module := range m.Exclude {
		line("exclude %s", module)
	}
	published := fmt.Sprintf("v0.%d.%d", version.Minor(), version.Patch())
	for _, module := range m.Require {
		if module.Version == unreleased && strings.HasPrefix(module.Path, "k8s.io/") {
			line("replace %s => %s %s", module.Path, module.Path, published)
		}
	}
	for _, replace := range m.Replace {
		if !strings.HasPrefix(replace.New.Path, "./") {
			line("replace %s => %s", replace.Old, replace.New)
		}
	}
	return text.String()
}

// BinaryVersion asks a program of Kubernetes for its version.
func BinaryVersion(ctx context.Context, path string) (*utilversion.Version, error) {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("asking %s for its version: %w", path, complaint(err))
	}
	version, err := ParseVersion(strings.TrimPrefix(strings.TrimSpace(string(out)), "Kubernetes "))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return version, nil
}

// Lack is what tests need of an API server and its version does not offer by default.
type Lack struct {
	// What says what it is, and what is done about it.
	What string
	// Args are the flags of the API server that make it offer that.
	Args []string
}

// Lacks returns what an API server of the version lacks.
func Lacks(version *utilversion.Version) []Lack {
	if !policiesAreBeta(version) {
		return nil
	}
	return []Lack{{
		What: "ValidatingAdmissionPolicy is beta and off by default; switched on",
		Args: []string{"--feature-gates=ValidatingAdmissionPolicy=true", "--runtime-config=" + PolicyAPI(version) + "=true"},
	}}
}

// PolicyAPI returns the group and version of ValidatingAdmissionPolicy that an API server of the version serves.
func PolicyAPI(version *utilversion.Version) string {
	if policiesAreBeta(version) {
		return "admissionregistration.k8s.io/v1beta1"
	}
	return "admissionregistration.k8s.io/v1"
}

func policiesAreBeta(version *utilversion.Version) bool { return version.Minor() < 30 }
