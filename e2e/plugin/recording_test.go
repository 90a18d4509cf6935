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
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

// recordingFile is where the recording is shown from, with another ending for each format.
const recordingFile = "../../cmd/kubectl-taint_manager/recording"

// typing has a shell type each of its arguments, run it, and give a reader time.
const typing = `for command; do
  printf '\033[1;32m$\033[0m '; sleep 1
  for (( i = 0; i < ${#command}; i++ )); do printf %s "${command:i:1}"; sleep 0.03; done
  sleep 0.5; echo
  eval "$command"; code=$?
  sleep 3
done
exit $code`

// TestRecording has kubectl plan, taint and watch on a terminal, and looks at each picture. With -update the recording is written for the README.
func TestRecording(t *testing.T) {
	const node = "worker-2"
	w, ctx := shared, t.Context()
	programs, err := controlplane.Binaries(ctx, os.Stderr, controlplane.Kubectl)
	must(t, err)
	commands := t.TempDir()
	must(t, errors.Join(os.Symlink(programs[controlplane.Kubectl], filepath.Join(commands, "kubectl")),
		os.Symlink(w.plugin, filepath.Join(commands, path.Base(launcher.Plugin)))))
	process, err := launcher.Start(ctx, w.cp, launcher.Options{Binary: w.manager})
	must(t, err)
	defer func() { must(t, process.Stop()) }()
	w.openStore(t, node)

	args := []string{"--columns=104", "--rows=32", "--pause=5s", "--timeout=3m"}
	if *update {
		args = append(args, "--cast="+recordingFile+".cast", "--svg="+recordingFile+".svg")
	}
	args = append(args, "--", "bash", "-c", typing, "bash",
		"kubectl taint-manager plan "+node+" --taint example.com/maintenance:NoExecute",
		"kubectl taint node "+node+" example.com/maintenance:NoExecute && kubectl taint-manager watch "+node)
	cmd := exec.CommandContext(ctx, terminal(t), args...)
	cmd.Env = append(os.Environ(), "PATH="+commands+":"+os.Getenv("PATH"), "KUBECONFIG="+w.cp.AdminKubeconfig())
	output, err := cmd.Output()
	must(t, err)
	s := &session{}
	must(t, json.Unmarshal(output, s))
	last := &s.Frames[len(s.Frames)-1]
	if s.ExitCode != 0 || s.Raw || last.Cursor.Hidden {
		t.Errorf("exit code %d, the terminal's modes changed %t, its cursor hidden %t", s.ExitCode, s.Raw, last.Cursor.Hidden)
	}
	shown := 0
	want := []string{
		"Plan for node " + node + " with example.com/maintenance:NoExecute. Nothing is changed.", "in 8s", "budget web", "node/" + node + " tainted", "blocked",
		"waits for finalizer", "done, all pods that go are gone, 7 in ",
	}
	for i := range s.Frames {
		f := &s.Frames[i]
		for shown < len(want) && f.count(want[shown]) > 0 {
			shown++
		}
		if len(f.Wrapped) > 0 || f.count("not known here") > 0 {
			t.Errorf("wraps %q, or knows too little, in\n%s", f.Wrapped, f)
		}
	}
	if shown < len(want) {
		t.Errorf("no picture has %q after what comes before it; the last is\n%s", want[shown], last)
	}
}

// openStore makes a node, what runs on it under a disruption budget, and another node where there is room for that.
func (w *world) openStore(t *testing.T, node string) {
	t.Helper()
	const store, room = "store", "worker-3"
	ctx := t.Context()
	w.createPolicy(t, "maintenance", "{matchingPrecedence: 100, taints: [{key: example.com/maintenance}], mode: Evict, "+
		"evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: 900}}", nil)
	must(t, w.cp.Namespace(ctx, store))
	w.node(t, node)
	ledger := builders.Pod(node, builders.Named("ledger-0"), func(pod *corev1.Pod) { pod.Finalizers = []string{"example.com/written-to-disk"} })
	for _, pod := range []*corev1.Pod{
		ledger,
		builders.Pod(node, builders.Named("report-0"), builders.Tolerates(maintenance, 8)),
		builders.Pod(node, builders.Named("agent-x2x7k"), builders.With(corev1.Toleration{Operator: corev1.TolerationOpExists})),
	} {
		_, err := w.client.CoreV1().Pods(store).Create(ctx, pod, metav1.CreateOptions{})
		must(t, err)
	}
	for _, pod := range w.deployWeb(t, store, 5, onOneOf(node, room)) {
		if pod.Spec.NodeName != node {
			t.Fatalf("pod %s is on node %s, not on %s", pod.Name, pod.Spec.NodeName, node)
		}
	}
	w.node(t, room)
	go func() {
		// Its disk is slow: the finalizer goes 10 s after the deletion.
		pods := w.client.CoreV1().Pods(store)
		err := loop.Until(ctx, 100*time.Millisecond, 3*time.Minute, func(ctx context.Context) error {
			pod, err := pods.Get(ctx, ledger.Name, metav1.GetOptions{})
			if err == nil && pod.DeletionTimestamp == nil {
				err = fmt.Errorf("pod %s is not being deleted", pod.Name)
			}
			return err
		})
		if err == nil && loop.Sleep(ctx, 10*time.Second) == nil {
			_, err = pods.Patch(ctx, ledger.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		}
		if err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
}

// onOneOf has a pod run on one of some nodes.
func onOneOf(nodes ...string) builders.Change {
	return func(pod *corev1.Pod) {
		pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: nodes},
			}}},
		}}}
	}
}
