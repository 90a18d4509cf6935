//go:build kind

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

package suite

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
	"github.com/taint-manager/taint-manager/e2e/kind/runbook"
)

const (
	// toolsVariable and registryVariable tell where helm and kubectl are, and which registry the nodes pull from.
	toolsVariable    = "E2E_KIND_TOOLS"
	registryVariable = "E2E_KIND_REGISTRY"

	repository = "../../.."

	// servers are on two nodes. Each takes so long to be ready that emptying one of the nodes outlasts everything else that happens meanwhile: the
	// budget lets the next one go when the replacement of the one before is ready.
	servers        = 12
	secondsToReady = 18

	containerNode = `kubeadm() { case "$*" in "upgrade node"*) set -- "$@" --ignore-preflight-errors=SystemVerification; esac; command kubeadm "$@"; }
`

	// minimumAge is what manifests/examples/maintenance.yaml says in minTaintAgeSeconds.
	minimumAge = 5 * time.Second

	// The reasons of the condition DisruptionTarget.
	byEviction = "EvictionByEvictionAPI"
	byDeletion = "DeletionByTaintManager"
)

// walkthrough is the scene of an operator, who has two terminals, and of three workers, with the servers on two of them: one is drained, the
// other one has to make up for it, and the third is lost.
type walkthrough struct {
	*scene
	steps                []runbook.Step
	values               map[string]string // of the variables that readers set
	documented           *strings.Replacer // from the document's values to these
	shell, beside        *runbook.Shell    // the terminals
	transcript           *transcript
	drained, other, lost string

	quick           []*corev1.Pod // on the node that is lost
	patient         map[*corev1.Pod]int64
	tainted, lostAt timing.Moment
	expected        map[types.UID]evictionBy
}

// evictionBy is an expectation, and the reason that the pod's condition says.
type evictionBy struct {
	expectation
	reason string
}

func newWalkthrough(t *testing.T) *walkthrough {
	t.Helper()
	tools, registry := os.Getenv(toolsVariable), os.Getenv(registryVariable)
	if tools == "" || registry == "" {
		t.Fatalf("%s and %s have to name a directory with helm and kubectl, and a registry; make e2e does all that", toolsVariable, registryVariable)
	}
	w := &walkthrough{scene: newScene(t), patient: map[*corev1.Pod]int64{}, expected: map[types.UID]evictionBy{}}
	w.key = "maintenance.example.com/upgrade"
	document := os.Getenv(documentVariable)
	if document == "" {
		document = defaultDocument
	}
	var err error
	w.steps, err = runbook.Read(document, "walkthrough")
	w.must(err)
	workers := w.workers()
	w.drained, w.other, w.lost = workers[0], workers[1], workers[2]
	w.values = map[string]string{"IMAGE": registry + "/taint-manager", "TAG": "v1.0.0", "NEW_TAG": "v1.1.0", "NODE": w.drained}
	// All pods of the cluster are watched, to see that none goes without a reason.
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	w.watch, err = podwatch.Start(ctx, client, metav1.NamespaceAll)
	w.must(err)
	w.transcript = newTranscript(t)
	w.shell, w.beside = w.terminal(tools, "first terminal"), w.terminal(tools, "second terminal")
	return w
}

// terminal is one in which commands reach the cluster, and find helm and kubectl.
func (w *walkthrough) terminal(tools, name string) *runbook.Shell {
	w.Helper()
	// What make tells a make that it calls is not for one that an operator calls.
	environment := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "MAKE") || strings.HasPrefix(variable, "MFLAGS=")
	})
	environment = append(environment, "PATH="+tools+string(filepath.ListSeparator)+os.Getenv("PATH"), "KUBECONFIG="+os.Getenv(kubeconfigVariable),
		"HELM_CACHE_HOME="+filepath.Join(tools, "helm-cache"), "HELM_CONFIG_HOME="+filepath.Join(tools, "helm-config"), "HELM_DATA_HOME="+filepath.Join(tools, "helm-data"))
	shell, err := runbook.NewShell(w.Context(), repository, w.TempDir(), environment, func(line string) { w.transcript.line(name, line) })
	w.must(err)
	w.Cleanup(func() { _ = shell.Close() }) // stopped with the context of the test
	return shell
}

// next takes the next step of the document, which has to be this one.
func (w *walkthrough) next(name string) runbook.Step {
	w.Helper()
	if len(w.steps) == 0 || w.steps[0].Name != name {
		w.Fatalf("the document does not have the step %s here, but %+v", name, w.steps)
	}
	step := w.steps[0]
	w.steps = w.steps[1:]
	for i, line := range step.Output {
		step.Output[i] = w.documented.Replace(line)
	}
	return step
}

// assign sets the variables in both terminals to other values than the document.
func (w *walkthrough) assign(name string) {
	w.Helper()
	w.documented = strings.NewReplacer()
	script, documented, err := runbook.Assign(w.next(name).Script, w.values)
	w.must(err)
	var pairs []string
	for variable, value := range documented {
		pairs = append(pairs, value, w.values[variable])
	}
	w.documented = strings.NewReplacer(pairs...)
	for _, shell := range []*runbook.Shell{w.shell, w.beside} {
		w.check(runbook.Step{Name: name}, shell, script)
	}
}

// step runs the next step in a terminal and fails the test if it does not do what the document says.
func (w *walkthrough) step(shell *runbook.Shell, name string) {
	w.Helper()
	step := w.next(name)
	w.check(step, shell, step.Script)
}

// stepInBoth is step in both terminals.
func (w *walkthrough) stepInBoth(name string) {
	w.Helper()
	step := w.next(name)
	w.check(step, w.shell, step.Script)
	w.check(step, w.beside, step.Script)
}

func (w *walkthrough) check(step runbook.Step, shell *runbook.Shell, script string) {
	w.Helper()
	began := time.Now()
	w.transcript.script(step.Name, script)
	result, err := shell.Run(script)
	w.judge(step, began, result, err)
}

// start is step, whose end the test waits for by calling what it returns.
func (w *walkthrough) start(shell *runbook.Shell, name string) (wait func()) {
	w.Helper()
	step, began := w.next(name), time.Now()
	w.transcript.script(step.Name, step.Script)
	var result runbook.Result
	ended := make(chan error, 1)
	go func() {
		var err error
		result, err = shell.Run(step.Script)
		ended <- err
	}()
	return func() {
		w.Helper()
		w.judge(step, began, result, <-ended)
	}
}

// asRoot runs the step on a node. Each of its commands has to end with the exit code 0. The nodes of kind are containers, so kubeadm may find that
// their system is not as it should be: kind passes over that as well.
func (w *walkthrough) asRoot(name, node string) {
	w.Helper()
	step, began := w.next(name), time.Now()
	w.transcript.script(step.Name, step.Script)
	output, err := cluster.Script(w.Context(), node, containerNode+step.Script)
	for line := range strings.Lines(output) {
		w.transcript.line("root on "+node, strings.TrimSuffix(line, "\n"))
	}
	w.judge(step, began, runbook.Result{Output: output}, err)
}

func (w *walkthrough) judge(step runbook.Step, began time.Time, result runbook.Result, err error) {
	w.Helper()
	complaints := step.Check(result)
	if err != nil {
		complaints = append(complaints, err.Error())
	}
	if len(complaints) > 0 {
		w.Fatalf("step %s is not as the document says: %s\n%s\nIt printed:\n%s", step.Name, strings.Join(complaints, "; "), step.Script, result.Output)
	}
	w.Logf("step %s took %s", step.Name, timing.Round(time.Since(began)))
}

// running checks that our pods have the image with this tag, and no others are left but those that are going.
func (w *walkthrough) running(tag string) {
	w.Helper()
	pods, err := ours.pods(w.Context())
	w.must(err)
	n := 0
	for i := range pods {
		if pods[i].DeletionTimestamp != nil {
			continue
		}
		n++
		if image := pods[i].Spec.Containers[0].Image; image != w.values["IMAGE"]+":"+tag {
			w.Errorf("pod %s has the image %s, and the tag should be %s", pods[i].Name, image, tag)
		}
	}
	if n != replicas {
		w.Errorf("there are %d replicas of ours, not %d", n, replicas)
	}
}

// expect notes when a pod has to go, and by what.
func (w *walkthrough) expect(pod *corev1.Pod, window timing.Window, reason string) {
	w.expected[pod.UID] = evictionBy{expectation{pod, window}, reason}
}

// nodesReady says which node is not ready, or has a NoExecute taint.
func (w *walkthrough) nodesReady(ctx context.Context) error {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		if err := readyNode(&list.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// deployWorkloads runs what the cluster is for. All of it tolerates the taint of the trial, but for the pod of that.
func (w *walkthrough) deployWorkloads() {
	w.Helper()
	tried := builders.ToleratesForever(w.second)
	w.deployIngress(servers, tried, oneOf(w.drained, w.other), func(pod *corev1.Pod) {
		pod.Spec.Containers[0].ReadinessProbe.InitialDelaySeconds = secondsToReady
	})
	w.daemonSet("agent", tried, builders.ToleratesForever(w.key))
	quick := w.deploy("quick", 2, tried, ill(5), preferring(w.lost))
	w.quick, _ = split(quick, w.lost)
	if len(w.quick) != len(quick) {
		w.Fatalf("%d pods of %d are on node %s", len(w.quick), len(quick), w.lost)
	}
	w.run(on(w.lost), tried) // with Kubernetes' default of five minutes for a node that is lost
	for seconds := int64(15); seconds <= 95; seconds += 5 {
		w.patient[w.run(on(w.drained), tried, builders.Tolerates(w.key, seconds))] = seconds
	}
}

// oneOf has the scheduler choose among these nodes.
func oneOf(names ...string) builders.Change {
	return func(pod *corev1.Pod) {
		pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: names}},
			}}},
		}}
	}
}
