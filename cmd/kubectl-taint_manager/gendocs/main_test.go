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
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// documents writes all files as somebody with a home directory, and returns their content.
func documents(t *testing.T, home string) map[string]string {
	t.Helper()
	t.Setenv("HOME", home)
	out := t.TempDir()
	if err := write(out, "v1.2.3", time.Unix(1700000000, 0).UTC()); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(out), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(out, path))
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestFiles(t *testing.T) {
	files := documents(t, "/home/somebody")
	for path, want := range map[string]string{
		"man/kubectl-taint-manager.1": `.TH "KUBECTL-TAINT-MANAGER" "1" "Nov 2023" "taint-manager v1.2.3" "kubectl taint-manager"` + "\n",
		// What a verb is for, how it is called, a flag of its own, one of all verbs, and how it ends.
		"man/kubectl-taint-manager-plan.1":      "kubectl-taint-manager-plan - Say what would become of the pods on nodes if taints were added or removed\n",
		"man/kubectl-taint-manager-why.1":       "\\fBkubectl taint-manager why POD",
		"man/kubectl-taint-manager-pause.1":     "\\fB--include-node-conditions\\fP[=false]\n",
		"man/kubectl-taint-manager-watch.1":     "\\fB--cache-dir\\fP=\"$HOME/.kube/cache\"\n",
		"man/kubectl-taint-manager-doctor.1":    "Exit codes: ",
		"kubectl_complete-taint_manager":        "exec kubectl-taint_manager __complete \"$@\"\n",
		"kubectl_complete-taint_manager.cmd":    "@kubectl-taint_manager.exe __complete %*\r\n",
		"completion/kubectl-taint_manager.bash": "complete -o default -F __start_kubectl-taint_manager kubectl-taint_manager\n",
	} {
		if !strings.Contains(files[path], want) {
			t.Errorf("%s: got\n%s\nwant %q in it", path, files[path], want)
		}
	}
	for path, content := range files {
		if strings.Contains(content, "/home/somebody") {
			t.Errorf("%s names the home directory of who made it", path)
		}
	}
	if others := documents(t, "/home/other"); !maps.Equal(files, others) {
		t.Error("somebody else gets other files")
	}
}
