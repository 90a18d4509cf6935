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

package evictor

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

const (
	// readInterval is the mean time between the starts of two reads of one node. freshFor is the least time where the last read is only
	// too old.
	readInterval = time.Second
	// minReadInterval is the least time where the last read began before a pod was due, and so proves nothing about it.
	minReadInterval = 400 * time.Millisecond
	// readBurst is how many reads of a node may follow each other without readInterval. So for a time no pod waits for the next read:
	// not one of those that fall due one after another, and not in a storm, whenever a read has become too old.
	readBurst = 30
	// freshFor is how long after its answer a read may be decided on. The DELETE has to be sent within a second after the answer, and some
	// time passes between decision and sending.
	freshFor = 950 * time.Millisecond
)

// NodeReading is the result of a live read of a node.
type NodeReading struct {
	// Began is when the read was sent: the node was as read at Began or later.
	Began time.Time
	// Answered is when the answer arrived.
	Answered time.Time
	// Exists is false if there is no such node.
	Exists bool
	// Observation is what the node says about its taints. It is zero unless Exists.
	taintstart.Observation
	// Labels are those of the node. They are nil unless Exists.
	Labels labels.Labels
}

// nodeReader makes live reads of nodes, which evictions from a node share.
type nodeReader struct {
	// admit waits for the client's rate limit, before a read begins.
	admit func(ctx context.Context) error
	get   func(ctx context.Context, name string) (*v1.Node, error)
	clock clock.PassiveClock
	// observer observes how long each read took, from when it was sent; nil for nobody.
	observer Observer

	lock  sync.Mutex
	nodes map[string]*nodeReads
}

// nodeReads are the reads of one node: the last one, and the limiter of their rate.
type nodeReads struct {
	limiter *rate.Limiter
	last    *sharedRead
}

func newNodeReads() *nodeReads {
	return &nodeReads{limiter: rate.NewLimiter(rate.Every(readInterval), readBurst)}
}

// delay returns how long to wait before the next read may begin. If that is 0, the caller has to begin it now.
func (n *nodeReads) delay(now, notBefore time.Time) time.Duration {
	if n.last != nil {
		interval := freshFor
		if n.last.began.Before(notBefore) {
			interval = minReadInterval
		}
		if age := now.Sub(n.last.began); age < interval {
			return min(interval-age, interval) // age is negative if the clock went back
		}
	}
	reservation := n.limiter.ReserveN(now, 1)
	delay := reservation.DelayFrom(now)
	if delay > 0 {
		reservation.CancelAt(now)
	}
	return delay
}

// idle reports whether the node can be forgotten without loss.
func (n *nodeReads) idle(now time.Time) bool {
	return n.last.ended() && n.limiter.TokensAt(now) >= readBurst
}

// sharedRead is the last read of one node.
type sharedRead struct {
	began, answered time.Time
	reading         NodeReading
	err             error
	// done is closed when the read has ended. The fields above are set before.
	done chan struct{}
}

// read returns a reading that is fresh now and did not begin before a moment, however long that takes. It shares a read that is fresh or
// in flight, or else waits until one may begin. took is the duration of the slowest read that this call made itself. It returns an error
// if two reads that it waited for cannot be used: the clock went back, or the process was stopped for a while.
func (r *nodeReader) read(ctx context.Context, name string, notBefore time.Time) (reading NodeReading, took time.Duration, err error) {
	for waited := 0; waited < 2; {
		last, wait, mine := r.join(name, notBefore)
		switch {
		case wait > 0:
			if err := sleep(ctx, wait); err != nil {
				return NodeReading{}, took, err
			}
			continue
		case mine:
			r.fetch(ctx, name, last)
			took = max(took, last.answered.Sub(last.began))
		default:
			select {
			case <-ctx.Done():
				return NodeReading{}, took, ctx.Err()
			case <-last.done:
			}
		}
		if last.err != nil {
			return NodeReading{}, took, fmt.Errorf("reading node %s: %w", name, last.err)
		}
		if r.serves(last, notBefore) {
			return last.reading, took, nil
		}
		waited++
	}
	return NodeReading{}, took, fmt.Errorf("what was read of node %s is too old to decide on", name)
}

// serves reports whether a read that has ended may be decided on now.
func (r *nodeReader) serves(read *sharedRead, notBefore time.Time) bool {
	return r.clock.Since(read.answered) < freshFor && !read.began.Before(notBefore)
}

// join returns the read to wait for; or how long to wait before another may begin; or, with mine, a new read that the caller has to make.
func (r *nodeReader) join(name string, notBefore time.Time) (last *sharedRead, wait time.Duration, mine bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	now := r.clock.Now()
	node := r.nodes[name]
	if node == nil {
		// So the map has only nodes from which pods are being evicted.
		maps.DeleteFunc(r.nodes, func(_ string, other *nodeReads) bool { return other.idle(now) })
		node = newNodeReads()
		r.nodes[name] = node
	}
	if last = node.last; last != nil && (!last.ended() || r.serves(last, notBefore)) {
		return last, 0, false
	}
	if wait = node.delay(now, notBefore); wait > 0 {
		return nil, wait, false
	}
	node.last = &sharedRead{began: now, done: make(chan struct{})}
	return node.last, 0, true
}

func (s *sharedRead) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// fetch makes the read.
func (r *nodeReader) fetch(ctx context.Context, name string, read *sharedRead) {
	defer close(read.done)
	if read.err = r.admit(ctx); read.err != nil {
		return
	}
	r.lock.Lock()
	read.began = r.clock.Now()
	r.lock.Unlock()
	node, err := r.get(ctx, name)
	read.answered = r.clock.Now()
	if r.observer != nil {
		r.observer.Observe(read.answered.Sub(read.began).Seconds())
	}
	read.reading = NodeReading{Began: read.began, Answered: read.answered}
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		read.err = err
	default:
		read.reading.Exists, read.reading.Observation = true, taintstart.Observe(node, r.clock.Now(), 0)
		read.reading.Labels = labels.Set(node.Labels)
	}
}

// sleep waits, or returns the error of ctx when that is done.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
