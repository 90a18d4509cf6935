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
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// serve serves a directory as the page does from which a release is downloaded. It returns the URL for --downloads.
func serve(t *testing.T, directory string) string {
	t.Helper()
	server := httptest.NewServer(http.StripPrefix("/download/"+version+"/", http.FileServer(http.Dir(directory))))
	t.Cleanup(server.Close)
	return server.URL + "/download"
}

// binaries returns a directory with kubectl, krew and the validator of manifests that krew's index uses.
func binaries(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	self, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(self, filepath.Join(bin, "kubectl")))
	for program, path := range map[string]string{
		"kubectl-krew":           "sigs.k8s.io/krew/cmd/krew",
		"validate-krew-manifest": "sigs.k8s.io/krew/cmd/validate-krew-manifest",
	} {
		_, err := command(t.Context(), ".", nil, "go", "build", "-o", filepath.Join(bin, program), path)
		must(t, err)
	}
	return bin
}

// testKrew has the validator install the plugin for each platform, as krew's index does with what it is sent, and uses it where it runs.
func testKrew(t *testing.T, out, bin string) {
	manifest := filepath.Join(out, "taint-manager.yaml")
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	output, err := exec.CommandContext(t.Context(), "validate-krew-manifest", "-manifest", manifest).CombinedOutput()
	if err != nil || !strings.Contains(string(output), "all 6 spec.platforms installed fine") {
		t.Fatalf("validate-krew-manifest: %v\n%s", err, output)
	}

	krew := t.TempDir()
	t.Setenv("KREW_ROOT", krew)
	t.Setenv("PATH", filepath.Join(krew, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"))
	archive := filepath.Join(out, "kubectl-taint_manager-v0.1.0-"+runtime.GOOS+"-"+runtime.GOARCH+".tar.gz")
	_, err = command(t.Context(), krew, nil, "kubectl", "krew", "install", "--manifest="+manifest, "--archive="+archive)
	must(t, err)
	for _, use := range []struct{ args, want string }{
		{"taint-manager --version", "kubectl taint-manager version v0.1.0 (git abc, clean, "},
		{"taint-manager plan --help", "kubectl taint-manager plan (NODE... | -l SELECTOR)"},
	} {
		output, err := command(t.Context(), krew, nil, "kubectl", strings.Fields(use.args)...)
		must(t, err)
		if !strings.Contains(output, use.want) {
			t.Errorf("kubectl %s: got\n%s\nwant %q", use.args, output, use.want)
		}
	}
	// As the caveats in the manifest say.
	store := filepath.Join(krew, "store/taint-manager", version)
	completer := filepath.Join(krew, "bin/kubectl_complete-taint_manager")
	must(t, copyFile(filepath.Join(store, "kubectl_complete-taint_manager"), completer))
	must(t, os.Chmod(completer, 0o755))
	for _, complete := range []struct {
		args []string
		want string
	}{
		{[]string{"pl"}, "plan\tSay what would become of the pods on nodes"},
		{[]string{"status", "--output", ""}, "\njson\n"},
		{[]string{"plan", "--sel"}, "--selector\t"},
	} {
		output, err := command(t.Context(), krew, nil, "kubectl", append([]string{"__complete", "taint-manager"}, complete.args...)...)
		must(t, err)
		if !strings.Contains(output, complete.want) {
			t.Errorf("completion of %q: got\n%s\nwant %q", complete.args, output, complete.want)
		}
	}
}
