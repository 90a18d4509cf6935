package podcache

import (
	"context"
	"fmt"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// Source is where an informer lists and watches. It counts the lists, and knows whether the last call was answered.
type Source struct {
	resource      string
	listerWatcher cache.ListerWatcher
	lists         atomic.Uint64
	failure       atomic.Pointer[error]
}

type (
	listFunc  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watchFunc func(context.Context, metav1.ListOptions) (watch.Interface, error)
)

func newSource(resource string, client kubernetes.Interface, list listFunc, open watchFunc) *Source {
	s := &Source{resource: resource}
	s.listerWatcher = cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			objects, err := list(ctx, options)
			s.lists.Add(1)
			return objects, s.note(err)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			events, err := open(ctx, options)
			if ptr.Deref(options.SendInitialEvents, false) {
				s.lists.Add(1) // a list by way of a watch
			}
			return events, s.note(err)
		},
	}, client)
	return s
}

func (s *Source) note(err error) error {
	if err != nil {
		s.failure.Store(&err)
	} else {
		s.failure.Store(nil)
	}
	return err
}

// Err is why the resource cannot be read at the moment, or nil where the API server answered the last call.
func (s *Source) Err() error {
	if err := s.failure.Load(); err != nil {
		return fmt.Errorf("reading %s: %w", s.resource, *err)
	}
	return nil
}
