package evictor

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

const (
	// deletes is how many DELETEs of one version of the pod an attempt sends, and pairs how often it then reads node and pod
	// together until the answers come near enough to each other.
	deletes, pairs = 4, 4
	// maxAge is how old an answer may be, at most, when a DELETE is sent that was decided on it.
	maxAge = time.Second
)

// errChanged is that the pod changed between the decision and the DELETE.
var errChanged = errors.New("the pod changed between the decision and the delete")

// attempt is one attempt at one pod.
type attempt struct {
	*Evictor
	pod *podcache.Pod
	// refused says that the condition could not be written, and that the pod goes without.
	refused bool
	// nodeRead is Result.NodeRead.
	nodeRead time.Duration
}

// run makes the attempt.
func (a *attempt) run(ctx context.Context) (Result, error) {
	for try := range deletes {
		live, result, err := a.mark(ctx, a.pod.DisruptionTarget || try > 0)
		if err != nil || result.Outcome != "" {
			return result, err
		}
		result, err = a.deleteIfDue(ctx, live)
		if !errors.Is(err, errChanged) {
			return result, err
		}
	}
	return a.deleteUnversioned(ctx)
}

// mark has the condition DisruptionTarget on a pod that is due, and returns the live pod, or the outcome where it is not to be
// deleted. Where the condition may be there already the pod is read first, and written to only if it is not. Where it cannot be
// written, the live pod is returned all the same.
func (a *attempt) mark(ctx context.Context, readFirst bool) (*v1.Pod, Result, error) {
	pod := a.pod
	if readFirst {
		live, err := a.getPod(ctx, a.pod)
		if err != nil {
			return nil, Result{}, err
		}
		if outcome := unfit(live, a.pod); outcome != "" {
			return nil, Result{Outcome: outcome}, nil
		}
		if pod = a.follow(live, a.pod); a.refused || pod.DisruptionTarget {
			return live, Result{}, nil
		}
	}
	if _, decision, due, err := a.decide(ctx, pod); err != nil || !due {
		return nil, Result{Outcome: NotDue, Decision: decision}, err
	}
	live, err := a.patchCondition(ctx, pod)
	switch {
	case err == nil:
		a.refusals.forget(pod.UID)
		return live, Result{}, nil
	case isUIDMismatch(err):
		return nil, Result{}, err
	case ctx.Err() != nil || !a.refusals.add(pod.UID, err):
		return nil, Result{}, fmt.Errorf("writing the condition DisruptionTarget: %w", err)
	}
	a.refused = true
	live, err = a.getPod(ctx, pod)
	return live, Result{}, err
}

// deleteIfDue decides on the live pod and a fresh node, and deletes that version of the pod, no other.
func (a *attempt) deleteIfDue(ctx context.Context, live *v1.Pod) (Result, error) {
	if outcome := unfit(live, a.pod); outcome != "" {
		return Result{Outcome: outcome}, nil
	}
	node, decision, due, err := a.decide(ctx, a.follow(live, a.pod))
	if err != nil || !due {
		return Result{Outcome: NotDue, Decision: decision}, err
	}
	return a.delete(ctx, live, decision, node.Answered)
}

// delete deletes the pod as it was decided.
func (a *attempt) delete(ctx context.Context, live *v1.Pod, decision deadline.Decision, answered time.Time) (Result, error) {
	switch err := a.deletePod(ctx, live, answered); {
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

// deleteUnversioned reads node and pod at the same time, decides, and deletes the pod in whatever version it is by then. It is
// for a pod that changes more often than a DELETE of one version takes.
func (a *attempt) deleteUnversioned(ctx context.Context) (Result, error) {
	pod, headStart := a.pod, time.Duration(0)
	for try := range pairs {
		if err := a.limiter.Wait(ctx); err != nil { // for the DELETE
			return Result{}, fmt.Errorf("waiting for the client's rate limit: %w", err)
		}
		both, err := a.readBoth(ctx, pod, headStart, try > 0)
		if err != nil {
			return Result{}, err
		}
		if outcome := unfit(both.pod, a.pod); outcome != "" {
			return Result{Outcome: outcome}, nil
		}
		pod = a.follow(both.pod, pod)
		answered := both.node.Answered
		if both.podAnswered.Before(answered) {
			answered = both.podAnswered
		}
		if a.clock.Since(answered) >= freshFor || both.node.Began.Before(a.decider.DueSince(pod)) {
			headStart += both.podAnswered.Sub(both.node.Answered)
			continue
		}
		decision, due := a.decider.Decide(both.node, pod)
		if !due {
			return Result{Outcome: NotDue, Decision: decision}, nil
		}
		both.pod.ResourceVersion = ""
		result, err := a.delete(ctx, both.pod, decision, answered)
		result.Unversioned = result.Outcome == Deleted
		return result, err
	}
	return Result{}, errors.New("the pod changes all the time, and the answers about it and about its node do not come at the same time")
}

// pair is a node and a pod that were read at the same time.
type pair struct {
	node        NodeReading
	pod         *v1.Pod
	podAnswered time.Time
}

// readBoth reads node and pod at the same time. The read of the pod has a head start, the read of the node where that is negative:
// with the right one both answers come at the same time, however much longer one takes than the other. afresh makes it read the
// node even if an answer is there that is not old yet.
func (a *attempt) readBoth(ctx context.Context, pod *podcache.Pod, headStart time.Duration, afresh bool) (both pair, err error) {
	var podErr error
	podRead := make(chan struct{})
	go func() {
		defer close(podRead)
		if podErr = sleep(ctx, a.clock, -headStart); podErr == nil {
			both.pod, podErr = a.getPod(ctx, pod)
			both.podAnswered = a.clock.Now()
		}
	}()
	nodeErr := sleep(ctx, a.clock, headStart)
	if nodeErr == nil {
		notBefore := a.decider.DueSince(pod)
		if now := a.clock.Now(); afresh && now.After(notBefore) {
			notBefore = now
		}
		both.node, nodeErr = a.readNode(ctx, pod.Node(), notBefore)
	}
	<-podRead
	return both, errors.Join(nodeErr, podErr)
}

// decide waits for the client's rate limit and decides on a fresh read of the node, so that the next call can be sent at once.
func (a *attempt) decide(ctx context.Context, pod *podcache.Pod) (NodeReading, deadline.Decision, bool, error) {
	if err := a.limiter.Wait(ctx); err != nil {
		return NodeReading{}, deadline.Decision{}, false, fmt.Errorf("waiting for the client's rate limit: %w", err)
	}
	node, err := a.readNode(ctx, pod.Node(), a.decider.DueSince(pod))
	if err != nil {
		return NodeReading{}, deadline.Decision{}, false, err
	}
	decision, due := a.decider.Decide(node, pod)
	return node, decision, due, nil
}

// readNode returns a fresh read of the node that did not begin before a moment.
func (a *attempt) readNode(ctx context.Context, name string, notBefore time.Time) (NodeReading, error) {
	node, took, err := a.nodes.read(ctx, name, notBefore)
	a.nodeRead = max(a.nodeRead, took)
	return node, err
}

// follow is the live pod, with what is known from an earlier version.
func (a *attempt) follow(live *v1.Pod, earlier *podcache.Pod) *podcache.Pod {
	pod := podcache.NewPod(live, a.clock.Now())
	pod.CarryOver(earlier, a.server)
	return pod
}

// unfit is the outcome where a live pod is another one, or is being deleted; else it is empty.
func unfit(live *v1.Pod, pod *podcache.Pod) Outcome {
	switch {
	case live.UID != pod.UID:
		return NameReused
	case live.DeletionTimestamp != nil:
		return Terminating
	default:
		return ""
	}
}
