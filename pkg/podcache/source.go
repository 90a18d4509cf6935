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

package podcache

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/connection"
)

// errorLogInterval is the shortest time between two errors logged for one resource that cannot be read.
const errorLogInterval = 10 * time.Second

// Source lists and watches one resource for an informer. It numbers the lists, and tracks whether the last call was
// answered and whether it is up to date.
type Source struct {
	resource      string
	listerWatcher cache.ListerWatcher
	// transform converts an API object to what is kept of it.
	transform cache.TransformFunc
	lists     atomic.Uint64
	progress  progress
	failure   atomic.Pointer[error]
	errorLog  *rate.Sometimes
	// listed, if set, is called for each complete list: see ListObserver.ListCompleted. now is its clock.
	listed func(list uint64, sent time.Time, resourceVersion string)
	now    func() time.Time
}

type (
	listFunc  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watchFunc func(context.Context, metav1.ListOptions) (watch.Interface, error)
)

func newSource(resource string, client typedcorev1.CoreV1Interface, list listFunc, open watchFunc) *Source {
	s := &Source{resource: resource, errorLog: &rate.Sometimes{Interval: errorLogInterval}}
	s.listerWatcher = cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
			return s.list(ctx, list)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			if ptr.Deref(options.SendInitialEvents, false) {
				return s.stream(ctx, options, open)
			}
			return s.watch(ctx, options, open)
		},
	}, client)
	return s
}

// untilReached repeats a call until it reaches the API server, and records how each one ended.
func untilReached[T any](ctx context.Context, s *Source, call func() (T, error)) (T, error) {
	return connection.UntilReached(ctx, func() (T, error) {
		result, err := call()
		s.recordResult(ctx, err)
		return result, err
	})
}

// recordResult records how a call ended, and logs why the resource cannot be read and what to do. The reflector retries,
// and does not report every error.
func (s *Source) recordResult(ctx context.Context, err error) {
	switch {
	case err == nil, ctx.Err() != nil,
		apierrors.IsResourceExpired(err), apierrors.IsGone(err), // the reflector lists again
		apierrors.IsInvalid(err),   // the API server does not stream lists: they are paged
		errors.Is(err, errStalled): // its streaming lists do not end: they are paged
		s.failure.Store(nil)
		return
	}
	s.failure.Store(&err)
	s.progress.begin()
	s.errorLog.Do(func() {
		logger := klog.FromContext(ctx).WithValues("resource", s.resource)
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			logger.Error(err, "Not allowed to read, retrying; grant list and watch on "+s.resource+" to the service account")
		} else {
			logger.Error(err, "Cannot read from the API server, retrying; check that it runs and that the kubeconfig has its address")
		}
	})
}

// Err returns why the resource cannot be read now or is stale, or nil.
func (s *Source) Err() error {
	if err := s.failure.Load(); err != nil {
		return fmt.Errorf("reading %s: %w", s.resource, *err)
	}
	return s.Stale()
}
