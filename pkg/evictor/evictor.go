package evictor

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

const (
	// callTimeout bounds each call, so that one that hangs does not hold its slot for long.
	callTimeout = 10 * time.Second
	// deletes is how often one attempt sends a DELETE when the pod keeps changing under it.
	deletes = 4
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

// Result is what came of an attempt without error.
type Result struct {
	Outcome Outcome
	// Decision is the last one taken, on which the pod was deleted or spared. Zero for the other outcomes.
	Decision deadline.Decision
	// ConditionRefused says that the pod was deleted without the condition DisruptionTarget.
	ConditionRefused bool
}

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
	decider Decider
	nodes   *nodeReader
}

// New returns an evictor. The client must have no rate limiter of its own: waiting between a decision and its DELETE is not
// allowed, so the limiter is asked before the decision.
func New(client typedcorev1.CoreV1Interface, limiter flowcontrol.RateLimiter, clock clock.WithTicker, decider Decider) *Evictor {
	e := &Evictor{client: client, limiter: limiter, clock: clock, decider: decider}
	e.nodes = &nodeReader{admit: limiter.Wait, get: e.getNode, clock: clock, nodes: map[string]*pacedNode{}}
	return e
}

// errChanged is that the pod changed between the decision and the DELETE.
var errChanged = errors.New("the pod changed between the decision and the delete")

// Evict makes one attempt to remove the pod. An error means that the pod may still be there and due: try again later.
func (e *Evictor) Evict(ctx context.Context, pod *podcache.Pod) (Result, error) {
	if _, decision, due, err := e.decide(ctx, pod); err != nil || !due {
		return Result{Outcome: NotDue, Decision: decision}, err
	}
	live, refused, err := e.mark(ctx, pod)
	for try := 1; err == nil; try++ {
		var result Result
		result, err = e.deleteIfDue(ctx, pod, live)
		if err == nil {
			result.ConditionRefused = refused && result.Outcome == Deleted
			return result, nil
		}
		if !errors.Is(err, errChanged) || try == deletes {
			return Result{}, err
		}
		live, err = e.getPod(ctx, pod)
	}
	if outcome := outcomeOf(err); outcome != "" {
		return Result{Outcome: outcome}, nil
	}
	return Result{}, err
}

// deleteIfDue decides on the live pod and a fresh node, and deletes that version of the pod, no other.
func (e *Evictor) deleteIfDue(ctx context.Context, pod *podcache.Pod, live *v1.Pod) (Result, error) {
	if live.UID != pod.UID {
		return Result{Outcome: NameReused}, nil
	}
	if live.DeletionTimestamp != nil {
		return Result{Outcome: Terminating}, nil
	}
	now := podcache.NewPod(live, e.clock.Now())
	now.Follows(pod)
	node, decision, due, err := e.decide(ctx, now)
	if err != nil || !due {
		return Result{Outcome: NotDue, Decision: decision}, err
	}
	switch err := e.deletePod(ctx, live, node.Began); {
	case err == nil:
		return Result{Outcome: Deleted, Decision: decision}, nil
	case apierrors.IsNotFound(err):
		return Result{Outcome: Gone}, nil
	case apierrors.IsConflict(err):
		return Result{}, errChanged
	default:
		return Result{}, fmt.Errorf("deleting pod: %w", err)
	}
}

// decide waits for the client's rate limit and decides on a fresh read of the node, so that the next call can be sent at once.
func (e *Evictor) decide(ctx context.Context, pod *podcache.Pod) (NodeReading, deadline.Decision, bool, error) {
	if err := e.limiter.Wait(ctx); err != nil {
		return NodeReading{}, deadline.Decision{}, false, fmt.Errorf("waiting for the client's rate limit: %w", err)
	}
	node, err := e.nodes.read(ctx, pod.Node(), e.decider.DueSince(pod))
	if err != nil {
		return NodeReading{}, deadline.Decision{}, false, err
	}
	decision, due := e.decider.Decide(node, pod)
	return node, decision, due, nil
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
