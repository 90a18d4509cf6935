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

package plugin

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taint-manager/taint-manager/e2e/performance/load"
)

// maxMemory is how much memory a verb may take.
const maxMemory = 300 << 20

// TestMemoryOf150000Pods runs the verbs that read on a large cluster, and asks the kernel how much memory they took.
func TestMemoryOf150000Pods(t *testing.T) {
	calm, storm, policed := newCrowds(t)
	nodes := make([]string, 100)
	for i := range nodes {
		nodes[i] = load.NodeName(i)
	}
	pod := calm.pod(7)
	for _, test := range []struct {
		name   string
		server *crowd
		args   []string
		code   int
		want   string
	}{
		{"plan of a node", calm, []string{"plan", nodes[0], "--taint", keyA + ":NoExecute"}, 3, "Plan for node " + nodes[0]},
		{"plan of all nodes", calm, []string{"plan", "-l", "kubernetes.io/os=linux", "--taint", keyA + ":NoExecute"}, 3, "Plan for 1500 nodes"},
		{"plan of all nodes as JSON", calm, []string{"plan", "-l", "kubernetes.io/os=linux", "--taint", keyA + ":NoExecute", "-o", "json"}, 3, `"kind": "Plan"`},
		{"status of an outage", storm, []string{"status"}, 0, "Total:"},
		{"status of an outage as JSON", storm, []string{"status", "-o", "json"}, 0, `"kind": "Status"`},
		{"why in an outage", storm, []string{"why", pod.Name, "-n", pod.Namespace}, 0, "node.kubernetes.io/unreachable"},
		{"doctor in an outage", storm, []string{"doctor"}, 4, "Leader"},
		{"watch of 100 nodes in an outage", storm, append([]string{"watch", "--timeout", "60s"}, nodes...), 2, "timed out after 1m0s"},
		{"pause in an outage", policed, []string{"pause", "--include-node-conditions", "--dry-run", "client"}, 0, "pods on 1500 nodes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(test.server)
			defer server.Close()
			kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
			must(t, os.WriteFile(kubeconfig, fmt.Appendf(nil, "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q}}]\n"+
				"contexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n", server.URL), 0o600))
			cmd := exec.CommandContext(t.Context(), shared.plugin, append(test.args, "--kubeconfig", kubeconfig)...)
			var output bytes.Buffer
			cmd.Stdout, cmd.Stderr = &output, &output
			began := time.Now()
			must(t, cmd.Start())
			peak := peakOf(cmd.Process.Pid)
			err := cmd.Wait()
			memory, took := <-peak, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
			if cmd.ProcessState.ExitCode() != test.code {
				t.Fatalf("%v: %s", err, output.Bytes()[:min(output.Len(), 2000)])
			}
			t.Logf("%d pods on %d nodes: %d MiB, %s, of which %s of processor time; %d KiB of output", manyPods, manyNodes, memory>>20,
				time.Since(began).Round(100*time.Millisecond), took.Round(100*time.Millisecond), output.Len()>>10)
			if memory > maxMemory {
				t.Errorf("it took %d MiB, and may take %d", memory>>20, maxMemory>>20)
			}
			if !strings.Contains(output.String(), test.want) {
				t.Errorf("it says\n%s", output.Bytes()[:min(output.Len(), 2000)])
			}
		})
	}
}

// peakOf looks how much memory a process has at most until it ends. What the kernel says of it when it has ended counts the memory of this
// process as well, which is the larger one: it held that before it began to run the other program.
func peakOf(pid int) <-chan int {
	peak := make(chan int, 1)
	go func() {
		last := 0
		for ; ; time.Sleep(2 * time.Millisecond) {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			_, line, found := strings.Cut(string(status), "VmHWM:")
			if err != nil || !found { // it has ended
				peak <- last
				return
			}
			if kib, err := strconv.Atoi(strings.Fields(line)[0]); err == nil {
				last = kib << 10
			}
		}
	}()
	return peak
}
