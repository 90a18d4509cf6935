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
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/connection"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

// Follower follows some nodes and the pods on them by watches, and what decides about them. A watch that breaks begins again, with a list if
// need be, until the context is done. It is safe for concurrent use.
type Follower struct {
	reader    *Reader
	names     []string
	namespace string
	changed   chan struct{}
	// informers are by what they are of. Each node has its own, and its pods. What may be read and not listed has none: it stays as in first.
	informers map[string]cache.SharedIndexInformer
	first     *Snapshot

	lock sync.Mutex
	// broken are the errors of watches that do not work now, by what they are of. refused are those of lists without permission.
	broken, refused map[string]error
	unread          []Unread
	// nodes and pods are those of the last snapshot. They know when they were seen first.
	nodes map[string]seenNode
	pods  map[types.UID]*podcache.Pod
	// namespaces are the labels of namespaces, as of when readFor were the policies.
	namespaces map[string]labels.Set
	readFor    []*unstructured.Unstructured
}

// seenNode is a node, and when it was first seen with its taints.
type seenNode struct {
	node *v1.Node
	at   time.Time
}

// Follow reads some nodes and the pods on them, in a namespace or in all, and begins to follow them. It returns an error if they cannot be
// read. What else cannot be read is in Snapshot.Unread, and is not followed.
func (r *Reader) Follow(ctx context.Context, nodes []string, namespace string) (*Follower, error) {
	first, err := r.Read(ctx, Scope{Nodes: nodes, Pods: PodsOnNodes, Namespace: namespace, Budgets: true})
	if err != nil {
		return nil, err
	}
	f := &Follower{
		reader: r, names: nodes, namespace: namespace, changed: make(chan struct{}, 1), informers: map[string]cache.SharedIndexInformer{},
		first: first, unread: first.Unread, broken: map[string]error{}, refused: map[string]error{},
		nodes: map[string]seenNode{}, pods: map[types.UID]*podcache.Pod{}, namespaces: first.namespaces, readFor: first.objects,
	}
	if err := f.prepare(ctx); err != nil {
		return nil, err
	}
	stops := map[string]context.CancelFunc{}
	for what, informer := range f.informers {
		var its context.Context
		its, stops[what] = context.WithCancel(ctx)
		go informer.RunWithContext(its)
	}
	if err := f.sync(ctx, stops); err != nil {
		for _, stop := range stops {
			stop()
		}
		return nil, err
	}
	return f, nil
}

// sync waits until everything has been listed, and gives up following what the reader may not list.
func (f *Follower) sync(ctx context.Context, stops map[string]context.CancelFunc) error {
	for what, informer := range f.informers {
		err := wait.PollUntilContextCancel(ctx, syncInterval, true, func(context.Context) (bool, error) {
			return informer.HasSynced() || f.refusal(what) != nil, nil
		})
		switch refused := f.refusal(what); {
		case err != nil:
			return errors.Join(context.Cause(ctx), f.Err())
		case refused == nil:
		case what != followStarts && what != followBudgets && what != followPolicies:
			return fmt.Errorf("watching %s: %w", what, refused)
		default:
			stops[what]()
			delete(f.informers, what)
			f.lock.Lock()
			delete(f.broken, what)
			f.unread = append(slices.Clone(f.unread), Unread{
				What: "the watch of " + what, Error: refused.Error(), Means: "what has changed there since the beginning",
			})
			f.lock.Unlock()
		}
	}
	return nil
}

// syncInterval is the time between two looks whether everything has been listed.
const syncInterval = 50 * time.Millisecond

// refusal returns the error of a list without permission.
func (f *Follower) refusal(what string) error {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.refused[what]
}

// What is followed once. Nodes and the pods on them have names of their own.
const (
	followStarts, followBudgets, followPolicies = "ConfigMap", "disruption budgets", "policies"
)

// prepare makes the informers.
func (f *Follower) prepare(ctx context.Context) error {
	core, first, errs := f.reader.Kube.CoreV1(), f.first, []error{}
	named := func(name string) string { return fields.OneTermEqualSelector(metav1.ObjectNameField, name).String() }
	for _, name := range f.names {
		onNode := fields.OneTermEqualSelector("spec.nodeName", name).String()
		errs = append(errs, follow(f, "pods on node "+name, &v1.Pod{}, onNode, core.Pods(f.namespace)),
			follow(f, "node "+name, &v1.Node{}, named(name), core.Nodes()))
	}
	if first.Starts != nil {
		errs = append(errs, follow(f, followStarts, &v1.ConfigMap{}, named(f.reader.Starts.Name), core.ConfigMaps(f.reader.Starts.Namespace)))
	}
	if !slices.ContainsFunc(first.Unread, func(u Unread) bool { return u.What == UnreadBudgets }) {
		budgets := f.reader.Kube.PolicyV1().PodDisruptionBudgets(f.namespace)
		errs = append(errs, follow(f, followBudgets, &policyv1.PodDisruptionBudget{}, "", budgets))
	}
	if !first.PoliciesUnread && !f.reader.notServed(ctx) {
		policies := f.reader.Dynamic.Resource(v1alpha1.GroupVersion.WithResource("taintevictionpolicies"))
		errs = append(errs, follow(f, followPolicies, &unstructured.Unstructured{}, "", policies))
	}
	return errors.Join(errs...)
}

// listWatcher is a client of a resource.
type listWatcher[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// follow makes an informer of the objects that a field selector selects.
func follow[L runtime.Object](f *Follower, what string, example runtime.Object, selector string, client listWatcher[L]) error {
	calls := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = selector
			list, err := connection.UntilReached(ctx, func() (L, error) {
				list, err := client.List(ctx, options)
				f.note(ctx, what, err)
				return list, err
			})
			f.noteRefusal(what, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = selector
			return connection.UntilReached(ctx, func() (watch.Interface, error) {
				events, err := client.Watch(ctx, options)
				f.note(ctx, what, err)
				return events, err
			})
		},
	}
	informer := cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(calls, f.reader.Kube), example, 0, cache.Indexers{})
	if err := informer.SetTransform(trimmed); err != nil {
		return err
	}
	f.informers[what] = informer
	notify := func(any) { f.notify() }
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: notify, UpdateFunc: func(_, _ any) { f.notify() }, DeleteFunc: notify,
	})
	// Errors are noted where calls are made. The default logs them, and waits for others to be logged.
	return errors.Join(err, informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {}))
}

// note keeps the error of a call, or that it went well.
func (f *Follower) note(ctx context.Context, what string, err error) {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return // the list that follows tells
	}
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err // without the address, which is long
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	switch _, was := f.broken[what]; {
	case err == nil && was:
		delete(f.broken, what)
	case err != nil && ctx.Err() == nil:
		f.broken[what] = err
	default:
		return
	}
	f.notify()
}

// noteRefusal keeps the error of a list without permission.
func (f *Follower) noteRefusal(what string, err error) {
	if !apierrors.IsForbidden(err) {
		return
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	f.refused[what] = err
}

func (f *Follower) notify() {
	select {
	case f.changed <- struct{}{}:
	default: // there is one
	}
}

// Changed returns a channel that has a value when something has changed since the last one was taken.
func (f *Follower) Changed() <-chan struct{} { return f.changed }

// Err returns the errors of watches that do not work now. What they are of is as it was seen last.
func (f *Follower) Err() error {
	f.lock.Lock()
	defer f.lock.Unlock()
	var errs []error
	for _, what := range slices.Sorted(maps.Keys(f.broken)) {
		errs = append(errs, fmt.Errorf("watching %s: %w", what, f.broken[what]))
	}
	return errors.Join(errs...)
}

// Snapshot returns a snapshot of what was seen last, and the pods in it as the API has them, by UID.
func (f *Follower) Snapshot(ctx context.Context) (*Snapshot, map[types.UID]*v1.Pod) {
	f.lock.Lock()
	defer f.lock.Unlock()
	in := Input{
		At: f.reader.Clock.Now(), Server: f.reader.Server, Choices: f.reader.Choices, PoliciesUnread: f.first.PoliciesUnread,
		Unread: slices.Clone(f.unread), Budgets: f.first.Budgets, Policies: f.first.objects, Starts: f.first.Starts,
	}
	if f.informers[followBudgets] != nil {
		in.Budgets = all[*policyv1.PodDisruptionBudget](f, followBudgets)
	}
	if f.informers[followPolicies] != nil {
		in.Policies = all[*unstructured.Unstructured](f, followPolicies)
	}
	for _, starts := range all[*v1.ConfigMap](f, followStarts) {
		in.Starts = starts
	}
	for _, name := range f.names {
		for _, node := range all[*v1.Node](f, "node "+name) {
			in.Nodes = append(in.Nodes, podcache.NewNode(node, f.seeNode(node, in.At), 1))
		}
	}
	pods := map[types.UID]*v1.Pod{}
	for _, name := range f.names {
		for _, pod := range all[*v1.Pod](f, "pods on node "+name) {
			pods[pod.UID] = pod
			in.Pods = append(in.Pods, f.seePod(pod, in.At))
		}
	}
	maps.DeleteFunc(f.pods, func(uid types.UID, _ *podcache.Pod) bool { return pods[uid] == nil })
	f.readNamespaces(ctx, &in)
	return New(in), pods
}

// seeNode returns since when a node has been seen with its taints.
func (f *Follower) seeNode(node *v1.Node, now time.Time) time.Time {
	before, seen := f.nodes[node.Name]
	if !seen || before.node.UID != node.UID || !equality.Semantic.DeepEqual(before.node.Spec.Taints, node.Spec.Taints) {
		before.at = now
	}
	f.nodes[node.Name] = seenNode{node, before.at}
	return before.at
}

// seePod returns a pod that knows since when it has been seen.
func (f *Follower) seePod(pod *v1.Pod, now time.Time) *podcache.Pod {
	compact := podcache.NewPod(pod, now)
	if before := f.pods[pod.UID]; before != nil {
		compact.CarryOver(before, f.reader.Server)
	}
	f.pods[pod.UID] = compact
	return compact
}
