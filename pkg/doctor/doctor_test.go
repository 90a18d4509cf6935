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

package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-d)) }

// scene is a cluster in which nothing is wrong, until a test changes it.
type scene struct {
	t        *testing.T
	cluster  Cluster
	nodes    []*v1.Node
	pods     []*v1.Pod
	policies []*unstructured.Unstructured
	budgets  []*policyv1.PodDisruptionBudget
	unread   []snapshot.Unread
	// policiesUnread says that the policies could not be read.
	policiesUnread bool
}

func healthy(t *testing.T) *scene {
	holder := lease("kube-system", "taint-manager", "taint-manager-5d7c9-x2x2x_3f1c", 3*time.Second)
	crd := parse(t, crdYAML)
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Generation: 2, CreationTimestamp: before(time.Hour)},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(1)), UnhealthyPodEvictionPolicy: ptr.To(policyv1.AlwaysAllow),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		},
		Status: policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 2, ExpectedPods: 2, DesiredHealthy: 1, CurrentHealthy: 2, DisruptionsAllowed: 1},
	}
	return &scene{
		t: t, nodes: []*v1.Node{node("n1"), node("n2")}, budgets: []*policyv1.PodDisruptionBudget{budget},
		pods: []*v1.Pod{
			pod("web-7c9d8b6f5c-k2xvd", "n1", tolerates(v1.TaintNodeUnreachable, ptr.To[int64](300)), tolerates(v1.TaintNodeNotReady, ptr.To[int64](300))),
			pod("web-7c9d8b6f5c-zz4wd", "n2"),
		},
		policies: []*unstructured.Unstructured{policy(t, "maintenance",
			"{matchingPrecedence: 100, mode: Evict, evict: {deleteAfter: Never}, taints: [{key: maintenance.example.com/*}], podSelector: {matchLabels: {app: web}}}")},
		cluster: Cluster{
			Version: "v1.4.2", Namespace: "kube-system", Lease: "taint-manager", ServiceAccount: "system:serviceaccount:kube-system:taint-manager",
			Deployments: Read[[]appsv1.Deployment]{Value: []appsv1.Deployment{deployment("kube-system", "registry.example.com:5000/taint-manager:v1.4.0", 2, 2)}},
			Replicas:    Read[[]v1.Pod]{Value: []v1.Pod{*pod("taint-manager-5d7c9-x2x2x", "n1"), *pod("taint-manager-5d7c9-b4b4b", "n2")}},
			Leases:      Read[[]coordinationv1.Lease]{Value: []coordinationv1.Lease{holder}, At: noon}, LeaseLater: &holder,
			ControllerManagers: Read[[]v1.Pod]{Value: []v1.Pod{manager("kube-controller-manager", "--leader-elect=true", "--controllers=*,bootstrapsigner,-taint-eviction-controller")}},
			CRD:                Read[*unstructured.Unstructured]{Value: crd}, WantedCRD: crd,
			Access: Read[[]Access]{Value: []Access{
				{authorizationv1.ResourceAttributes{Verb: "delete", Resource: "pods"}, true},
				{authorizationv1.ResourceAttributes{Verb: "create", Resource: "events"}, true},
			}},
			OwnAccess:  Read[[]Access]{Value: []Access{{authorizationv1.ResourceAttributes{Verb: "list", Resource: "pods"}, true}}},
			ClockKnown: true, Ahead: time.Second, Within: time.Second / 2,
			Heartbeats: Read[[]coordinationv1.Lease]{Value: []coordinationv1.Lease{lease("kube-node-lease", "n1", "n1", 8*time.Second), lease("kube-node-lease", "n2", "n2", time.Second)}, At: noon},
		},
	}
}

// examine returns what one check finds, as "Severity: what was seen [objects]".
func (s *scene) examine(check string) (found []string) {
	s.t.Helper()
	in := snapshot.Input{At: noon, Policies: s.policies, Budgets: s.budgets, Unread: s.unread, PoliciesUnread: s.policiesUnread, Namespaces: map[string]labels.Set{"shop": {"team": "x"}}}
	for _, node := range s.nodes {
		in.Nodes = append(in.Nodes, podcache.NewNode(node, noon, 1))
	}
	for _, pod := range s.pods {
		in.Pods = append(in.Pods, podcache.NewPod(pod, noon))
	}
	s.cluster.Snapshot = snapshot.New(in)
	known := false
	for _, finding := range Examine(&s.cluster).Findings {
		known = known || finding.Check == check
		if finding.Check != check && check != "" {
			continue
		}
		text := string(finding.Severity) + ": " + finding.Seen
		if len(finding.Objects) > 0 {
			text += " [" + strings.Join(finding.Objects, ", ") + "]"
		}
		if (finding.Severity == Error || finding.Severity == Warning) && finding.Do == "" {
			s.t.Errorf("%s: says not what to do", text)
		}
		found = append(found, text)
	}
	if !known && check != "" {
		s.t.Fatalf("there is no check %s", check)
	}
	return found
}

func node(name string, taints ...v1.Taint) *v1.Node {
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Labels: map[string]string{"pool": "a"}}, Spec: v1.NodeSpec{Taints: taints},
		Status: v1.NodeStatus{Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}}},
	}
}

func taint(key string, added time.Duration) v1.Taint {
	return v1.Taint{Key: key, Effect: v1.TaintEffectNoExecute, TimeAdded: ptr.To(before(added))}
}

func pod(name, node string, tolerations ...v1.Toleration) *v1.Pod {
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), CreationTimestamp: before(time.Hour), Labels: map[string]string{"app": "web"}},
		Spec:       v1.PodSpec{NodeName: node, Tolerations: tolerations},
	}
}

func tolerates(key string, seconds *int64) v1.Toleration {
	return v1.Toleration{Key: key, Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute, TolerationSeconds: seconds}
}

func manager(command ...string) v1.Pod {
	return v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-controller-manager-cp-1"},
		Spec:       v1.PodSpec{Containers: []v1.Container{{Command: command}}},
	}
}

func lease(namespace, name, holder string, age time.Duration) coordinationv1.Lease {
	return coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &holder, LeaseDurationSeconds: ptr.To[int32](15), RenewTime: ptr.To(metav1.NewMicroTime(noon.Add(-age))),
			AcquireTime: ptr.To(metav1.NewMicroTime(noon.Add(-time.Hour))), LeaseTransitions: ptr.To[int32](4),
		},
	}
}

// replica is a pod of taint-manager.
func replica(namespace, name string) v1.Pod {
	replica := pod(name, "n1")
	replica.Namespace = namespace
	return *replica
}

func deployment(namespace, image string, replicas, available int32, args ...string) appsv1.Deployment {
	return appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "taint-manager"},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: v1.PodTemplateSpec{Spec: v1.PodSpec{
			ServiceAccountName: "taint-manager", Containers: []v1.Container{{Image: image, Args: args}},
		}}},
		Status: appsv1.DeploymentStatus{AvailableReplicas: available},
	}
}

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

func policy(t *testing.T, name, spec string) *unstructured.Unstructured {
	t.Helper()
	return parse(t, "{apiVersion: policy.taint-manager.io/v1alpha1, kind: TaintEvictionPolicy, metadata: {name: "+name+", uid: "+name+", generation: 1}, spec: "+spec+"}")
}

// evicted is what is kept of an Event on an evicted pod.
func evicted(reporter, pod, message string, ago time.Duration) Eviction {
	kept, _ := EvictionOf(&eventsv1.Event{
		ReportingController: reporter, Reason: "TaintManagerEviction", Note: message, EventTime: metav1.NewMicroTime(noon.Add(-ago)),
		Regarding: v1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: pod},
	})
	return kept
}

func TestEventsOfNoPodAreNotKept(t *testing.T) {
	if kept, is := EvictionOf(&eventsv1.Event{Regarding: v1.ObjectReference{Kind: "Node", Name: "n1"}, Note: "Evicted from node n1 for taint a:NoExecute"}); is {
		t.Errorf("kept %+v", kept)
	}
}

const crdYAML = `
metadata: {name: taintevictionpolicies.policy.taint-manager.io}
spec:
  versions:
  - name: v1alpha1
    served: true
    schema:
      openAPIV3Schema:
        properties:
          spec:
            description: what it says
            properties:
              mode: {type: string, description: how pods go}
              taints:
                type: array
                maxItems: 16
                items: {type: object, properties: {key: {type: string}}}
status: {conditions: [{type: Established, status: "True"}]}
`

func TestNothingIsWrong(t *testing.T) {
	s := healthy(t)
	want := []string{
		"OK: The built-in controller is off, by the flags of kube-controller-manager. [kube-system/kube-controller-manager-cp-1]",
		"OK: taint-manager-5d7c9-x2x2x leads since 2026-03-01T11:00:00Z; the Lease has changed hands 4 times.",
		"OK: One Deployment, kube-system/taint-manager, with 2 replicas available.",
		"OK: The plugin and the Deployment are of version 1.4.",
		"OK: The CustomResourceDefinition of policies is that of this version.",
		"OK: system:serviceaccount:kube-system:taint-manager has all 2 permissions of the manifests.",
		"OK: You may read all that the plugin reads.",
		"OK: The API server's clock and this machine's agree.",
		"OK: The clocks of 2 nodes agree with the API server's, by their Leases.",
		"OK: No taint was added in the future.",
		"OK: Evictions are not paused.",
		"OK: The one policy is valid and can apply.",
		"OK: Each toleration of 2 pods can have an effect.",
		"OK: 1 disruption budget can allow an eviction.",
		"OK: The disruption controller keeps the status of 1 disruption budget up to date.",
		"OK: No node has been unreachable for 5m0s without being marked as out of service.",
		"OK: No pods come back to the node that they were evicted from, by the Events of the last hour.",
	}
	if got := s.examine(""); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheWorstComesFirst(t *testing.T) {
	s := healthy(t)
	s.cluster.Leases.Value = nil
	s.cluster.Deployments.Err = errors.New("forbidden")
	s.cluster.Ahead = time.Minute
	s.cluster.CRD.Value = nil
	var order []string
	for _, text := range s.examine("") {
		severity, _, _ := strings.Cut(text, ":")
		if !slices.Contains(order, severity) {
			order = append(order, severity)
		}
	}
	if want := []string{"Error", "Warning", "Unknown", "Info", "OK"}; !slices.Equal(order, want) {
		t.Errorf("got %q", order)
	}
	r := Examine(&s.cluster)
	if r.Worst() != Error || r.Names()[0] != "error/Leader" || len(r.Names()) != 5 {
		t.Errorf("worst %s of %q", r.Worst(), r.Names())
	}
}

// TestWhatCannotBeReadIsSaid withholds each read, and looks for checks that claim anything all the same.
func TestWhatCannotBeReadIsSaid(t *testing.T) {
	for check, withhold := range map[string]func(s *scene){
		"BuiltInController": func(s *scene) {
			s.cluster.ControllerManagers = Read[[]v1.Pod]{Err: errNo}
			s.cluster.Evictions.Err = errNo
		},
		"Leader":                   func(s *scene) { s.cluster.Leases = Read[[]coordinationv1.Lease]{Err: errNo} },
		"Replicas":                 func(s *scene) { s.cluster.Deployments = Read[[]appsv1.Deployment]{Err: errNo} },
		"Version":                  func(s *scene) { s.cluster.Deployments = Read[[]appsv1.Deployment]{Err: errNo} },
		"CustomResourceDefinition": func(s *scene) { s.cluster.CRD = Read[*unstructured.Unstructured]{Err: errNo} },
		"Permissions":              func(s *scene) { s.cluster.Access = Read[[]Access]{Err: errNo} },
		"YourPermissions":          func(s *scene) { s.cluster.OwnAccess = Read[[]Access]{Err: errNo} },
		"Clock":                    func(s *scene) { s.cluster.ClockKnown = false },
		"NodeClocks":               func(s *scene) { s.cluster.Heartbeats = Read[[]coordinationv1.Lease]{Err: errNo} },
		"TimeAdded":                func(s *scene) { s.unread = []snapshot.Unread{{What: "nodes", Error: "no permission"}} },
		"Pause":                    func(s *scene) { s.unread = []snapshot.Unread{{What: "policies", Error: "no permission"}} },
		"Policies":                 func(s *scene) { s.unread = []snapshot.Unread{{What: "pods", Error: "no permission"}} },
		"Tolerations":              func(s *scene) { s.unread = []snapshot.Unread{{What: "pods", Error: "no permission"}} },
		"Budgets":                  func(s *scene) { s.unread = []snapshot.Unread{{What: "disruption budgets", Error: "no permission"}} },
		"DisruptionController":     func(s *scene) { s.unread = []snapshot.Unread{{What: "disruption budgets", Error: "no permission"}} },
		"OutOfService": func(s *scene) {
			s.nodes[0] = node("n1", taint(v1.TaintNodeUnreachable, time.Hour))
			s.cluster.Lost.Err = errNo
		},
		"EvictionLoops": func(s *scene) { s.cluster.Evictions.Err = errNo },
	} {
		s := healthy(t)
		withhold(s)
		found := s.examine(check)
		if len(found) != 1 || !strings.HasPrefix(found[0], "Unknown: ") || check != "Clock" && !strings.Contains(found[0], "no permission") {
			t.Errorf("%s: got %q", check, found)
		}
	}
	if all := healthy(t).examine(""); len(all) != 17 {
		t.Errorf("%d checks, and 17 are tested here", len(all))
	}
}

var errNo = errors.New("no permission")
