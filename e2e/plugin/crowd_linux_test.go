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
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/performance/load"
)

const (
	manyPods, manyNodes = 150_000, 1_500
	// manyBudgets is one for each three workloads. Each pod that is not of a DaemonSet has an Event that says that it was evicted.
	manyBudgets = manyPods / 30
	// one of so many pods is terminating. It has no factor in common with the number of nodes, so that they are on all of them.
	terminating = 49
	// outage is for how long the nodes of a storm have been unreachable.
	outage = 30 * time.Minute
)

// crowd is an API server that has many nodes and pods, and makes each page when it is asked for. It keeps the pages in files: to make them takes
// longer than to read them.
type crowd struct {
	load.Cluster
	t     *testing.T
	pages string
	// storm says that all nodes are unreachable, and pods are going. policies says that policies are served, of which there are none.
	storm, policies bool

	lock sync.Mutex
	// template is the first pod of a workload, with the number first.
	template *corev1.Pod
	first    int
}

// newCrowds returns a calm cluster, one in a storm, and that with policies. They have the same pods.
func newCrowds(t *testing.T) (calm, storm, policed *crowd) {
	t.Helper()
	pages, began := t.TempDir(), time.Now().Add(-2*time.Hour).Truncate(time.Second)
	of := load.Cluster{Nodes: manyNodes, Pods: manyPods, Began: began}
	return &crowd{Cluster: of, t: t, pages: pages}, &crowd{Cluster: of, t: t, pages: pages, storm: true},
		&crowd{Cluster: of, t: t, pages: pages, storm: true, policies: true}
}

func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if c.policies && r.Method == http.MethodGet && r.URL.Path == "/apis/policy.taint-manager.io/v1alpha1/taintevictionpolicies" {
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		_, _ = io.WriteString(w, `{"apiVersion":"policy.taint-manager.io/v1alpha1","kind":"TaintEvictionPolicyList","metadata":{"resourceVersion":"1"},"items":[]}`)
		return
	}
	if r.Method == http.MethodPost {
		c.review(w, r)
		return
	}
	if query.Get("watch") != "" {
		c.watch(w, r)
		return
	}
	if strings.HasPrefix(query.Get("fieldSelector"), "spec.nodeName=") { // which is one page, whatever the limit
		query.Del("limit")
		query.Set("resourceVersion", "0")
	}
	metadata := strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList")
	key := fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s %s %t %t", r.URL.Path, query.Encode(), metadata, c.storm && r.URL.Path != "/api/v1/pods")))
	file := filepath.Join(c.pages, key)
	page, err := os.ReadFile(file)
	if err != nil {
		object := c.answer(r.URL.Path, query)
		if list, is := object.(*corev1.PodList); is && metadata {
			object = metadataOf(list)
		}
		if object == nil {
			c.refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
			return
		}
		if page, err = encode(object); err != nil {
			c.t.Errorf("%s: %v", r.URL, err)
		}
		if err := os.WriteFile(file, page, 0o600); err != nil {
			c.t.Error(err)
		}
	}
	w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
	_, _ = w.Write(page) // a client that is gone needs none
}

// encode encodes an object in protobuf.
func encode(object runtime.Object) ([]byte, error) {
	kinds, _, err := scheme.Scheme.ObjectKinds(object)
	if _, is := object.(*metav1.PartialObjectMetadataList); is {
		kinds, err = []schema.GroupVersionKind{metav1.SchemeGroupVersion.WithKind("PartialObjectMetadataList")}, nil
	}
	if err != nil {
		return nil, err
	}
	object.GetObjectKind().SetGroupVersionKind(kinds[0])
	return runtime.Encode(protobuf.NewSerializer(scheme.Scheme, scheme.Scheme), object)
}

// answer returns an object, or a page of a list, or nil if there is none.
func (c *crowd) answer(path string, query url.Values) runtime.Object {
	fields := query.Get("fieldSelector")
	switch {
	case path == "/api/v1/nodes" && strings.HasPrefix(fields, "metadata.name="):
		return &corev1.NodeList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Node{c.node(numberOf(strings.TrimPrefix(fields, "metadata.name=")))}}
	case path == "/api/v1/nodes":
		return list(c, query, manyNodes, c.node, func(meta metav1.ListMeta, nodes []corev1.Node) runtime.Object {
			return &corev1.NodeList{ListMeta: meta, Items: nodes}
		})
	case strings.HasSuffix(path, "/pods") && query.Get("labelSelector") != "":
		return &corev1.PodList{} // those of controllers, which are elsewhere
	case path == "/api/v1/pods":
		return c.pods(query)
	case strings.HasSuffix(path, "/poddisruptionbudgets") && strings.Contains(path, "/namespaces/"):
		return &policyv1.PodDisruptionBudgetList{Items: []policyv1.PodDisruptionBudget{c.budget(0)}}
	case path == "/apis/policy/v1/poddisruptionbudgets":
		return list(c, query, manyBudgets, c.budget, func(meta metav1.ListMeta, budgets []policyv1.PodDisruptionBudget) runtime.Object {
			return &policyv1.PodDisruptionBudgetList{ListMeta: meta, Items: budgets}
		})
	case path == "/apis/events.k8s.io/v1/events" && c.storm && fields == "reason=TaintManagerEviction":
		return list(c, query, manyPods, c.event, func(meta metav1.ListMeta, events []eventsv1.Event) runtime.Object {
			return &eventsv1.EventList{ListMeta: meta, Items: events}
		})
	case strings.HasSuffix(path, "/events"):
		return &eventsv1.EventList{}
	case path == "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases":
		return list(c, query, manyNodes, c.lease, func(meta metav1.ListMeta, leases []coordinationv1.Lease) runtime.Object {
			return &coordinationv1.LeaseList{ListMeta: meta, Items: leases}
		})
	}
	if name, is := strings.CutPrefix(path, "/api/v1/nodes/"); is {
		return ptr.To(c.node(numberOf(name)))
	}
	if parts := strings.Split(path, "/"); len(parts) == 7 && parts[5] == "pods" {
		i, err := strconv.ParseInt(parts[6][strings.LastIndex(parts[6], "-")+1:], 16, 0)
		if pod := c.pod(int(i)); err == nil && pod.Name == parts[6] && pod.Namespace == parts[4] {
			return &pod
		}
	}
	return nil
}

// pods returns the pods of a node, or a page of all.
func (c *crowd) pods(query url.Values) runtime.Object {
	name, of := strings.CutPrefix(query.Get("fieldSelector"), "spec.nodeName=")
	if !of {
		return list(c, query, manyPods, c.pod, func(meta metav1.ListMeta, pods []corev1.Pod) runtime.Object {
			return &corev1.PodList{ListMeta: meta, Items: pods}
		})
	}
	pods := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
	for i := range c.On(numberOf(name)) {
		pods.Items = append(pods.Items, c.pod(i))
	}
	return pods
}

// numberOf returns which node has a name.
func numberOf(name string) int {
	i := 0
	for i < manyNodes-1 && load.NodeName(i) != name {
		i++
	}
	return i
}

// list returns a page of a list.
func list[T any](c *crowd, query url.Values, all int, one func(int) T, list func(metav1.ListMeta, []T) runtime.Object) runtime.Object {
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil {
		limit = all
		if query.Get("resourceVersion") != "0" { // which is for a list from memory, as informers make it
			c.t.Errorf("a list without a limit: %v", query)
		}
	}
	from, _ := strconv.Atoi(query.Get("continue")) // none: from the beginning
	meta, items := metav1.ListMeta{ResourceVersion: "1"}, []T(nil)
	to := min(from+limit, all)
	if to < all {
		meta.Continue = strconv.Itoa(to)
	}
	for ; from < to; from++ {
		items = append(items, one(from))
	}
	return list(meta, items)
}

func (c *crowd) node(i int) corev1.Node {
	if c.storm {
		return *c.Unreachable(i, 1, time.Now().Add(-outage))
	}
	return *c.Node(i, 1, c.Began)
}

// pod returns a pod. Ten that follow one another are of one workload, and differ in little.
func (c *crowd) pod(i int) corev1.Pod {
	const perWorkload = 10
	c.lock.Lock()
	defer c.lock.Unlock()
	if first := i - i%perWorkload; c.template == nil || c.first != first {
		c.template, c.first = c.Pod(first, 1, c.Began), first
	}
	pod := *c.template
	pod.Name, pod.UID, pod.Spec.NodeName = fmt.Sprintf("%s%05x", pod.Name[:strings.LastIndex(pod.Name, "-")+1], i), load.PodUID(i), load.NodeName(c.NodeOf(i))
	if i%terminating == 1 {
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = ptr.To(metav1.NewTime(time.Now().Add(-outage/2))), ptr.To[int64](30)
	}
	return pod
}

func (c *crowd) budget(i int) policyv1.PodDisruptionBudget {
	pod := c.Pod(i*30, 1, c.Began)
	return policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Labels["app.kubernetes.io/name"], Namespace: pod.Namespace, Generation: 1, CreationTimestamp: pod.CreationTimestamp, ManagedFields: pod.ManagedFields,
		},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": pod.Labels["app.kubernetes.io/name"]}},
		},
		Status: policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, DisruptionsAllowed: 1, CurrentHealthy: 10, DesiredHealthy: 9, ExpectedPods: 10},
	}
}

func (c *crowd) event(i int) eventsv1.Event {
	pod := c.Pod(i, 1, c.Began)
	return eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name + ".18c2a1f0d7e3b4a5", Namespace: pod.Namespace, UID: pod.UID, ManagedFields: pod.ManagedFields[:1]},
		EventTime:  metav1.NewMicroTime(time.Now().Add(-outage / 3)), ReportingController: "taint-manager", ReportingInstance: "vm_3f0e8a52-0000-0000-8c21-5e9a00000000",
		Action: "Evict", Reason: "TaintManagerEviction", Type: corev1.EventTypeNormal,
		Regarding: corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, APIVersion: "v1"},
		Note: "Evicted from node " + pod.Spec.NodeName + " for taint node.kubernetes.io/unreachable:NoExecute, tolerated for 300s by " +
			"node.kubernetes.io/unreachable:NoExecute; due at 2026-11-29T03:10:50Z, 13ms late",
	}
}

func (c *crowd) lease(i int) coordinationv1.Lease {
	return coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: load.NodeName(i), Namespace: corev1.NamespaceNodeLease}, Spec: coordinationv1.LeaseSpec{
		HolderIdentity: ptr.To(load.NodeName(i)), LeaseDurationSeconds: ptr.To[int32](40), RenewTime: ptr.To(metav1.NewMicroTime(time.Now().Add(-outage))),
	}}
}

// metadataOf returns what the metadata client reads of pods.
func metadataOf(pods *corev1.PodList) *metav1.PartialObjectMetadataList {
	all := &metav1.PartialObjectMetadataList{ListMeta: pods.ListMeta}
	for i := range pods.Items {
		all.Items = append(all.Items, metav1.PartialObjectMetadata{ObjectMeta: pods.Items[i].ObjectMeta})
	}
	return all
}

// review grants everything.
func (c *crowd) review(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // a client that is gone needs none
	}
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		c.t.Errorf("%s: %v", r.URL, err)
	}
	switch review := object.(type) {
	case *authorizationv1.SubjectAccessReview:
		review.Status.Allowed = true
	case *authorizationv1.SelfSubjectAccessReview:
		review.Status.Allowed = true
	}
	answer, err := encode(object)
	if err != nil {
		c.t.Errorf("%s: %v", r.URL, err)
	}
	w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(answer)
}

// watch opens a watch on which nothing comes. Lists are not streamed: the client asks for pages.
func (c *crowd) watch(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("sendInitialEvents") != "" {
		c.refuse(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
		return
	}
	w.Header().Set("Content-Type", runtime.ContentTypeJSON)
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func (c *crowd) refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	w.Header().Set("Content-Type", runtime.ContentTypeJSON)
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, code)
}
