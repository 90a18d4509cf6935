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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

const (
	// versionedDeletes is how many DELETEs or evictions of one version of the pod an attempt sends. After these it reads node and pod at the
	// same time, pairedReads times at most, until the two answers arrive close enough to each other.
	versionedDeletes, pairedReads = 4, 4
	// maxAge is the maximum age of an answer, when a DELETE or an eviction is sent that was decided on it.
	maxAge = time.Second
)

// attempt is one attempt to evict a pod.
type attempt struct {
	*Evictor
	// pod is the pod by the cache.
	pod *podcache.Pod
	// last is the pod as it was read last, and owner its controller.
	last  *podcache.Pod
	owner *metav1.OwnerReference
	// unanswered is Result.Unanswered.
	unanswered bool
	// refused says that the condition could not be written, and that the pod is deleted without it.
	refused bool
	// unmarked says that the condition was not written, because the pod was to be evicted.
	unmarked bool
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
// read of the node, and deletes that version of the pod. A pod that may be marked already is read first. A pod that is to be evicted is read
// instead of marked: the API server writes a condition of its own. It returns errChanged if the pod changed before the DELETE or the
// eviction.
func (a *attempt) evictVersion(ctx context.Context, mayBeMarked bool) (Result, error) {
	var live *v1.Pod
	var err error
	pod, marked := a.pod, false
	a.unmarked = false
	if mayBeMarked {
		if live, err = a.getPod(ctx, a.pod, true); err != nil {
			return Result{}, err
		}
		if outcome := a.unfit(live); outcome != "" {
			return Result{Outcome: outcome}, nil
		}
		pod = a.carryOver(live, a.pod)
		marked = a.refused || pod.DisruptionTarget
	}
	if !marked {
		d, err := a.readAndDecide(ctx, pod)
		if err != nil || !d.due {
			return d.stays(), err
		}
		a.unmarked = d.step.Mode == deadline.ModeEvict
		switch {
		case !a.unmarked:
			live, err = a.mark(ctx, pod)
		case live != nil:
			return a.evict(ctx, live, d)
		default:
			live, err = a.getPod(ctx, pod, false)
		}
		if err != nil {
			return Result{}, err
		}
		if outcome := a.unfit(live); outcome != "" {
			return Result{Outcome: outcome}, nil
		}
		pod = a.carryOver(live, a.pod)
	}
	d, err := a.readAndDecide(ctx, pod)
	switch {
	case err != nil || !d.due:
		return d.stays(), err
	case d.step.Mode == deadline.ModeEvict:
		return a.evict(ctx, live, d)
	case a.unmarked:
		return Result{}, errChanged // it is to be deleted now, and so marked before
	default:
		return a.delete(ctx, live, d)
	}
}

// readAndDecide waits for the client's rate limit, reads the node, and decides. The next call can be sent at once.
func (a *attempt) readAndDecide(ctx context.Context, pod *podcache.Pod) (decided, error) {
	if err := a.waitForLimiter(ctx); err != nil {
		return decided{}, err
	}
	for notBefore := a.dueSince(pod); ; {
		node, err := a.readNode(ctx, pod.Node(), notBefore)
		if err != nil {
			return decided{}, err
		}
		d := a.decideOn(node, pod)
		if d.changed.IsZero() {
			return d, nil
		}
		notBefore = d.changed
	}
}

// decideOn decides on a live node and a pod, and how the pod goes.
func (a *attempt) decideOn(node NodeReading, pod *podcache.Pod) decided {
	d := decided{answered: node.Answered}
	if d.decision, d.due = a.decide(node, pod); !d.due {
		return d
	}
	now := a.clock.Now()
	if d.step, d.due = stepAt(d.decision, node.Began, now); !d.due {
		return d
	}
	if d.changed = changedAt(d.decision, node.Began, now); d.changed.IsZero() {
		a.askBrake(&d, node, pod)
	}
	return d
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
	return a.getPod(ctx, pod, true)
}

// delete deletes the live pod, as decided.
func (a *attempt) delete(ctx context.Context, live *v1.Pod, d decided) (Result, error) {
	switch err := a.deletePod(ctx, live, d.step, d.answered); {
	case err == nil:
		return d.accepted(Deleted, live), nil
	case apierrors.IsNotFound(err):
		return Result{Outcome: Gone}, nil
	case apierrors.IsConflict(err):
		return Result{}, errChanged
	default:
		a.unanswered = a.unanswered || mayHaveTakenEffect(err)
		return Result{}, fmt.Errorf("deleting pod: %w", err)
	}
}

// evict asks the eviction API to evict the live pod, as decided.
func (a *attempt) evict(ctx context.Context, live *v1.Pod, d decided) (Result, error) {
	err := a.deletePod(ctx, live, d.step, d.answered)
	if err == nil {
		return d.accepted(Evicted, live), nil
	}
	outcome, budget := outcomeOfEviction(err)
	switch {
	case outcome == Failed && apierrors.IsConflict(err):
		return Result{}, errChanged
	case outcome == Failed:
		a.unanswered = a.unanswered || mayHaveTakenEffect(err)
		return Result{}, fmt.Errorf("evicting pod: %w", err)
	case outcome == Gone:
		return Result{Outcome: Gone}, nil
	}
	result := d.result(outcome)
	result.Budget, result.Message, result.RetryAfter = budget, messageOf(err), retryAfter(err)
	return result, nil
}

// deleteUnversioned reads node and pod at the same time, decides, and deletes or evicts the pod in whatever version it is by then. It is for
// a pod that changes more often than a DELETE of one version takes.
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
		if outcome := a.unfit(both.pod); outcome != "" {
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
		d := a.decideOn(both.node, pod)
		if !d.changed.IsZero() {
			continue
		}
		d.answered = answered
		both.pod.ResourceVersion = ""
		var result Result
		switch {
		case !d.due:
			return d.stays(), nil
		case d.step.Mode == deadline.ModeEvict:
			result, err = a.evict(ctx, both.pod, d)
		case a.unmarked:
			return Result{}, errors.New("the pod is to be deleted now, and was to be evicted until a moment ago")
		default:
			result, err = a.delete(ctx, both.pod, d)
		}
		result.Unversioned = result.Outcome.Accepted()
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
			both.pod, podErr = a.getPod(ctx, pod, true)
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
	a.last = pod
	return pod
}

// unfit returns the outcome if a live pod is another pod, or is being deleted; otherwise it returns "".
func (a *attempt) unfit(live *v1.Pod) Outcome {
	if live.UID != a.pod.UID {
		return NameReused
	}
	a.owner = metav1.GetControllerOf(live)
	if live.DeletionTimestamp != nil {
		a.carryOver(live, a.pod)
		return Terminating
	}
	return ""
}
