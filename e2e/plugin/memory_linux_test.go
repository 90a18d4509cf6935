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
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/taint-manager/taint-manager/e2e/performance/load"
)

const (
	manyPods, manyNodes = 150_000, 1_500
	maxMemory           = 300 << 20
)

// crowd is an API server that has many nodes and pods, and makes each page when it is asked for.
type crowd struct {
	load.Cluster
	encoder runtime.Encoder
}

func (c crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil && (r.URL.Path == "/api/v1/pods" || r.URL.Path == "/api/v1/nodes") {
		http.Error(w, "a list without a limit", http.StatusBadRequest)
		return
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue")) // none: from the beginning
	page := func(all int) (to int, meta metav1.ListMeta) {
		meta.ResourceVersion = "1"
		if to = min(from+limit, all); to < all {
			meta.Continue = strconv.Itoa(to)
		}
		return to, meta
	}
	var list runtime.Object
	switch r.URL.Path {
	case "/api/v1/pods":
		pods := &corev1.PodList{}
		to, meta := page(manyPods)
		for pods.ListMeta = meta; from < to; from++ {
			pods.Items = append(pods.Items, *c.Pod(from, 1, c.Began))
		}
		list = pods
	case "/api/v1/nodes":
		nodes := &corev1.NodeList{}
		to, meta := page(manyNodes)
		for nodes.ListMeta = meta; from < to; from++ {
			nodes.Items = append(nodes.Items, *c.Node(from, 1, c.Began))
		}
		list = nodes
	case "/apis/policy/v1/poddisruptionbudgets":
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		fmt.Fprint(w, `{"kind":"PodDisruptionBudgetList","apiVersion":"policy/v1","metadata":{},"items":[]}`)
		return
	default:
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		return
	}
	w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
	if err := c.encoder.Encode(list, w); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// TestMemoryOf150000Pods runs plan, which reads all pods of the cluster, and asks the kernel how much memory it took.
func TestMemoryOf150000Pods(t *testing.T) {
	info, ok := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
	if !ok {
		t.Fatal("no protobuf")
	}
	server := httptest.NewServer(crowd{load.Cluster{Nodes: manyNodes, Pods: manyPods, Began: time.Now().Add(-time.Hour)}, scheme.Codecs.EncoderForVersion(info.Serializer, corev1.SchemeGroupVersion)})
	defer server.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(kubeconfig, fmt.Appendf(nil, "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q}}]\n"+
		"contexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n", server.URL), 0o600))
	cmd := exec.CommandContext(t.Context(), shared.plugin, "--kubeconfig", kubeconfig, "plan", load.NodeName(0), "--taint", keyA+":NoExecute")
	began := time.Now()
	output, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 3 {
		t.Fatalf("%v: %s", err, output)
	}
	memory := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	t.Logf("%d pods on %d nodes: %d MiB, %v", manyPods, manyNodes, memory>>20, time.Since(began).Round(100*time.Millisecond))
	if memory > maxMemory {
		t.Errorf("it took %d MiB, and may take %d", memory>>20, maxMemory>>20)
	}
	if !strings.Contains(string(output), "Plan for node") {
		t.Errorf("it says\n%s", output)
	}
}
