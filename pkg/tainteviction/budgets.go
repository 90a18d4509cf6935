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

package tainteviction

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/apis/audit/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/budget"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/evictor"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

const (
	// minPause and maxPause bound the time between two evictions of one pod where the eviction API asks to wait, and maxInvalidPause where a
	// budget has to be repaired.
	minPause, maxPause, maxInvalidPause = 10 * time.Second, 5 * time.Minute, 30 * time.Minute
	// blockedAfter is for how long a pod waits for its budget before an Event says so: most wait for a moment only, while others of the budget
	// go. blockedInterval is the time between two such Events. It is short enough for the second to be counted in the first.
	blockedAfter, blockedInterval = 10 * time.Second, 8 * time.Minute
)

// beginTurn asks for a turn for a pod that is to be evicted by the eviction API. It returns false after it has parked the pod, which has to
// wait for its budget. Pods that are to be deleted need no turn. The decision is the one by which the brake lets the pod go, by the caches. They may
// be behind: the attempt decides again how the pod goes.
func (c *Controller) beginTurn(
	logger klog.Logger, pod *podcache.Pod, item evictionqueue.Item, decision deadline.Decision,
) (turn *budget.Turn, ok bool) {
	if c.budgets == nil {
		return nil, true
	}
	now := c.config.Clock.Now()
	step, due := decision.At(now)
	if !due || step.Mode != deadline.ModeEvict {
		c.budgets.Forget(pod.UID)
		return nil, true
	}
	turn, refusal := c.budgets.Begin(pod)
	switch {
	case refusal == nil:
		return turn, true
	case refusal.Budget == "":
		c.taintEvictionQueue.Park(item, untilChange(decision, now, refusal.RetryAfter), false)
		return nil, false
	}
	logger.V(4).Info("Pod waits for its disruption budget", "budget", refusal.Budget, "since", refusal.Since)
	by := step.Policy
	if refusal.Uncounted {
		by = nil
	}
	c.tally.SetBlocked(pod.UID, by)
	c.trail.delay(pod.UID, v1alpha1.DelayBudget)
	after := blockedAfter - now.Sub(refusal.Since)
	switch {
	case after > 0:
	case refusal.InLine:
		after = blockedAfter // nothing holds it up: others of a large workload go first
	default:
		after = wait.Jitter(blockedInterval, 0.1)
		message := ""
		if refusal.Uncounted {
			message = "the disruption controller has not counted yet what it allows"
		}
		c.reportBlocked(pod, decision, step, refusal.Budget, message)
	}
	c.taintEvictionQueue.Park(item, untilChange(decision, now, after), false)
	if !c.budgets.Wait(pod, *refusal) {
		c.taintEvictionQueue.Wake(pod.UID) // no budget covers it any more
	}
	c.confirmWait(pod)
	return nil, false
}

// confirmWait looks again whether a pod that waits for a budget still has to. What changed while it was in flight could not wake it.
func (c *Controller) confirmWait(pod *podcache.Pod) {
	if _, scheduled := c.taintEvictionQueue.Deadline(pod.UID); !scheduled {
		c.budgets.Forget(pod.UID)
		return
	}
	if now := c.pods.Get(pod.Namespace(), pod.Name); now != nil && now.UID == pod.UID {
		c.budgets.PodChanged(now)
		c.forgetTurn(now, c.decideByCaches(now))
	}
}

// decideByCaches decides about a pod by the caches.
func (c *Controller) decideByCaches(pod *podcache.Pod) deadline.Decision {
	return c.rules.Decide(pod, c.nodes.LabelsOf(pod.Node()), c.starts.Taints(pod.Node()))
}

// untilChange returns a time to wait, or that until the way in which the pod goes changes, if that is shorter.
func untilChange(decision deadline.Decision, now time.Time, wait time.Duration) time.Duration {
	if change, changes := decision.NextChange(now); changes {
		return min(wait, change.Sub(now))
	}
	return wait
}

// endTurn tells the budgets what came of an eviction. Without a turn there is nothing to tell.
func (c *Controller) endTurn(turn *budget.Turn, result evictor.Result) {
	if turn == nil {
		return
	}
	c.budgets.End(turn, budget.Answer{
		Accepted:   result.Outcome == evictor.Evicted,
		Refused:    blocks(result.Outcome) && result.Outcome != evictor.BudgetConflict,
		Conflict:   result.Outcome == evictor.BudgetConflict,
		RetryAfter: result.RetryAfter,
	})
}

// blocks reports whether an outcome is about a budget.
func blocks(outcome evictor.Outcome) bool {
	switch outcome {
	case evictor.Blocked, evictor.BudgetUnreconciled, evictor.BudgetConflict, evictor.BudgetInvalid:
		return true
	default:
		return false
	}
}

// waitAsAsked parks a pod that the eviction API asks to wait. If a budget holds it up, that wakes it.
func (c *Controller) waitAsAsked(logger klog.Logger, pod *podcache.Pod, item evictionqueue.Item, result evictor.Result, turn *budget.Turn) {
	now := c.config.Clock.Now()
	since := now
	if turn != nil {
		since = turn.Since
	}
	after := untilChange(result.Decision, now, pause(item.Rechecks, result))
	by := result.Step.Policy
	if result.Outcome != evictor.Blocked && result.Outcome != evictor.BudgetInvalid {
		by = nil
	}
	c.tally.SetBlocked(pod.UID, by)
	logger.V(2).Info("Pod has to wait before it can be evicted", "outcome", result.Outcome, "budget", result.Budget, "message", result.Message,
		"retryAfter", after)
	switch result.Outcome {
	case evictor.Blocked:
		c.reportBlocked(pod, result.Decision, result.Step, result.Budget, result.Message)
	case evictor.BudgetInvalid:
		c.reportInvalid(logger, pod, result)
	}
	if c.toBeDeleted(pod) { // not by the live node and pod: the caches are behind, or know more
		c.taintEvictionQueue.Park(item, min(after, backoff(item.Rechecks, evictor.Result{})), true)
		return
	}
	c.taintEvictionQueue.Park(item, after, true)
	if c.budgets != nil && blocks(result.Outcome) {
		c.budgets.Wait(pod, budget.Refusal{Budget: result.Budget, Since: since, Uncounted: result.Outcome == evictor.BudgetUnreconciled})
		c.confirmWait(pod)
	}
}

// toBeDeleted reports whether a pod is to be deleted now by the caches, and not evicted.
func (c *Controller) toBeDeleted(pod *podcache.Pod) bool {
	now := c.pods.Get(pod.Namespace(), pod.Name)
	if now == nil || now.UID != pod.UID {
		return false
	}
	at := c.config.Clock.Now()
	step, due := c.permitted(now, c.decideByCaches(now), at).At(at)
	return due && step.Mode == deadline.ModeDelete
}

// pause returns how long to wait after an answer that asks to wait, after n answers before this one: doubled each time up to a maximum, half
// of it random, and at least as long as the API server asked for.
func pause(n int, result evictor.Result) time.Duration {
	longest := maxPause
	if result.Outcome == evictor.BudgetInvalid {
		longest = maxInvalidPause
	}
	full := longest
	if n < 8 {
		full = min(longest, minPause<<n)
	}
	return max(wait.Jitter(full/2, 1), min(longest, result.RetryAfter))
}

// forgetTurn has a pod that is not to be evicted by the eviction API any more wait for no budget, and go when it is due. One that still is waits no
// longer than until the way in which it goes changes.
func (c *Controller) forgetTurn(pod *podcache.Pod, decision deadline.Decision) {
	if c.budgets == nil {
		return
	}
	now := c.config.Clock.Now()
	decision = c.permitted(pod, decision, now)
	step, due := decision.At(now)
	if due && step.Mode == deadline.ModeEvict {
		if change, changes := decision.NextChange(now); changes {
			c.taintEvictionQueue.WakeAt(pod.UID, change)
		}
		return
	}
	c.budgets.Forget(pod.UID)
	if due {
		c.taintEvictionQueue.Wake(pod.UID)
	} else if from, evict := decision.DueFrom(now); evict {
		c.taintEvictionQueue.WakeAt(pod.UID, from)
	}
}

// forgetWait has a pod that need not go any more wait for no budget.
func (c *Controller) forgetWait(uid types.UID) {
	if c.budgets != nil {
		c.budgets.Forget(uid)
	}
}

// permitted returns the decision by which a pod may go, by one on the caches: the brake may hold what a pod is to be deleted for, and let it be
// evicted for taints that it ignores.
func (c *Controller) permitted(pod *podcache.Pod, decision deadline.Decision, now time.Time) deadline.Decision {
	if step, due := decision.At(now); due && step.Mode != deadline.ModeEvict {
		return c.brake.AskByCaches(pod, decision).Decision
	}
	return decision
}

// reportBlocked reports that a budget holds up a pod. An empty message stands for what the watch of budgets says.
func (c *Controller) reportBlocked(pod *podcache.Pod, decision deadline.Decision, step deadline.Step, name, message string) {
	if message == "" {
		message = "it allows no disruption now, or others go first"
	}
	c.recorder.RecordSeries(reference(pod), BlockedEventReason, name,
		fmt.Sprintf("Waits for disruption budget %s to leave node %s for taint %s, %s: %s", name, pod.Node(), step.Taint, c.deletedFrom(decision), message))
}

// deletedFrom returns when a pod is deleted that cannot be evicted.
func (c *Controller) deletedFrom(decision deadline.Decision) string {
	for _, step := range decision.Then {
		if step.Mode == deadline.ModeDelete {
			return "and is deleted at " + c.config.ServerClock.At(step.From).UTC().Format(time.RFC3339)
		}
	}
	return "for as long as that takes"
}

// reportInvalid reports that a budget has to be repaired.
func (c *Controller) reportInvalid(logger klog.Logger, pod *podcache.Pod, result evictor.Result) {
	budgets := result.Budget
	if c.budgets != nil && budgets == "" {
		budgets = strings.Join(c.budgets.Covering(pod), ", ")
	}
	c.complaints.Do(func() {
		logger.Error(nil, "Disruption budgets let no pod be evicted until they are repaired, this is one of them", "budgets", budgets,
			"message", result.Message)
	})
	c.recorder.RecordWarningSeries(reference(pod), BlockedEventReason, "invalid "+budgets,
		fmt.Sprintf("Cannot be evicted from node %s for taint %s, %s: the disruption budgets %s have to be repaired: %s",
			pod.Node(), result.Step.Taint, c.deletedFrom(result.Decision), budgets, result.Message))
}
