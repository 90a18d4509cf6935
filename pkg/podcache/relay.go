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
	"sync"

	"k8s.io/apimachinery/pkg/watch"
)

// relay is a watch that passes on the events of another one. watch.Filter of apimachinery leaks its goroutine if it is
// stopped while an event is passed on.
type relay struct {
	upstream watch.Interface
	events   chan watch.Event
	once     sync.Once
	stopped  chan struct{}
	// cancel, if not nil, cancels the call that opened upstream.
	cancel func()
}

func newRelay(upstream watch.Interface, cancel func()) *relay {
	return &relay{upstream: upstream, events: make(chan watch.Event), stopped: make(chan struct{}), cancel: cancel}
}

// ResultChan returns the channel of events.
func (r *relay) ResultChan() <-chan watch.Event { return r.events }

// Stop stops both watches.
func (r *relay) Stop() {
	r.once.Do(func() {
		close(r.stopped)
		if r.cancel != nil {
			r.cancel()
		}
		r.upstream.Stop()
	})
}

// pass passes an event on. It returns false if the watch was stopped instead.
func (r *relay) pass(event watch.Event) bool {
	select {
	case r.events <- event:
		return true
	case <-r.stopped:
		return false
	}
}
