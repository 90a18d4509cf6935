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
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

const (
	// versionedDeletes is how many DELETEs of one version of the pod an attempt sends. After these it reads node and pod at the same time,
	// pairedReads times at most, until the two answers arrive close enough to each other.
	versionedDeletes, pairedReads = 4, 4
	// maxAge is the maximum age of an answer, when a DELETE is sent that was decided on it.
	maxAge = time.Second
)

// attempt is one attempt to evict a pod.
type attempt struct {
	*Evictor
	// pod is the pod by the cache.
	pod *podcache.Pod
	// refused says that the condition could not be written, and that the pod is deleted without it.
	refused bool
	// nodeRead is Result.NodeRead.
	nodeRead time.Duration
}

// run makes the attempt.
func (a *attempt) run(ctx context.Context) (Result, error) {
	mayBeMarked := a.pod.DisruptionTarget
	for range versionedDeletes {
		result, err := a.evictVersion(ctx, mayBeMarked)
		if !errors.Is(err, errChanged) {
			return result, err
		}
		mayBeMarked = true
	}
	return a.deleteUnversioned(ctx)
}

// evictVersion reads the node and decides, marks the pod with the condition DisruptionTarget, decides again on the live pod and a fresh
// read of the node, and deletes that version of the pod. A pod that may be marked already is read first. It returns errChanged if the pod
// changed before the DELETE.
func (a *attempt) evictVersion(ctx context.Context, mayBeMarked bool) (Result, error) {
	var live *v1.Pod
	var err error
	pod, marked := a.pod, false
	if mayBeMarked {
		if live, err = a.getPod(ctx, a.pod); err != nil {
			return Result{}, err
		}
		if outcome := unfit(live, a.pod); outcome != "" {
			return Result{Outcome: outcome}, nil
		}
		pod = a.carryOver(live, a.pod)
		marked = a.refused || pod.DisruptionTarget
	}
	if !marked {
		if _, decision, due, err := a.readAndDecide(ctx, pod); err != nil || !due {
			return Result{Outcome: NotDue, Decision: decision}, err
		}
		if live, err = a.mark(ctx, pod); err != nil {
			return Result{}, err
		}
		if outcome := unfit(live, a.pod); outcome != "" {
			return Result{Outcome: outcome}, nil
		}
		pod = a.carryOver(live, a.pod)
	}
	node, decision, due, err := a.readAndDecide(ctx, pod)
	if err != nil || !due {
		return Result{Outcome: NotDue, Decision: decision}, err
	}
	return a.delete(ctx, live, decision, node.Answered)
}

// readAndDecide waits for the client's rate limit, reads the node, and decides. The next call can be sent at once.
func (a *attempt) readAndDecide(ctx context.Context, pod *podcache.Pod) (NodeReading, deadline.Decision, bool, error) {
	if err := a.waitForLimiter(ctx); err != nil {
		return NodeReading{}, deadline.Decision{}, false, err
	}
	node, err := a.readNode(ctx, pod.Node(), a.dueSince(pod))
	if err != nil {
		return NodeReading{}, deadline.Decision{}, false, err
	}
	decision, due := a.decide(node, pod)
	return node, decision, due, nil
}

// mark writes the condition DisruptionTarget and returns the live pod. If the condition cannot be written, it returns the live pod all
// the same, once the pod is to be deleted without.
func (a *attempt) mark(ctx context.Context, pod *podcache.Pod) (*v1.Pod, error) {
	live, err := a.patchCondition(ctx, pod)
	switch {
	case err == nil:
		a.refusals.forget(pod.UID)
		return live, nil
	case isUIDMismatch(err):
		return nil, err
	case ctx.Err() != nil || !a.refusals.add(pod.UID, err):
		return nil, fmt.Errorf("writing the condition DisruptionTarget: %w", err)
	}
	a.refused = true
	return a.getPod(ctx, pod)
}

// delete deletes the live pod, as decided on a node that was read at the given time.
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

// deleteUnversioned reads node and pod at the same time, decides, and deletes the pod in whatever version it is by then. It is for a pod
// that changes more often than a DELETE of one version takes.
func (a *attempt) deleteUnversioned(ctx context.Context) (Result, error) {
	pod, headStart := a.pod, time.Duration(0)
	for try := range pairedReads {
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
		pod = a.carryOver(both.pod, pod)
		answered := both.node.Answered
		if both.podAnswered.Before(answered) {
			answered = both.podAnswered
		}
		if a.clock.Since(answered) >= freshFor || both.node.Began.Before(a.dueSince(pod)) {
			headStart += both.podAnswered.Sub(both.node.Answered)
			continue
		}
		decision, due := a.decide(both.node, pod)
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

// readBoth reads node and pod at the same time. The read of the pod has a head start; if that is negative, the read of the node has it.
// With the right one both answers arrive at the same time, even if one takes longer than the other. With fresh set, it makes a new read of
// the node.
func (a *attempt) readBoth(ctx context.Context, pod *podcache.Pod, headStart time.Duration, fresh bool) (both pair, err error) {
	var podErr error
	podRead := make(chan struct{})
	go func() {
		defer close(podRead)
		if podErr = sleep(ctx, -headStart); podErr == nil {
			both.pod, podErr = a.getPod(ctx, pod)
			both.podAnswered = a.clock.Now()
		}
	}()
	nodeErr := sleep(ctx, headStart)
	if nodeErr == nil {
		notBefore := a.dueSince(pod)
		if now := a.clock.Now(); fresh && now.After(notBefore) {
			notBefore = now
		}
		both.node, nodeErr = a.readNode(ctx, pod.Node(), notBefore)
	}
	<-podRead
	return both, errors.Join(nodeErr, podErr)
}

// readNode returns a fresh read of the node that did not begin before a moment.
func (a *attempt) readNode(ctx context.Context, name string, notBefore time.Time) (NodeReading, error) {
	node, took, err := a.nodes.read(ctx, name, notBefore)
	a.nodeRead = max(a.nodeRead, took)
	return node, err
}

// carryOver returns the live pod with what an earlier version of it is known for.
func (a *attempt) carryOver(live *v1.Pod, earlier *podcache.Pod) *podcache.Pod {
	pod := podcache.NewPod(live, a.clock.Now())
	pod.CarryOver(earlier, a.server)
	return pod
}

// unfit returns the outcome if a live pod is another pod, or is being deleted; otherwise it returns "".
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
