package podcache

import (
	"sync"

	"k8s.io/apimachinery/pkg/watch"
)

// relay is a watch that passes on what another one brings. (apimachinery's watch.Filter is not enough: it leaves its goroutine
// behind where a watch is stopped while an event is passed on.)
type relay struct {
	upstream watch.Interface
	events   chan watch.Event
	once     sync.Once
	stopped  chan struct{}
	// cancel, if not nil, ends the call that opened upstream.
	cancel func()
}

func newRelay(upstream watch.Interface, cancel func()) *relay {
	return &relay{upstream: upstream, events: make(chan watch.Event), stopped: make(chan struct{}), cancel: cancel}
}

// ResultChan returns what is passed on.
func (r *relay) ResultChan() <-chan watch.Event { return r.events }

// Stop ends both watches.
func (r *relay) Stop() {
	r.once.Do(func() {
		close(r.stopped)
		if r.cancel != nil {
			r.cancel()
		}
		r.upstream.Stop()
	})
}

// pass passes an event on, and reports whether it was taken: it is not where the watch is stopped.
func (r *relay) pass(event watch.Event) bool {
	select {
	case r.events <- event:
		return true
	case <-r.stopped:
		return false
	}
}
