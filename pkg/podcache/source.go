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
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/connection"
)

const (
	// errorLogInterval is the time between two error messages about one resource that cannot be read.
	errorLogInterval = 10 * time.Second
	// reconnectInterval is the longest time between two calls to an API server that cannot be reached.
	reconnectInterval = time.Second
)

// Source is where an informer lists and watches. It counts the lists, and knows and says whether the last call was answered, and whether
// it keeps up.
type Source struct {
	resource      string
	listerWatcher cache.ListerWatcher
	// distil makes of an API object what is kept of it.
	transform cache.TransformFunc
	lists     atomic.Uint64
	progress  progress
	failure   atomic.Pointer[error]
	errorLog  *rate.Sometimes
	// listed, where it is set, is told of each list that has been read: see ListObserver. now is its clock.
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

// reached calls until the call reaches the API server. What that answers is for the reflector, whose backoff then spares
// it; but that grows to half a minute, and a server that was away would be back for so long before we look.
func untilReached[T any](ctx context.Context, s *Source, call func() (T, error)) (T, error) {
	for {
		result, err := call()
		s.recordResult(ctx, err)
		if !connection.Failed(err) {
			return result, err
		}
		select {
		case <-ctx.Done():
			return result, err
		case <-time.After(wait.Jitter(reconnectInterval/2, 1)):
		}
	}
}

// note remembers how a call ended, and logs why the resource cannot be read, and what to do. The reflector tries again with
// a backoff of its own, and does not report every error.
func (s *Source) recordResult(ctx context.Context, err error) {
	switch {
	case err == nil, ctx.Err() != nil,
		apierrors.IsResourceExpired(err), apierrors.IsGone(err), // a watch that is too old to go on is listed anew
		apierrors.IsInvalid(err),   // an API server that streams no lists is listed in the old way
		errors.Is(err, errStalled): // as is one whose streaming lists do not end
		s.failure.Store(nil)
		return
	}
	s.failure.Store(&err)
	s.progress.begin()
	s.errorLog.Do(func() {
		logger := klog.FromContext(ctx).WithValues("resource", s.resource)
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			logger.Error(err, "Not allowed to read: grant list and watch on "+s.resource+" to our account; trying again")
		} else {
			logger.Error(err, "Cannot read from the API server: check that it runs and that the kubeconfig names its address; trying again")
		}
	})
}

// Err is why the resource cannot be read at the moment, or nil where the API server answered the last call and the source is not blind.
func (s *Source) Err() error {
	if err := s.failure.Load(); err != nil {
		return fmt.Errorf("reading %s: %w", s.resource, *err)
	}
	return s.Stale()
}
