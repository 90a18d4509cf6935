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
	"context"
	"fmt"
	"math"
	"time"
	"unique"
	"unsafe"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	metadatafake "k8s.io/client-go/metadata/fake"

	"github.com/taint-manager/taint-manager/e2e/performance/load"
	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/policy"
)

const (
	// labelsGoal is how much memory, in bytes, labels and policies that select by them may take for each pod.
	labelsGoal = 64
	// labelsPointer is what each pod has for its labels, whether it has labels or not.
	labelsPointer = float64(unsafe.Sizeof(unique.Handle[string]{}))

	policyResource = "taintevictionpolicies"
	// teamLabel is on namespaces.
	teamLabel = "team.example.com/name"
	// selectedNode and partlyNode are the nodes that are tainted to see what the policies select: all pods on the first, and some on the second.
	selectedNode, partlyNode = 1, 0
)

// variant is what a process measures. Each is a process of its own, so that memory is its own.
type variant string

const (
	// complete measures everything, without policies.
	complete variant = ""
	// selecting measures memory with policies that select by labels.
	selecting variant = "selecting"
	// unlabelled measures memory without labels and policies.
	unlabelled variant = "unlabelled"
)

// title says it where nothing is for everything.
func (v variant) title() string {
	if v == complete {
		return ""
	}
	return ", " + string(v)
}

// policySource has three policies that keep pods: by labels of the pod, of its namespace and of its node.
func (p *part) policySource() (*policy.Source, *dynamicfake.FakeDynamicClient, error) {
	byPod, byNamespace := p.keptByPod(), p.keptByNamespace()
	client := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{v1alpha1.GroupVersion.WithResource(policyResource): "TaintEvictionPolicyList"},
		keepPolicy("by-pod", "podSelector", "app.kubernetes.io/name", p.cluster.Pod(byPod, 0, p.cluster.Began).Labels["app.kubernetes.io/name"]),
		keepPolicy("by-namespace", "namespaceSelector", teamLabel, load.Namespace(byNamespace)),
		keepPolicy("by-node", "nodeSelector", v1.LabelHostname, load.NodeName(selectedNode)))
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		return nil, nil, fmt.Errorf("namespaces: %w", err)
	}
	source, err := policy.NewSource(policy.Config{
		Discovery: servesPolicies{}, Policies: client, Namespaces: metadatafake.NewSimpleMetadataClient(scheme, p.namespaces()...),
	})
	return source, client, err
}

// servesPolicies answers discovery.
type servesPolicies struct {
	discovery.ServerResourcesInterfaceWithContext
}

func (servesPolicies) ServerResourcesForGroupVersionWithContext(context.Context, string) (*metav1.APIResourceList, error) {
	return &metav1.APIResourceList{APIResources: []metav1.APIResource{{Name: policyResource}}}, nil
}

// keepPolicy keeps the pods that a selector selects on nodes that are unreachable.
func keepPolicy(name, selector, key, value string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "TaintEvictionPolicy",
		"metadata": map[string]any{"name": name, "uid": "uid-" + name, "generation": int64(1)},
		"spec": map[string]any{
			"matchingPrecedence": int64(100), "mode": "Keep",
			"taints": []any{map[string]any{"key": v1.TaintNodeUnreachable, "effect": string(v1.TaintEffectNoExecute)}},
			selector: map[string]any{"matchLabels": map[string]any{key: value}},
		},
	}}
}

// namespaces are those of all pods.
func (p *part) namespaces() (all []runtime.Object) {
	last := ""
	for pod := range p.cluster.Pods {
		if name := load.Namespace(pod); name != last {
			last = name
			all = append(all, &metav1.PartialObjectMetadata{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
				ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{
					v1.LabelMetadataName: name, teamLabel: name, "pod-security.kubernetes.io/enforce": "restricted",
				}},
			})
		}
	}
	return all
}

// keptByPod and keptByNamespace are pods on the node of which some pods are kept: one whose workload is kept, and one whose namespace is.
func (p *part) keptByPod() int       { return p.onPartly(p.cluster.Pods) }
func (p *part) keptByNamespace() int { return p.onPartly(2) }

// onPartly is the n-th pod on that node, or its last one.
func (p *part) onPartly(n int) (pod int) {
	for on := range p.cluster.On(partlyNode) {
		if pod = on; n == 0 {
			break
		}
		n--
	}
	return pod
}

// look taints two nodes and looks whether the policies keep the pods that they select, and no others: memory is only worth measuring where
// labels are known.
func (p *part) look(ctx context.Context) error {
	name := func(pod int) string { return p.cluster.Pod(pod, 0, p.cluster.Began).Labels["app.kubernetes.io/name"] }
	workload, namespace := name(p.keptByPod()), load.Namespace(p.keptByNamespace())
	var scheduled []types.UID
	for pod := range p.cluster.On(partlyNode) {
		if !p.cluster.IsDaemon(pod) && name(pod) != workload && load.Namespace(pod) != namespace {
			scheduled = append(scheduled, load.PodUID(pod))
		}
	}
	for _, node := range []int{selectedNode, partlyNode} {
		if err := send(ctx, p.api.nodes.events, watch.Modified, p.cluster.Unreachable(node, p.version.Add(1), time.Now())); err != nil {
			return err
		}
	}
	if err := p.scheduled(ctx, scheduled); err != nil {
		return err
	}
	if err := rest(ctx); err != nil {
		return err
	}
	return p.check(len(scheduled))
}

// labelsPerPod is how much memory labels, and policies that select by them, take for each pod; NaN where that was not measured.
func (r result) labelsPerPod() float64 {
	if r.Selecting == nil || r.Unlabelled == nil {
		return math.NaN()
	}
	return r.Selecting.HeapPerPod - r.Unlabelled.HeapPerPod + labelsPointer
}

// labelsPerPodText says whether that is as little as it should be.
func (r result) labelsPerPodText() string {
	switch per := r.labelsPerPod(); {
	case math.IsNaN(per):
		return "—"
	case per > labelsGoal:
		return fmt.Sprintf("%.0f B: **too much**", per)
	default:
		return fmt.Sprintf("%.0f B", per)
	}
}

// labelsPerNodeText is how much memory labels take for each node, each of which has labels of its own.
func (r result) labelsPerNodeText() string {
	if r.Selecting == nil || r.Unlabelled == nil {
		return "—"
	}
	return fmt.Sprintf("%.0f B", r.Selecting.HeapPerNode-r.Unlabelled.HeapPerNode)
}

// memory is what a process measures that measures nothing else.
type memory struct {
	HeapPerNode float64 `json:"liveHeapPerNode"`
	HeapPerPod  float64 `json:"liveHeapPerPod"`
}
