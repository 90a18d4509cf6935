package evictor

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// Outcome says how an attempt ended that needs no retry as a failure.
type Outcome string

const (
	// Deleted: the API server accepted our DELETE.
	Deleted Outcome = "Deleted"
	// Gone: the pod did not exist any more.
	Gone Outcome = "Gone"
	// Terminating: the pod was being deleted already.
	Terminating Outcome = "Terminating"
	// NameReused: another pod has the name now.
	NameReused Outcome = "NameReused"
	// NotDue: by the live node and pod, the pod need not go, or not yet.
	NotDue Outcome = "NotDue"
)

// slowRead is how long a read of a node takes, at least, where the API server has too much to do.
const slowRead = time.Second

// Result is what came of an attempt.
type Result struct {
	Outcome Outcome
	// Decision is the last one taken, on which the pod was deleted or spared. Zero for the other outcomes.
	Decision deadline.Decision
	// ConditionRefused says that the pod was deleted without the condition DisruptionTarget.
	ConditionRefused bool
	// Unversioned says that the pod was deleted in whatever version it was: it had changed more often than it could be read,
	// decided on and deleted.
	Unversioned bool
	// NodeRead is how long the slowest read of the node took that this attempt made, for itself and for all others that waited
	// for it. It is known of an attempt that failed, too.
	NodeRead time.Duration
}

// Overloaded reports whether the API server, or its storage, was slow to answer a read of the node.
func (r Result) Overloaded() bool { return r.NodeRead >= slowRead }

// Decider says whether a pod is due.
type Decider interface {
	// Decide decides by a live node and a pod. It is asked right before each call that changes anything.
	Decide(node NodeReading, pod *podcache.Pod) (decision deadline.Decision, due bool)
	// DueSince is when it was known of a pod that it is due: its deadline, or later where we learnt later of the taints or
	// the pod. A read of the node that began before proves nothing, because the taint may have gone before the pod was due.
	DueSince(pod *podcache.Pod) time.Time
}

// Evictor removes pods.
type Evictor struct {
	client  typedcorev1.CoreV1Interface
	limiter flowcontrol.RateLimiter
	clock   clock.WithTicker
	server  *serverclock.Clock
	decider Decider
	nodes   *nodeReader
	// refusals are what is known of conditions that could not be written.
	refusals *refusals
}

// New returns an evictor. The client must have no rate limiter of its own: waiting between a decision and its DELETE is not
// allowed, so the limiter is asked before the decision. server tells the time that is written to the API.
func New(client typedcorev1.CoreV1Interface, limiter flowcontrol.RateLimiter, clock clock.WithTicker, server *serverclock.Clock, decider Decider) *Evictor {
	e := &Evictor{client: client, limiter: limiter, clock: clock, server: server, decider: decider, refusals: newRefusals(clock)}
	e.nodes = &nodeReader{admit: limiter.Wait, get: e.getNode, clock: clock, nodes: map[string]*pacedNode{}}
	return e
}

// Evict makes one attempt to remove the pod. An error means that the pod may still be there and due: try again later.
func (e *Evictor) Evict(ctx context.Context, pod *podcache.Pod) (Result, error) {
	a := &attempt{Evictor: e, pod: pod}
	result, err := a.run(ctx)
	if outcome := outcomeOf(err); outcome != "" {
		result, err = Result{Outcome: outcome}, nil
	}
	if err == nil && result.Outcome != NotDue {
		e.refusals.forget(pod.UID)
	}
	result.ConditionRefused = a.refused && result.Outcome == Deleted
	result.NodeRead = a.nodeRead
	return result, err
}

// ReadNode returns a live read of a node, which evictions may share: a node is read once a second at most, whatever for.
func (e *Evictor) ReadNode(ctx context.Context, name string) (NodeReading, error) {
	reading, _, err := e.nodes.read(ctx, name, time.Time{})
	return reading, err
}

// outcomeOf is the outcome that an error means, or empty where it is a failure.
func outcomeOf(err error) Outcome {
	switch {
	case apierrors.IsNotFound(err):
		return Gone
	case isUIDMismatch(err):
		return NameReused
	default:
		return ""
	}
}
