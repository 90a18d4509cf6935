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
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

const (
	// readInterval is the mean time between the beginnings of two reads of one node. Where the last one has only become too
	// old, freshFor is the least.
	readInterval = time.Second
	// soonInterval is the least time where the last read began before a pod was due, and so proves nothing of it.
	soonInterval = 400 * time.Millisecond
	// savedReads is how many reads a node has to spare that had none for a while, so that for a time nobody waits for the
	// next one: not the pods that fall due one after another, nor a storm whenever a read has become too old.
	savedReads = 30
	// freshFor is how long after its answer a read may be decided on: the rule says a second before the DELETE is
	// sent, and between the decision and the sending some time passes.
	freshFor = 950 * time.Millisecond
)

// NodeReading is what a live read of a node found.
type NodeReading struct {
	// Began is when the read was sent: the node was so at Began or later.
	Began time.Time
	// Answered is when the answer was there.
	Answered time.Time
	// Exists is false where there is no such node.
	Exists bool
	// Observation is what the node says of its taints. Zero unless Exists.
	taintstart.Observation
}

// nodeReader reads nodes for many evictions at once.
type nodeReader struct {
	// admit waits for the client's rate limit; a read begins after it.
	admit func(ctx context.Context) error
	get   func(ctx context.Context, name string) (*v1.Node, error)
	clock clock.WithTicker

	lock  sync.Mutex
	nodes map[string]*pacedNode
}

// pacedNode is a node that is being read.
type pacedNode struct {
	pace *rate.Limiter
	last *sharedRead
}

func newPacedNode() *pacedNode {
	return &pacedNode{pace: rate.NewLimiter(rate.Every(readInterval), savedReads)}
}

// pause is how long to wait before the next read may begin; after 0 it begins now.
func (n *pacedNode) pause(now, notBefore time.Time) time.Duration {
	if n.last != nil {
		interval := freshFor
		if n.last.began.Before(notBefore) {
			interval = soonInterval
		}
		if age := now.Sub(n.last.began); age < interval {
			return min(interval-age, interval) // age is below zero where the clock went back
		}
	}
	reservation := n.pace.ReserveN(now, 1)
	pause := reservation.DelayFrom(now)
	if pause > 0 {
		reservation.CancelAt(now)
	}
	return pause
}

// idle says whether nothing would be lost by forgetting the node.
func (n *pacedNode) idle(now time.Time) bool {
	return n.last.ended() && n.pace.TokensAt(now) >= savedReads
}

// sharedRead is the last read of one node.
type sharedRead struct {
	began, answered time.Time
	reading         NodeReading
	err             error
	// done is closed when the read has ended.
	done chan struct{}
}

// read returns a reading that is fresh now and did not begin before a moment, however long that takes. It shares a read that is
// fresh or under way, or else waits until one may begin. took is how long the slowest read took that this call has made itself.
// It is an error where two reads that were waited for do not serve: the clock went back, or we were stopped for a while.
func (r *nodeReader) read(ctx context.Context, name string, notBefore time.Time) (reading NodeReading, took time.Duration, err error) {
	for waited := 0; waited < 2; {
		last, wait, mine := r.join(name, notBefore)
		switch {
		case wait > 0:
			if err := sleep(ctx, r.clock, wait); err != nil {
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

// serves says whether a read that has ended may be decided on now.
func (r *nodeReader) serves(read *sharedRead, notBefore time.Time) bool {
	return r.clock.Since(read.answered) < freshFor && !read.began.Before(notBefore)
}

// join returns the read to wait for, or how long to wait before there may be another, or a new one that the caller makes.
func (r *nodeReader) join(name string, notBefore time.Time) (last *sharedRead, wait time.Duration, mine bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	now := r.clock.Now()
	node := r.nodes[name]
	if node == nil {
		// The map does not outgrow the nodes that evictions go on at.
		maps.DeleteFunc(r.nodes, func(_ string, other *pacedNode) bool { return other.idle(now) })
		node = newPacedNode()
		r.nodes[name] = node
	}
	if last = node.last; last != nil && (!last.ended() || r.serves(last, notBefore)) {
		return last, 0, false
	}
	if wait = node.pause(now, notBefore); wait > 0 {
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

// fetch makes the read. The node is read from the API server's storage, not from its cache: no resource version is given.
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
	read.reading = NodeReading{Began: read.began, Answered: read.answered}
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		read.err = err
	default:
		read.reading.Exists, read.reading.Observation = true, taintstart.Observe(node, r.clock.Now(), 0)
	}
}

// sleep waits, or returns why ctx is over.
func sleep(ctx context.Context, clock clock.WithTicker, d time.Duration) error {
	timer := clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		return nil
	}
}
