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

package app

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

var update = flag.Bool("update", false, "write the golden files")

// noon is when all snapshots are taken.
var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// golden compares what is printed at 80 and 140 columns, and with -o wide for a pipe, with files. No line but a table's is longer than the
// terminal is wide.
func golden(t *testing.T, name string, print func(*text.Printer)) {
	t.Helper()
	for suffix, p := range map[string]*text.Printer{"80": {Width: 80}, "140": {Width: 140}, "wide": {Wide: true}, "color": {Width: 140, Color: true}} {
		var out bytes.Buffer
		p.Out = &out
		print(p)
		file := filepath.Join("testdata", name+"."+suffix+".txt")
		if *update {
			if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", file, out.Bytes(), want)
		}
	}
}

// shop is a small cluster: a web Deployment under a budget, a database that a policy keeps, an agent that tolerates everything, a bare pod,
// and a mirror pod, all on node-1, which has a taint since two minutes.
func shop(t *testing.T, taints ...v1.Taint) *snapshot.Snapshot {
	t.Helper()
	in := snapshot.Input{At: noon}
	in.Nodes = append(in.Nodes, podcache.NewNode(&v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "node-1"}, Spec: v1.NodeSpec{Taints: taints},
	}, noon, 1))
	for _, pod := range shopPods() {
		in.Pods = append(in.Pods, podcache.NewPod(pod, noon))
	}
	in.Budgets = []*policyv1.PodDisruptionBudget{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
		Status:     policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: 1, CurrentHealthy: 2, DesiredHealthy: 1, ExpectedPods: 2},
	}}
	for name, spec := range map[string]string{
		"keep-databases": "{matchingPrecedence: 10, mode: Keep, taints: [{key: example.com/maintenance}], podSelector: {matchLabels: {app: db}}}",
		"maintenance": "{matchingPrecedence: 100, mode: Evict, taints: [{key: example.com/maintenance}], " +
			"evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: 900}}",
	} {
		var fields any
		if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
			t.Fatal(err)
		}
		in.Policies = append(in.Policies, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "policy.taint-manager.io/v1alpha1", "kind": "TaintEvictionPolicy", "metadata": map[string]any{"name": name}, "spec": fields,
		}})
	}
	in.Unread = []snapshot.Unread{{What: "ConfigMap kube-system/taint-manager-starts", Error: "configmaps is forbidden",
		Means: "starts of taints that the node does not show, such as that of a not-ready period, and whether the eviction brake is on"}}
	return snapshot.New(in)
}

func shopPods() []*v1.Pod {
	seconds := int64(300)
	maintenance := v1.Toleration{Key: "example.com/maintenance", Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute, TolerationSeconds: &seconds}
	yes := true
	pod := func(namespace, name, app, owner string, tolerations ...v1.Toleration) *v1.Pod {
		p := &v1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name), Labels: map[string]string{"app": app},
				CreationTimestamp: metav1.NewTime(noon.Add(-26 * time.Hour))},
			Spec:   v1.PodSpec{NodeName: "node-1", Tolerations: tolerations},
			Status: v1.PodStatus{Phase: v1.PodRunning, Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionTrue}}},
		}
		if owner != "" {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: owner, Name: app, Controller: &yes}}
		}
		return p
	}
	debug := pod("shop", "debug", "debug", "")
	debug.Spec.Volumes = []v1.Volume{{Name: "scratch", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}}
	mirror := pod("kube-system", "kube-proxy-node-1", "proxy", "Node")
	mirror.Annotations = map[string]string{v1.MirrorPodAnnotationKey: "x"}
	return []*v1.Pod{
		pod("shop", "web-5d8c7f9b4-x2x7k", "web", "ReplicaSet", maintenance), pod("shop", "web-5d8c7f9b4-zq9mn", "web", "ReplicaSet", maintenance),
		pod("shop", "db-0", "db", "StatefulSet"), debug, mirror,
		pod("monitoring", "agent-7vkzw", "agent", "DaemonSet", v1.Toleration{Operator: v1.TolerationOpExists}),
	}
}

func maintenanceTaint(added time.Duration) v1.Taint {
	at := metav1.NewTime(noon.Add(-added))
	return v1.Taint{Key: "example.com/maintenance", Value: "kernel", Effect: v1.TaintEffectNoExecute, TimeAdded: &at}
}

func TestGoldenPlan(t *testing.T) {
	s := shop(t)
	change := &explain.Change{Nodes: []string{"node-1"}, Add: []v1.Taint{{Key: "example.com/maintenance", Value: "kernel", Effect: v1.TaintEffectNoExecute}}}
	workloads := explain.NewWorkloads(change.Nodes)
	workloads.Add(&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}})
	for _, pod := range shopPods() {
		workloads.Add(pod)
	}
	plan := explain.MakePlan(s, s, change, workloads)
	golden(t, "plan", func(p *text.Printer) { printPlan(p, plan); printLimits(p, plan.Common()) })
}

func TestGoldenWhy(t *testing.T) {
	s := shop(t, maintenanceTaint(2*time.Minute))
	pods := shopPods()
	events := explain.Events([]eventsv1.Event{{
		Regarding: v1.ObjectReference{UID: types.UID(pods[0].Name)}, ReportingController: "taint-manager", Type: v1.EventTypeNormal, Reason: "TaintManagerNotice",
		Note: "Will be evicted from node node-1 for taint example.com/maintenance=kernel:NoExecute at 2026-03-01T12:03:01Z", DeprecatedCount: 1,
		DeprecatedFirstTimestamp: metav1.NewTime(noon.Add(-time.Minute)), DeprecatedLastTimestamp: metav1.NewTime(noon.Add(-time.Minute)),
	}}, "")
	for i, name := range map[int]string{0: "why-scheduled", 2: "why-held", 3: "why-due", 4: "why-mirror"} {
		about := events
		if i != 0 {
			about = nil
		}
		e := explain.Why(s, pods[i], about)
		golden(t, name, func(p *text.Printer) { printPod(p, e); printLimits(p, e.Common()) })
	}
	gone := explain.WhyGone(s, "shop", "web-5d8c7f9b4-old", explain.Events([]eventsv1.Event{{
		Regarding: v1.ObjectReference{UID: "old"}, ReportingController: "default-scheduler", Type: v1.EventTypeNormal, Reason: "Preempted",
		Note: "Preempted by pod 7d5f on node node-1", EventTime: metav1.NewMicroTime(noon.Add(-10 * time.Minute)),
	}}, ""), false)
	golden(t, "why-gone", func(p *text.Printer) { printPod(p, gone); printLimits(p, gone.Common()) })
}

// TestJSONIsThatOfKubectl compares what is encoded piece by piece with what kubectl's printer makes of the whole.
func TestJSONIsThatOfKubectl(t *testing.T) {
	c := loadCluster(t)
	calm := shop(t)
	change := &explain.Change{Nodes: []string{"node-1"}, Add: []v1.Taint{{Key: "a", Effect: v1.TaintEffectNoExecute}}}
	for name, r := range map[string]result{
		"status":            explain.StatusOf(snapshot.New(c.Input), c.facts()),
		"status of nothing": explain.StatusOf(calm, explain.Facts{LeaseUnread: true}),
		"plan":              explain.MakePlan(calm, calm, change, nil),
		"plan of no node":   explain.MakePlan(calm, calm, &explain.Change{}, nil),
		"why":               explain.WhyGone(calm, "shop", "web", nil, false),
	} {
		var want, got bytes.Buffer
		if err := (&printers.JSONPrinter{}).PrintObj(r, &want); err != nil {
			t.Fatal(err)
		}
		if err := printJSON(r, &got); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got.String(), want.String())
		}
	}
}
