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
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/apis/audit/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/brake"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/evictor"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/policy"
)

// newBrake returns what tells and asks the eviction brake of the config, or nil if there is none. A dry run evicts nothing, and needs none.
func (c *Controller) newBrake() *evictor.Brake {
	if c.config.Brake == nil || c.config.Rules.DryRun {
		return nil
	}
	return evictor.NewBrake(evictor.BrakeConfig{
		Brake: c.config.Brake, Clock: c.config.Clock, Starts: c.starts, Labels: c.nodes.LabelsOf, Rules: c.rules,
		Changes: policy.NewChanges(c.rules, c.config.Clock, c.config.Brake.Status().Window),
	})
}

// countNode tells the brake that there is a node more, or one less. Only the handlers of nodes call it, which run one after another.
func (c *Controller) countNode(n int) {
	c.total += n
	if c.brake != nil {
		c.config.Brake.SetTotal(c.total)
	}
}

// tellNode tells the brake what is known of a node after all of its pods were evaluated.
func (c *Controller) tellNode(name string, dues evictor.Dues) {
	if c.brake == nil {
		return
	}
	obj, exists, err := c.nodes.GetIndexer().GetByKey(name)
	if err != nil || !exists { // a lookup in memory has no errors
		c.brake.Forget(name)
		return
	}
	c.brake.TellNode(name, dues, obj.(*podcache.Node).Created(c.config.ServerClock))
}

// tellAll tells the brake of all pods that are due by the policies as they are now, or will be. A change of a policy, and a start, may make
// pods of many nodes due in one moment: so the brake is on before the first of them goes.
func (c *Controller) tellAll(ctx context.Context) {
	if c.brake == nil {
		return
	}
	c.brake.Changes.Follow()
	for _, node := range c.starts.Nodes() {
		pods, err := c.pods.ByNode(node)
		if err != nil || ctx.Err() != nil {
			return
		}
		for _, pod := range pods {
			c.brake.Tell(pod, c.decideByCaches(pod))
		}
	}
}

// holdBack asks the brake about a pod that is due by the caches. It returns the decision by which the pod may go; or true, after it has parked the
// pod because the brake or the pace holds it.
func (c *Controller) holdBack(logger klog.Logger, pod *podcache.Pod, item evictionqueue.Item) (decision deadline.Decision, held bool) {
	decision = c.decideByCaches(pod)
	if c.brake == nil {
		return decision, false
	}
	c.held.handOut(pod.UID)
	permission := c.brake.AskByCaches(pod, decision)
	if permission.Held == "" {
		return permission.Decision, false
	}
	c.hold(logger, pod, item, permission.Held, permission.RetryAt)
	return decision, true
}

// hold parks a pod until a time, or until it is woken: by what the brake reports, or by a change of what it is due for.
func (c *Controller) hold(logger klog.Logger, pod *podcache.Pod, item evictionqueue.Item, by brake.Hold, until time.Time) {
	c.park(logger, pod, item, by, until, false)
	// What changed while the pod was in flight could not wake it.
	if now := c.pods.Get(pod.Namespace(), pod.Name); now != nil && now.UID == pod.UID {
		c.reconsiderHeld(now, c.decideByCaches(now))
	}
}

// holdAttempted is hold for a pod that the brake holds by the live node and pod. If it may go by the caches, these are behind, or know more: then it
// is attempted again after ever longer times, and not at once.
func (c *Controller) holdAttempted(logger klog.Logger, pod *podcache.Pod, item evictionqueue.Item, result evictor.Result) {
	after := result.RetryAfter
	now := c.pods.Get(pod.Namespace(), pod.Name)
	mayGo := now != nil && now.UID == pod.UID && c.brake.AskByCaches(now, c.decideByCaches(now)).May()
	if mayGo {
		after = min(after, backoff(item.Rechecks, evictor.Result{}))
	}
	c.park(logger, pod, item, result.By, c.config.Clock.Now().Add(after), true)
	if now := c.pods.Get(pod.Namespace(), pod.Name); !mayGo && now != nil && now.UID == pod.UID {
		c.reconsiderHeld(now, c.decideByCaches(now))
	}
}

// park parks a pod that is held.
func (c *Controller) park(logger klog.Logger, pod *podcache.Pod, item evictionqueue.Item, by brake.Hold, until time.Time, attempted bool) {
	logger.V(4).Info("Pod is held", "by", by, "until", c.config.ServerClock.At(until))
	c.tally.SetBlocked(pod.UID, nil)
	if c.budgets != nil {
		c.budgets.Forget(pod.UID)
	}
	c.held.add(pod.UID, pod.Node(), by, until)
	c.trail.delay(pod.UID, v1alpha1.DelayHold)
	c.taintEvictionQueue.Park(item, until.Sub(c.config.Clock.Now()), attempted)
	if _, scheduled := c.taintEvictionQueue.Deadline(pod.UID); !scheduled {
		c.forgetHeld(pod.UID) // it was cancelled in flight
	}
}

// reconsiderHeld wakes a pod that is held and may go now, or is to ask earlier than it would by itself. It reports whether the pod is held.
func (c *Controller) reconsiderHeld(pod *podcache.Pod, decision deadline.Decision) bool {
	if c.brake == nil {
		return false
	}
	until, held := c.held.until(pod.UID)
	if !held {
		return false
	}
	if !decision.Due(c.config.Clock.Now()) {
		c.releaseNode(c.held.handOut(pod.UID)) // its deadline has moved
		c.taintEvictionQueue.Wake(pod.UID)
		return false
	}
	permission := c.brake.AskByCaches(pod, decision)
	if permission.May() || permission.Held != "" && permission.Falls && permission.RetryAt.Before(until) {
		c.taintEvictionQueue.Wake(pod.UID)
	}
	return true
}

// forgetHeld drops a pod that has gone, or need not go.
func (c *Controller) forgetHeld(uid types.UID) { c.releaseNode(c.held.forget(uid)) }

// releaseNode has a node that holds no pods any more, if there is one, not wait for its turn.
func (c *Controller) releaseNode(name string) {
	if name != "" {
		c.nodeUpdateQueue.Add(name)
	}
}

// brakeChanged wakes the pods that the brake or the pace has held, and may go now. Each is decided on again.
func (c *Controller) brakeChanged(ctx context.Context, change brake.Change) {
	logger := klog.FromContext(ctx)
	if change.WentOn {
		logger.Info("Eviction brake is on, holding evictions", "why", c.config.Brake.Status().Text(c.config.ServerClock.At))
	}
	var woken []types.UID
	for _, node := range change.Begun {
		woken = append(woken, c.held.on(node)...)
	}
	if change.WentOff {
		woken = c.held.all()
		logger.Info("Eviction brake is off, evictions go on", "pods", len(woken))
		c.evaluateAll() // those that wait for a budget may be deleted now
	}
	for _, uid := range woken {
		c.taintEvictionQueue.Wake(uid)
	}
	select {
	case c.brakeSignal <- struct{}{}:
	default: // there is one
	}
}
