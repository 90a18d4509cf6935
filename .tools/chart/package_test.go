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
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	registrytest "github.com/google/go-containerregistry/pkg/registry"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/registry"
)

// arguments are those of make, for a release.
func arguments(out string, more ...string) []string {
	return append([]string{
		"--chart", chartDir, "--out", out, "--version", "v1.2.3", "--tag", "v1.2.3", "--epoch", "1700000000",
		"--image", "registry.example.com/tm", "--plugin-image", "registry.example.com/doctor",
	}, more...)
}

// packageOnce runs the program, and returns the package and what was printed.
func packageOnce(t *testing.T, more ...string) (path, printed string) {
	t.Helper()
	out := t.TempDir()
	var stdout bytes.Buffer
	if err := run(arguments(out, more...), &stdout); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(out, "taint-manager-1.2.3.tgz"), stdout.String()
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestPackage looks at what is in a package.
func TestPackage(t *testing.T) {
	path, _ := packageOnce(t)
	chart, err := loader.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if chart.Metadata.Version != "1.2.3" || chart.Metadata.AppVersion != "v1.2.3" {
		t.Errorf("version %s, appVersion %s", chart.Metadata.Version, chart.Metadata.AppVersion)
	}
	const images = "- image: registry.example.com/tm:v1.2.3\n  name: taint-manager\n- image: registry.example.com/doctor:v1.2.3\n  name: kubectl-taint-manager\n"
	if got := chart.Metadata.Annotations["artifacthub.io/images"]; got != images {
		t.Errorf("artifacthub.io/images is\n%swant\n%s", got, images)
	}
	for _, file := range []struct{ name, has string }{
		{"values.yaml", "\n  repository: registry.example.com/tm\n"},
		{"values.yaml", "\n    repository: registry.example.com/doctor\n"},
		{"values-production.yaml", "maxNodes: 30%"},
		{"README.md", "](https://github.com/taint-manager/taint-manager/blob/main/manifests/README.md#switching-over-from-the-built-in-controller-and-back)"},
		{"README.md", "](https://github.com/taint-manager/taint-manager/blob/main/cmd/kubectl-taint_manager/README.md#doctor-is-it-set-up-right)"},
	} {
		i := slices.IndexFunc(chart.Raw, func(f *common.File) bool { return f.Name == file.name })
		if i < 0 || !strings.Contains(string(chart.Raw[i].Data), file.has) {
			t.Errorf("%s is missing, or has no %q", file.name, file.has)
		}
	}
	lint := action.NewLint()
	lint.Strict = true
	if result := lint.Run([]string{path}, nil); len(result.Errors) > 0 || result.TotalChartsLinted != 1 {
		t.Errorf("helm lint --strict: %v", result.Errors)
	}
}

// TestPackageIsReproducible packages a copy of the chart, whose files are of another time, at another place and in another time zone.
func TestPackageIsReproducible(t *testing.T) {
	first, _ := packageOnce(t)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(chartDir)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TZ", "Asia/Tokyo")
	second, _ := packageOnce(t, "--chart", copied)
	if !bytes.Equal(mustRead(t, first), mustRead(t, second)) {
		t.Error("a second package differs")
	}
	info, err := os.Stat(second)
	if want := time.Unix(1700000000, 0); err != nil || !info.ModTime().Equal(want) {
		t.Errorf("the package is of %v, want %s (%v)", info.ModTime(), want, err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(mustRead(t, first)))
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for archive := tar.NewReader(unzipped); ; files++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(time.Unix(1700000000, 0)) || header.Mode != 0o644 {
			t.Errorf("%s is of %s, with mode %o", header.Name, header.ModTime, header.Mode)
		}
	}
	if files < 20 {
		t.Errorf("%d files in the package", files)
	}
}

// TestPush pushes the chart to a registry on loopback, twice, and pulls it as Helm does.
func TestPush(t *testing.T) {
	// Credentials of whoever runs this are not looked at.
	t.Setenv("HELM_CONFIG_HOME", t.TempDir())
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	server := httptest.NewServer(registrytest.New(registrytest.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")

	path, printed := packageOnce(t, "--push", "oci://"+host+"/some/charts")
	_, again := packageOnce(t, "--push", host+"/some/charts/")
	line := func(printed string) string { return strings.Split(printed, "\n")[1] }
	if line(printed) != line(again) {
		t.Errorf("the first time it printed\n%s\nand the second time\n%s", printed, again)
	}
	client, err := registry.NewClient(registry.ClientOptPlainHTTP())
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := client.Pull(host + "/some/charts/taint-manager:1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pulled.Chart.Data, mustRead(t, path)) {
		t.Error("what is pulled is not what was packaged")
	}
	want := "Pushed oci://" + host + "/some/charts/taint-manager:1.2.3@" + pulled.Manifest.Digest
	if line(printed) != want {
		t.Errorf("printed\n%s\nwant\n%s", line(printed), want)
	}
	install := "Install it: helm install taint-manager oci://" + host + "/some/charts/taint-manager --version 1.2.3 --namespace kube-system --plain-http"
	if lines := strings.Split(printed, "\n"); lines[2] != install {
		t.Errorf("printed\n%s\nwant\n%s", lines[2], install)
	}
	if !strings.Contains(string(pulled.Manifest.Data), `"org.opencontainers.image.created":"2023-11-14T22:13:20Z"`) {
		t.Errorf("the artifact has another time than its source: %s", pulled.Manifest.Data)
	}
}

func TestVersion(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "0.0.0-dev"},
		{"--tag v1", "1.0.0"},
		{"--tag v1.2.3 --version v9.9.9", "1.2.3"},
		{"--tag dev --version v0.1.0-12-gabcdef0-dirty", "0.1.0-12-gabcdef0-dirty"},
	} {
		if got, err := parse(strings.Fields(c.args)); err != nil || got.source.version != c.want {
			t.Errorf("%s: the version is %s, want %s (%v)", c.args, got.source.version, c.want, err)
		}
	}
}

func TestFailures(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--tag latest --version main", `neither TAG, "latest", nor VERSION, "main", is a semantic version, such as v1.2.3`},
		{"--epoch yesterday", "SOURCE_DATE_EPOCH"},
		{"--chart /nowhere", "load the chart in /nowhere"},
		// Nobody listens there: the error says what to do.
		{"--push 127.0.0.1:1/charts", "docker login"},
	} {
		err := run(append(arguments(t.TempDir()), strings.Fields(c.args)...), io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.args, err, c.want)
		}
	}
}

// TestLint runs helm lint --strict with the values of each file of the chart.
func TestLint(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(chartDir, "values*.yaml"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%d files of values: %v", len(files), err)
	}
	for _, file := range files {
		values, err := loader.LoadValues(bytes.NewReader(mustRead(t, file)))
		if err != nil {
			t.Fatal(err)
		}
		lint := action.NewLint()
		lint.Strict = true
		if result := lint.Run([]string{chartDir}, values); len(result.Errors) > 0 || result.TotalChartsLinted != 1 {
			t.Errorf("%s: %v", file, result.Errors)
		}
	}
}

// TestCRD compares the chart's CustomResourceDefinition with the one that controller-gen writes.
func TestCRD(t *testing.T) {
	const file = "policy.taint-manager.io_taintevictionpolicies.yaml"
	if !bytes.Equal(mustRead(t, filepath.Join(chartDir, "files", file)), mustRead(t, filepath.Join(root, "manifests/crd", file))) {
		t.Errorf("%s/files/%s is not that of manifests/crd: run make generate", chartDir, file)
	}
}
