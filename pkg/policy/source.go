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

package policy

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

const (
	// discoverInterval is the time between two looks for the CRD where there is none.
	discoverInterval = 10 * time.Second
	// retryInterval is the longest time between two attempts to read policies.
	retryInterval = time.Second
	// errorLogInterval is the shortest time between two errors logged for policies that cannot be read.
	errorLogInterval = 10 * time.Second
)

// resource returns the resource of policies.
func resource() schema.GroupVersionResource {
	return v1alpha1.GroupVersion.WithResource("taintevictionpolicies")
}

// Config is what a source needs. All fields are required, except where they say otherwise.
type Config struct {
	// Discovery tells whether policies are served. Every account may ask it.
	Discovery discovery.ServerResourcesInterfaceWithContext
	// Policies reads policies.
	Policies dynamic.Interface
	// Namespaces reads the labels of namespaces, once a policy selects by them.
	Namespaces metadata.Interface
	// Clock converts API times.
	Clock *serverclock.Clock
	// Local is the timeline that it converts them to. It is that of the machine if this is nil.
	Local clock.PassiveClock
}

// Source reads the policies of the cluster. See the package documentation for what happens where they cannot be read.
type Source struct {
	config     Config
	set        *set
	namespaces *namespaces
	// changed holds a token after the policies that apply have changed, or what they select.
	changed chan struct{}
	// read is true while it is known which policies there are, or were when they could be read last. failure is why they cannot be read now,
	// or nil.
	read     atomic.Bool
	failure  atomic.Pointer[error]
	errorLog *rate.Sometimes
	pauses   pauseLog
}

// NewSource returns a source that has not been started.
func NewSource(config Config) (*Source, error) {
	s := &Source{config: config, changed: make(chan struct{}, 1), errorLog: &rate.Sometimes{Interval: errorLogInterval}}
	if s.config.Local == nil {
		s.config.Local = clock.RealClock{}
	}
	s.set = newSet(func(object *unstructured.Unstructured) (compiled, error) {
		return compile(object, config.Clock, s.config.Local.Now())
	})
	var err error
	s.namespaces, err = newNamespaces(config.Namespaces, s.signal)
	return s, err
}

// Policies returns the policies that apply, in the order in which they do. The caller does not change them.
func (s *Source) Policies() []deadline.Policy { return *s.set.ordered.Load() }

// NamespaceLabels returns the labels of a namespace, or nil if they are not known.
func (s *Source) NamespaceLabels(name string) labels.Labels { return s.namespaces.labels(name) }

// Changed returns a channel that receives after the policies that apply have changed, or what they select.
func (s *Source) Changed() <-chan struct{} { return s.changed }

// FollowClock makes the times of policies anew after the estimate of the API server's clock has moved. The caller decides again on all pods.
func (s *Source) FollowClock(ctx context.Context) {
	s.set.retime(s.config.Clock)
	s.logPauses(ctx)
}

func (s *Source) signal() {
	select {
	case s.changed <- struct{}{}:
	default: // there is one
	}
}

// HasSynced reports whether it is known which policies there are, or were when they could be read last.
func (s *Source) HasSynced() bool { return s.read.Load() }

func (s *Source) all() *set { return s.set }

// Err returns why policies cannot be read now, or nil.
func (s *Source) Err() error {
	if err := s.failure.Load(); err != nil {
		return fmt.Errorf("reading policies: %w", *err)
	}
	return nil
}

// Run reads the policies until ctx is done.
func (s *Source) Run(ctx context.Context) {
	defer s.namespaces.wait()
	defer s.pauses.stop()
	for ctx.Err() == nil {
		switch served, err := s.served(ctx); {
		case err != nil:
			s.recordResult(ctx, err)
			sleep(ctx, wait.Jitter(retryInterval/2, 1))
		case served:
			s.follow(ctx)
		default:
			s.recordResult(ctx, nil)
			s.replace(ctx, nil)
			s.set.forget()
			sleep(ctx, discoverInterval)
		}
	}
}

// served reports whether the API server serves policies. A list without permission is refused in the same way whether it does or not,
// so this asks discovery.
func (s *Source) served(ctx context.Context) (bool, error) {
	resources, err := s.config.Discovery.ServerResourcesForGroupVersionWithContext(ctx, v1alpha1.GroupVersion.String())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for %s: %w", resource().GroupResource(), err)
	}
	for i := range resources.APIResources {
		if resources.APIResources[i].Name == resource().Resource {
			return true, nil
		}
	}
	return false, nil
}

// follow lists and watches the policies, until they are not served any more, or may not be read, which does not tell whether they are
// served, or ctx is done. Until they have been read, a failure has all pods be kept.
func (s *Source) follow(ctx context.Context) {
	api := s.config.Policies.Resource(resource())
	reflector := cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			consistently(&options)
			list, err := api.List(ctx, options)
			s.recordResult(ctx, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			events, err := api.Watch(ctx, options)
			s.recordResult(ctx, err)
			return events, err
		},
	}, plainLists{}), &unstructured.Unstructured{}, store{ctx, s}, cache.ReflectorOptions{Name: "policies", TypeDescription: resource().Resource})
	for ctx.Err() == nil {
		err := reflector.ListAndWatchWithContext(ctx)
		if err != nil && !apierrors.IsNotFound(err) && s.set.hold() {
			s.read.Store(false)
			s.apply(ctx)
		}
		sleep(ctx, wait.Jitter(retryInterval/2, 1))
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return
		}
	}
}

// plainLists stands for a client that does not stream lists. Policies and namespaces are few, and the bookmark that ends a streaming list does not
// pass all proxies: without it, a replica would wait for ever.
type plainLists struct{ metadata.Interface }

// IsWatchListSemanticsUnSupported is what the reflector asks.
func (plainLists) IsWatchListSemanticsUnSupported() bool { return true }

// consistently has a list be as of now, as a streaming list is. Otherwise the first list may come from a cache that is behind, and lack a policy that
// keeps pods.
func consistently(options *metav1.ListOptions) {
	options.ResourceVersion, options.ResourceVersionMatch = "", ""
}

// recordResult records how a call ended, and logs why policies cannot be read and what to do.
func (s *Source) recordResult(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
		return
	case err == nil, apierrors.IsResourceExpired(err), apierrors.IsGone(err), apierrors.IsInvalid(err), apierrors.IsNotFound(err):
		s.failure.Store(nil)
		return
	}
	s.failure.Store(&err)
	s.errorLog.Do(func() {
		what := "Cannot read policies, retrying; those that were read last go on"
		if !s.set.wasRead() {
			what = "Cannot read policies, retrying; until they have been read, this replica evicts no pod"
		}
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			what += "; grant list and watch on " + resource().GroupResource().String() + " to the service account"
		}
		klog.FromContext(ctx).Error(err, what)
	})
}

// replace takes all policies of the cluster.
func (s *Source) replace(ctx context.Context, objects []*unstructured.Unstructured) {
	news, changed := s.set.replace(objects)
	for _, one := range news {
		s.report(ctx, one)
	}
	if first := !s.read.Swap(true); changed || first {
		s.apply(ctx)
	}
}

// put takes the next version of one policy.
func (s *Source) put(ctx context.Context, object *unstructured.Unstructured) {
	if now, isNew := s.set.put(object); isNew {
		s.report(ctx, now)
		s.apply(ctx)
	}
}

// remove drops a policy.
func (s *Source) remove(ctx context.Context, name string) {
	if s.set.remove(name) {
		klog.FromContext(ctx).Info("Policy is gone", "policy", name)
		s.apply(ctx)
	}
}

// apply has what depends on the policies follow them.
func (s *Source) apply(ctx context.Context) {
	for _, policy := range s.Policies() {
		if policy.Namespace != nil {
			s.namespaces.start(ctx)
		}
	}
	s.logPauses(ctx)
	s.signal()
}

// report logs a version of a policy.
func (s *Source) report(ctx context.Context, now state) {
	logger := klog.FromContext(ctx).WithValues("policy", now.applies.Name, "generation", now.generation)
	switch {
	case now.err == nil:
		logger.Info("Policy applies", "mode", now.applies.Mode, "matchingPrecedence", now.applies.precedence)
	case now.accepted:
		logger.Error(now.err, "Policy is not valid; the version that was accepted last still applies")
	default:
		logger.Error(now.err, "Policy is not valid; until it is, the pods that it may be about are kept", "taints", len(now.applies.Taints))
	}
}

// store is where the reflector puts policies.
type store struct {
	ctx    context.Context
	source *Source
}

var _ cache.ReflectorStore = store{}

func (s store) Add(obj any) error {
	s.source.put(s.ctx, obj.(*unstructured.Unstructured))
	return nil
}

func (s store) Update(obj any) error { return s.Add(obj) }

func (s store) Delete(obj any) error {
	s.source.remove(s.ctx, obj.(*unstructured.Unstructured).GetName())
	return nil
}

func (s store) Replace(all []any, _ string) error {
	objects := make([]*unstructured.Unstructured, 0, len(all))
	for _, obj := range all {
		objects = append(objects, obj.(*unstructured.Unstructured))
	}
	s.source.replace(s.ctx, objects)
	return nil
}

func (s store) Resync() error { return nil }

// sleep waits, or returns when ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
