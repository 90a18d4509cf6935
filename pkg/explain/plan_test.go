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

package explain

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// planOf plans a change to node a, with workloads of all objects.
func planOf(change Change, objects ...any) *Plan {
	s := cluster(snapshot.Input{}, objects...)
	change.Nodes = []string{"a"}
	w := NewWorkloads(change.Nodes)
	for _, kind := range []func(any) bool{isNode, isPod} {
		for _, object := range objects {
			if !kind(object) {
				continue
			}
			switch object := object.(type) {
			case *v1.Node:
				w.Add(object)
			case *v1.Pod:
				w.Add(object)
			}
		}
	}
	return MakePlan(s, s, &change, w)
}

func isNode(object any) bool { _, is := object.(*v1.Node); return is }
func isPod(object any) bool  { _, is := object.(*v1.Pod); return is }

// lines says what becomes of each pod, in the order of the plan.
func lines(plan *Plan) []string {
	var all []string
	for i := range plan.Pods {
		f := &plan.Pods[i].Fate
		line := fmt.Sprintf("%s %s", plan.Pods[i].Pod.Name, f.Outcome)
		if !f.Deadline.IsZero() {
			line += fmt.Sprintf(" %d", int(f.Deadline.Sub(noon).Seconds()))
		}
		if f.Taint != "" {
			line += " " + f.Taint
		}
		if len(f.BlockedBy) > 0 {
			line += " by " + strings.Join(f.BlockedBy, ",")
		}
		all = append(all, line)
	}
	return all
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\ngot  %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

var adds = Change{Add: []v1.Taint{{Key: "k", Effect: v1.TaintEffectNoExecute}}}

func TestPlanAddsATaint(t *testing.T) {
	plan := planOf(adds, node("a", noExecute("old", ago(100))), node("b"),
		pod("waits", tolerates("k", 30), tolerates("old", 300)), pod("goes", always("old")), pod("stays", always("")),
		pod("counts", tolerates("k", 500), tolerates("old", 110)),
		with(pod("finished"), func(p *v1.Pod) { p.Status.Phase = v1.PodSucceeded }),
		with(pod("elsewhere"), func(p *v1.Pod) { p.Spec.NodeName = "b" }))
	expect(t, "pods", lines(plan), "goes Due 0 k:NoExecute", "counts Scheduled 11 old:NoExecute", "waits Scheduled 30 k:NoExecute",
		"stays Stays", "finished LeftAlone")
	if got, want := plan.Totals, (Totals{Pods: 5, Now: 1, Later: 2, Stay: 1, LeftAlone: 1, Bare: 3}); got != want {
		t.Errorf("totals: got %+v, want %+v", got, want)
	}
	expect(t, "taints after", plan.Nodes[0].After, "old:NoExecute", "k:NoExecute")
	if plan.Pods[0].Now != Stays || plan.Pods[1].Now != Scheduled {
		t.Errorf("without the change: got %s and %s", plan.Pods[0].Now, plan.Pods[1].Now)
	}
}

func TestPlanRemovesAndReplacesTaints(t *testing.T) {
	x := "x"
	on := []v1.Taint{noExecute("gone", ago(50)), {Key: "value", Value: "1", Effect: v1.TaintEffectNoExecute, TimeAdded: ago(50)}, noExecute("same", ago(50))}
	change := Change{
		Remove: []TaintPattern{{Key: "gone"}, {Key: "same", Value: &x}, {Key: "same", Effect: v1.TaintEffectNoSchedule}},
		Add:    []v1.Taint{{Key: "value", Value: "2", Effect: v1.TaintEffectNoExecute}, {Key: "same", Effect: v1.TaintEffectNoExecute}},
	}
	plan := planOf(change, node("a", on...),
		pod("p", tolerates("value", 10), always("same")), pod("q", always("value"), tolerates("same", 60)))
	expect(t, "pods", lines(plan), "p Scheduled 10 value=2:NoExecute", "q Scheduled 11 same:NoExecute")
	expect(t, "taints after", plan.Nodes[0].After, "value=2:NoExecute", "same:NoExecute")
	expect(t, "asked for", plan.Remove, "gone", "same=x", "same:NoSchedule")
}

// TestPlanGoesOnWithANotReadyPeriod says that a swap of the not-ready taints does not begin to count anew.
func TestPlanGoesOnWithANotReadyPeriod(t *testing.T) {
	n := node("a", noExecute(v1.TaintNodeNotReady, ago(100)))
	n.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionUnknown, LastTransitionTime: *ago(100)}}
	change := Change{Remove: []TaintPattern{{Key: v1.TaintNodeNotReady}}, Add: []v1.Taint{{Key: v1.TaintNodeUnreachable, Effect: v1.TaintEffectNoExecute}}}
	plan := planOf(change, n, pod("p", tolerates(v1.TaintNodeNotReady, 300), tolerates(v1.TaintNodeUnreachable, 300)))
	expect(t, "pods", lines(plan), "p Scheduled 201 node.kubernetes.io/unreachable:NoExecute")
}

// TestPlanTriesPoliciesWithoutThoseOfTheCluster tries policies where those that there are could not be read: they may come first.
func TestPlanTriesPoliciesWithoutThoseOfTheCluster(t *testing.T) {
	objects := []any{node("a"), budgetOf("b", 0), pod("goes"), pod("kept", tolerates("k", 60))}
	objects[3].(*v1.Pod).Labels["app"] = "db"
	now := cluster(snapshot.Input{PoliciesUnread: true}, objects...)
	after, err := (&snapshot.Reader{}).TryPolicies(t.Context(), now, []*unstructured.Unstructured{
		policy(t, "evict", "{matchingPrecedence: 10, mode: Evict, evict: {deleteAfter: Never}, taints: [{key: k}], podSelector: {matchLabels: {app: web}}}"),
		policy(t, "keep", "{matchingPrecedence: 20, mode: Keep, taints: [{key: k}], podSelector: {matchLabels: {app: db}}}"),
	})
	if err != nil {
		t.Fatal(err)
	}
	change := adds
	change.Nodes = []string{"a"}
	plan := MakePlan(now, after, &change, nil)
	expect(t, "pods", lines(plan), "goes Due 0 k:NoExecute", "kept Held")
	for i := range plan.Pods {
		if f := &plan.Pods[i].Fate; !f.ModeUnknown || f.Mode != "" || f.Policy != "" {
			t.Errorf("%s: mode %q by policy %q, unknown: %t", plan.Pods[i].Pod.Name, f.Mode, f.Policy, f.ModeUnknown)
		}
	}
	if !after.PoliciesUnread || len(plan.Budgets) != 0 {
		t.Errorf("unread: %t, budgets: %+v", after.PoliciesUnread, plan.Budgets)
	}
}

func TestPlanUsesBudgetsUpInSequence(t *testing.T) {
	unready := func(name string) *v1.Pod { return with(pod(name), func(p *v1.Pod) { p.Status.Conditions = nil }) }
	evict := policy(t, "x", "{matchingPrecedence: 10, mode: Evict, taints: [{key: k}], evict: {deleteAfter: Never}}")
	plan := planOf(adds, node("a"), evict, budgetOf("b", 1),
		pod("third", tolerates("k", 60)), pod("second", tolerates("k", 30)), unready("unready"))
	// Of the three pods one is not ready: of a budget without unhealthyPodEvictionPolicy, with enough healthy pods, it needs no place.
	expect(t, "pods", lines(plan), "unready Due 0 k:NoExecute", "second Scheduled 30 k:NoExecute", "third Blocked 60 k:NoExecute by b")
	if got, want := plan.Budgets, (BudgetUse{Budget: Ref{Namespace: "ns", Name: "b"}, Allowed: 1, Evicted: 2, Blocked: 1}); len(got) != 1 || got[0] != want {
		t.Errorf("budgets: got %+v, want %+v", got, want)
	}
	if plan.Totals.Blocked != 1 || plan.Totals.Later != 1 || plan.Totals.Now != 1 {
		t.Errorf("totals: got %+v", plan.Totals)
	}

	deleted := policy(t, "d", "{matchingPrecedence: 5, mode: Delete, taints: [{key: k}], podSelector: {matchLabels: {how: delete}}}")
	first := with(pod("first", tolerates("k", 10)), func(p *v1.Pod) { p.Labels["how"] = "delete" })
	plan = planOf(adds, node("a"), evict, deleted, budgetOf("b", 1), pod("second", tolerates("k", 30)), first)
	expect(t, "after a delete", lines(plan), "first Scheduled 10 k:NoExecute", "second Blocked 30 k:NoExecute by b")

	plan = planOf(adds, node("a"), evict, budgetOf("b", 1), budgetOf("c", 1), pod("p"))
	expect(t, "two budgets", lines(plan), "p Blocked 0 k:NoExecute by b,c")
}

// room returns a node with some CPU, in thousandths.
func roomy(name string, cpu int64, taints ...v1.Taint) *v1.Node {
	n := node(name, taints...)
	n.Labels = map[string]string{"name": name}
	n.Status.Allocatable = v1.ResourceList{v1.ResourceCPU: *resource.NewMilliQuantity(cpu, resource.DecimalSI), v1.ResourcePods: *resource.NewQuantity(10, resource.DecimalSI)}
	return n
}

// owned returns a pod of a ReplicaSet that requests some CPU, in thousandths.
func owned(name string, cpu int64, change func(*v1.Pod)) *v1.Pod {
	return with(pod(name), func(p *v1.Pod) {
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "rs", Controller: &yes}}
		p.Spec.Containers = []v1.Container{{Resources: v1.ResourceRequirements{Requests: v1.ResourceList{
			v1.ResourceCPU: *resource.NewMilliQuantity(cpu, resource.DecimalSI)}}}}
		change(p)
	})
}

func TestPlanLooksForRoom(t *testing.T) {
	none := func(*v1.Pod) {}
	yes := true
	for _, test := range []struct {
		name string
		pods []*v1.Pod
		want []string
	}{
		{"one after another", []*v1.Pod{owned("p1", 600, none), owned("p2", 600, none)}, []string{"p1 Fits c", "p2 NoRoom "}},
		{"what others use is not there", []*v1.Pod{owned("p", 600, none), owned("on-c", 500, func(p *v1.Pod) { p.Spec.NodeName = "c" })}, []string{"p NoRoom "}},
		{"what has finished uses nothing", []*v1.Pod{owned("p", 600, none), owned("on-c", 500, func(p *v1.Pod) {
			p.Spec.NodeName, p.Status.Phase = "c", v1.PodSucceeded
		})}, []string{"p Fits c"}},
		{"node selector", []*v1.Pod{owned("p", 100, func(p *v1.Pod) { p.Spec.NodeSelector = map[string]string{"name": "b"} })}, []string{"p NoRoom "}},
		{"tolerations", []*v1.Pod{owned("p", 600, func(p *v1.Pod) {
			p.Spec.Tolerations = []v1.Toleration{{Key: "dedicated", Operator: v1.TolerationOpExists}}
		})}, []string{"p Fits b"}},
		{"a bare pod", []*v1.Pod{with(owned("p", 1, none), func(p *v1.Pod) { p.OwnerReferences = nil })}, []string{"p None "}},
		{"a DaemonSet", []*v1.Pod{owned("p", 1, func(p *v1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: "ds", Controller: &yes}}
		})}, []string{"p None "}},
	} {
		objects := []any{roomy("a", 5000), roomy("b", 1000, v1.Taint{Key: "dedicated", Effect: v1.TaintEffectNoSchedule}), roomy("c", 1000),
			with2(roomy("d", 5000), func(n *v1.Node) { n.Spec.Unschedulable = true })}
		for _, p := range test.pods {
			objects = append(objects, p)
		}
		var got []string
		for _, p := range planOf(adds, objects...).Pods {
			got = append(got, fmt.Sprintf("%s %s %s", p.Pod.Name, p.Workload.Replacement, p.Workload.On))
		}
		expect(t, test.name, got, test.want...)
	}
}

func with2(n *v1.Node, change func(*v1.Node)) *v1.Node {
	change(n)
	return n
}

func TestPlanWarnsOfLocalData(t *testing.T) {
	p := owned("p", 1, func(p *v1.Pod) {
		p.Spec.Volumes = []v1.Volume{
			{Name: "scratch", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}},
			{Name: "memory", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{Medium: v1.StorageMediumMemory}}},
			{Name: "host", VolumeSource: v1.VolumeSource{HostPath: &v1.HostPathVolumeSource{Path: "/data"}}},
			{Name: "disk", VolumeSource: v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: "disk"}}},
			{Name: "cloud", VolumeSource: v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: "cloud"}}},
		}
	})
	a, c := roomy("a", 1000), roomy("c", 1000)
	s := cluster(snapshot.Input{}, a, c, p)
	w := NewWorkloads([]string{"a"})
	w.Add(a)
	w.Add(c)
	w.Add(p)
	if !w.HasClaims() {
		t.Error("the pod has claims")
	}
	w.LocalClaims = map[types.NamespacedName]bool{{Namespace: "ns", Name: "disk"}: true}
	plan := MakePlan(s, s, &Change{Nodes: []string{"a"}, Add: adds.Add}, w)
	facts := plan.Pods[0].Workload
	expect(t, "local data", facts.LocalData, "emptyDir scratch", "hostPath /data", "local volume of claim disk")
	if facts.Replacement != NoRoom || facts.Controller != "ReplicaSet/rs" {
		t.Errorf("got %+v, want no room: the disk is on the node", facts)
	}
}

func TestPlanWithoutRoomSaysNothingOfIt(t *testing.T) {
	a, p := roomy("a", 1000), owned("p", 1, func(*v1.Pod) {})
	s := cluster(snapshot.Input{}, a, p)
	w := NewWorkloads([]string{"a"})
	w.Add(a)
	w.Add(p)
	w.IgnoreRoom()
	plan := MakePlan(s, s, &Change{Nodes: []string{"a"}, Add: adds.Add}, w)
	if got := plan.Pods[0].Workload.Replacement; got != "" || plan.Totals.NoRoom != 0 {
		t.Errorf("got %q, want nothing", got)
	}
	if plan.At != noon.UTC() || plan.Pods[0].Fate.Deadline.Sub(noon) != 0*time.Second {
		t.Errorf("times: got %v and %v", plan.At, plan.Pods[0].Fate.Deadline)
	}
}
