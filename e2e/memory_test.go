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

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// limitedCgroup makes a cgroup, of v1 or v2, with a limit of memory, and one without in it, whose directory it returns. The test is
// skipped where that is not allowed.
func limitedCgroup(t *testing.T, limit int) string {
	t.Helper()
	root, file := "/sys/fs/cgroup", "memory.max"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil { // v1
		root, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
	}
	outer := filepath.Join(root, fmt.Sprint("taint-manager-test-", os.Getpid()))
	inner := filepath.Join(outer, "inner")
	for _, dir := range []string{outer, inner} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Skipf("no cgroup can be made: %v", err)
		}
		t.Cleanup(func() { // those that were made last go first
			if err := os.Remove(dir); err != nil {
				t.Errorf("removing a cgroup: %v", err)
			}
		})
	}
	if err := os.WriteFile(filepath.Join(outer, file), fmt.Append(nil, limit), 0); err != nil {
		t.Skipf("no cgroup can be limited: %v", err)
	}
	return inner
}

// TestSoftMemoryLimit reads from the log which limit the process has found: that of a cgroup above its own, or GOMEMLIMIT.
func TestSoftMemoryLimit(t *testing.T) {
	suite.OursOnly(t, "about our own log")
	cgroup := limitedCgroup(t, 300<<20)
	nowhere := filepath.Join(t.TempDir(), "kubeconfig")
	config := clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"nowhere": {Server: "http://127.0.0.1:1"}},
		Contexts: map[string]*clientcmdapi.Context{"nowhere": {Cluster: "nowhere"}}, CurrentContext: "nowhere",
	}
	if err := clientcmd.WriteToFile(config, nowhere); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ environment, want string }{
		{"", `"Soft memory limit" bytes=283115520 source="cgroup"`},
		{"GOMEMLIMIT=200MiB", `"Soft memory limit" bytes=209715200 source="GOMEMLIMIT"`},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // no API server is there: it would try for ever
		defer cancel()
		cmd := exec.CommandContext(ctx, "sh", "-c", `echo $$ >"$0" && exec "$@"`,
			filepath.Join(cgroup, "cgroup.procs"), suite.Binary(t), "--kubeconfig="+nowhere, "--bind-address=127.0.0.1", "--secure-port=0")
		cmd.Env = append(os.Environ(), test.environment)
		output, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(output), test.want) {
			t.Errorf("with %q: %v, and no line with %s:\n%s", test.environment, err, test.want, output)
		}
	}
}
