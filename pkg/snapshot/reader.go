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

package snapshot

import (
	"context"
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// Reader reads snapshots of a cluster.
type Reader struct {
	// Kube reads what is read whole. Compact reads pods and nodes, and decodes no more of them than is kept.
	Kube    kubernetes.Interface
	Compact typedcorev1.CoreV1Interface
	// Dynamic reads policies, and Metadata the labels of namespaces.
	Dynamic  dynamic.Interface
	Metadata metadata.Interface
	// Clock is the local clock, and Server the API server's. Server may be nil.
	Clock  clock.PassiveClock
	Server *serverclock.Clock
	// Starts is the ConfigMap that keeps starts of taints.
	Starts types.NamespacedName
	// Choices are the flags of the controller that change decisions.
	Choices deadline.Rules
	// Progress, if set, is called when a page has been read, with the number of objects so far.
	Progress func(resource string, objects int)
}

// NewReader returns a reader whose clients use a configuration. The caller sets Starts, Choices and Progress.
func NewReader(config *rest.Config) (*Reader, error) {
	local := serverclock.NewSteady()
	r := &Reader{Clock: local, Server: serverclock.New(local)}
	config = rest.CopyConfig(config)
	config.Wrap(r.Server.Wrap)
	config.QPS = -1 // a few calls, one after another
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	var err error
	if r.Compact, err = podcache.NewClient(config); err != nil {
		return nil, err
	}
	if r.Kube, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if r.Metadata, err = metadata.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("client for metadata: %w", err)
	}
	if r.Dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("client for policies: %w", err)
	}
	return r, nil
}

// Now returns the API server's time as far as its answers tell it, and otherwise the local time.
func (r *Reader) Now() time.Time {
	return r.Server.At(r.Clock.Now()).UTC()
}

// Scope says what is read. Policies and the ConfigMap always are.
type Scope struct {
	// Nodes are the names of the nodes that are read. Nil is all. NodeSelector selects among all.
	Nodes        []string
	NodeSelector string
	// Pods says which pods are read.
	Pods Pods
	// Namespace is the namespace of pods and budgets that are read. Empty is all.
	Namespace string
	// PodSelector selects pods by their labels.
	PodSelector string
	// Keep, if set, says which of the pods that are read the snapshot has.
	Keep func(pod *v1.Pod) bool
	// Budgets has disruption budgets read.
	Budgets bool
	// Whole, if set, is called with each pod and each node as the API has it, which must not be kept. Without it only what a snapshot keeps
	// is decoded, which is several times as fast.
	Whole func(object runtime.Object)
}

// Pods says which pods are read.
type Pods int

const (
	// NoPods reads none.
	NoPods Pods = iota
	// PodsOnNodes reads those on the nodes that are read.
	PodsOnNodes
	// BoundPods reads all pods that are bound to a node.
	BoundPods
	// PodsOnTaintedNodes reads those on the nodes that are read and have a taint that may evict.
	PodsOnTaintedNodes
)

// Read reads a snapshot. It returns an error if the nodes or the pods cannot be read, because nothing is known then. What else cannot be
// read is in Snapshot.Unread.
func (r *Reader) Read(ctx context.Context, scope Scope) (*Snapshot, error) {
	in := Input{Server: r.Server, Choices: r.Choices}
	unread, err := r.readStarts(ctx, &in)
	if err != nil {
		return nil, err
	}
	in.Unread = append(in.Unread, unread...)
	if unread, err = r.readPolicies(ctx, &in); err != nil {
		return nil, err
	}
	in.Unread = append(in.Unread, unread...)
	if err := r.readNodes(ctx, &in, scope); err != nil {
		return nil, err
	}
	if err := r.readPods(ctx, &in, scope); err != nil {
		return nil, err
	}
	if scope.Budgets { // after the pods, which may take minutes: how old their status is counts
		if unread, err = r.readBudgets(ctx, &in, scope.Namespace); err != nil {
			return nil, err
		}
		in.Unread = append(in.Unread, unread...)
	}
	in.At = r.Clock.Now()
	return New(in), nil
}

// core returns the client for pods and nodes.
func (r *Reader) core(scope Scope) typedcorev1.CoreV1Interface {
	if scope.Whole != nil {
		return r.Kube.CoreV1()
	}
	return r.Compact
}

func (r *Reader) readNodes(ctx context.Context, in *Input, scope Scope) error {
	client := r.core(scope).Nodes()
	take := func(node *v1.Node) {
		in.Nodes = append(in.Nodes, podcache.NewNode(node, r.Clock.Now(), 1))
		if scope.Whole != nil {
			scope.Whole(node)
		}
	}
	if scope.Nodes != nil {
		for _, name := range scope.Nodes {
			node, err := client.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("reading node %s: %w", name, err)
			}
			take(node)
		}
		return nil
	}
	return pages(ctx, r, "nodes", metav1.ListOptions{LabelSelector: scope.NodeSelector}, func(ctx context.Context, options metav1.ListOptions) (metav1.ListInterface, int, error) {
		list, err := client.List(ctx, options)
		if err != nil {
			return nil, 0, err
		}
		for i := range list.Items {
			take(&list.Items[i])
		}
		return list, len(list.Items), nil
	}, func() { in.Nodes = nil })
}

func (r *Reader) readPods(ctx context.Context, in *Input, scope Scope) error {
	client := r.core(scope).Pods(scope.Namespace)
	var selectors []fields.Selector
	var only []string
	switch scope.Pods {
	case NoPods:
	case BoundPods:
		selectors = append(selectors, fields.OneTermNotEqualSelector("spec.nodeName", ""))
	case PodsOnNodes:
		for _, node := range in.Nodes {
			selectors = append(selectors, fields.OneTermEqualSelector("spec.nodeName", node.Name))
		}
	case PodsOnTaintedNodes:
		only = r.taintedNodes(in)
		selectors = podSelectors(only)
	}
	for _, selector := range selectors {
		before := len(in.Pods)
		options := metav1.ListOptions{FieldSelector: selector.String(), LabelSelector: scope.PodSelector}
		err := pages(ctx, r, "pods", options, func(ctx context.Context, options metav1.ListOptions) (metav1.ListInterface, int, error) {
			list, err := client.List(ctx, options)
			if err != nil {
				return nil, 0, err
			}
			for i := range list.Items {
				pod := &list.Items[i]
				if scope.Keep == nil || scope.Keep(pod) {
					in.Pods = append(in.Pods, podcache.NewPod(pod, r.Clock.Now()))
				}
				if scope.Whole != nil {
					scope.Whole(pod)
				}
			}
			return list, len(list.Items), nil
		}, func() { in.Pods = in.Pods[:before] })
		if err != nil {
			return err
		}
	}
	if only != nil {
		in.Pods = onNodes(in.Pods, only)
	}
	in.Pods = slices.Clip(in.Pods)
	return nil
}

func (r *Reader) readBudgets(ctx context.Context, in *Input, namespace string) ([]Unread, error) {
	keep := func(budget *policyv1.PodDisruptionBudget) (*policyv1.PodDisruptionBudget, bool) {
		kept := *budget
		for i := range kept.ManagedFields {
			kept.ManagedFields[i].FieldsV1 = nil // the larger part, of which nobody reads more than when it was written
		}
		return &kept, true
	}
	var err error
	in.Budgets, err = List(ctx, r, "poddisruptionbudgets", metav1.ListOptions{}, r.Kube.PolicyV1().PodDisruptionBudgets(namespace).List, keep)
	return Refused(err, UnreadBudgets, "whether a budget holds a pod that a policy of mode Evict makes go")
}

// Refused returns what is unread if an error says that the reader has no permission, and any other error as it is.
func Refused(err error, what, means string) ([]Unread, error) {
	if err == nil {
		return nil, nil
	}
	if apierrors.IsForbidden(err) {
		return []Unread{{What: what, Error: err.Error(), Means: means}}, nil
	}
	return nil, err
}
