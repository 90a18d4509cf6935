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

package brake

import (
	"container/list"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/util/sets"
)

// pace limits how fast nodes begin to evict. Nodes wait in the order in which they first asked.
type pace struct {
	every   time.Duration
	burst   int
	limiter *rate.Limiter
	// leading is whether this replica may let a node begin.
	leading bool
	begun   sets.Set[string]
	waiting *list.List
	places  map[string]*list.Element
}

// newPace returns a pace with nothing to spend yet.
func newPace(nodesPerMinute, burst int, now time.Time) *pace {
	p := &pace{
		every: time.Minute / time.Duration(nodesPerMinute), burst: max(1, burst),
		begun: sets.New[string](), waiting: list.New(), places: map[string]*list.Element{},
	}
	p.empty(now)
	return p
}

// empty takes away what there is to spend.
func (p *pace) empty(now time.Time) {
	p.limiter = rate.NewLimiter(rate.Every(p.every), p.burst)
	p.limiter.AllowN(now, p.burst)
}

// lead begins or ends the time in which this replica may let nodes begin.
func (p *pace) lead(leading bool, now time.Time) {
	if leading && !p.leading {
		p.empty(now) // another replica may have spent it
	}
	p.leading = leading
}

// wait has a node wait for its turn, unless it has begun.
func (p *pace) wait(name string) {
	if _, waits := p.places[name]; !waits && !p.begun.Has(name) {
		p.places[name] = p.waiting.PushBack(name)
	}
}

// grant lets nodes begin, as many as may at a time, and returns them.
func (p *pace) grant(now time.Time) (begun []string) {
	for p.leading && p.waiting.Len() > 0 && p.limiter.AllowN(now, 1) {
		name := p.waiting.Front().Value.(string)
		p.leave(name)
		p.begun.Insert(name)
		begun = append(begun, name)
	}
	return begun
}

// leave ends the waiting of a node.
func (p *pace) leave(name string) {
	if place, waits := p.places[name]; waits {
		p.waiting.Remove(place)
		delete(p.places, name)
	}
}

// forget makes a node one that has not begun.
func (p *pace) forget(name string) {
	p.leave(name)
	p.begun.Delete(name)
}

// next returns when the first node that waits may begin. It is zero if none waits, or if this replica may not let it.
func (p *pace) next(now time.Time) time.Time {
	if !p.leading || p.waiting.Len() == 0 {
		return time.Time{}
	}
	missing := 1 - p.limiter.TokensAt(now)
	if missing <= 0 {
		return now
	}
	// Up to the next millisecond, so that rounding does not make it a moment too early.
	return now.Add(time.Duration(missing * float64(p.every))).Truncate(time.Millisecond).Add(time.Millisecond)
}
