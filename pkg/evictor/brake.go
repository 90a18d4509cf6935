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
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/brake"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/policy"
	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// minHold is the least time after which a pod that is held asks again by itself. Whoever holds it is told when there is another answer.
const minHold = 10 * time.Second

// BrakeConfig is what the eviction brake is told by. All fields are required.
type BrakeConfig struct {
	Brake *brake.Brake
	Clock clock.PassiveClock
	// Starts and Labels are what is known of nodes by the caches.
	Starts *taintstart.Tracker
	Labels func(node string) labels.Labels
	// Rules decide, and Changes tells which decisions are due to a change of policies.
	Rules   *policy.Rules
	Changes *policy.Changes
}

// Brake tells the eviction brake which pods are due, and asks it whether one may go. It is safe for concurrent use. A nil *Brake lets all
// pods go.
//
// Only taints count that the taint tracker shows. A taint that has gone would otherwise count for a whole window, if it is told of by a
// decision that is a moment old after the node was told to be without.
type Brake struct {
	BrakeConfig
	// telling makes one step of looking at the tracker and telling the brake. So the last to tell of a node has seen its latest taints.
	telling sync.Mutex
}

// NewBrake returns nil if the brake is nil or can hold nothing.
func NewBrake(config BrakeConfig) *Brake {
	if config.Brake == nil || !config.Brake.Enabled() {
		return nil
	}
	return &Brake{BrakeConfig: config}
}

// Tell tells the brake of a pod that is due by a decision, or will be. It has to be told before the pod can be evicted.
func (b *Brake) Tell(pod *podcache.Pod, decision deadline.Decision) {
	if b == nil {
		return
	}
	dues := duesOf(decision, b.Clock.Now())
	if len(dues) == 0 {
		return
	}
	node := pod.Node()
	changed := b.Changes.Because(pod, b.Labels(node), b.Starts.Taints(node), decision)
	b.telling.Lock()
	defer b.telling.Unlock()
	for _, due := range b.shown(node, dues) {
		due.Changed = changed
		b.Brake.Add(node, due)
	}
}

// TellNode tells the brake all that is known of a node, in place of what it was told before: what the pods of the node are due for, and when
// the node was created.
func (b *Brake) TellNode(node string, dues Dues, created time.Time) {
	b.telling.Lock()
	defer b.telling.Unlock()
	b.Brake.Set(node, brake.Node{Taints: b.Starts.Taints(node), Due: b.shown(node, dues.all), Created: created})
}

// Forget tells the brake that a node is gone.
func (b *Brake) Forget(node string) {
	b.telling.Lock()
	defer b.telling.Unlock()
	b.Brake.Forget(node)
}

// shown returns those whose taint is on the node, with that taint as the tracker shows it.
func (b *Brake) shown(node string, dues []brake.Due) []brake.Due {
	on := b.Starts.Taints(node)
	shown := make([]brake.Due, 0, len(dues))
	for _, due := range dues {
		if i := slices.IndexFunc(on, func(taint deadline.Taint) bool { return sameTaint(taint, due.Taint) }); i >= 0 {
			due.Taint = on[i]
			shown = append(shown, due)
		}
	}
	return shown
}

// Dues are what pods of a node are due for, each taint once, with the earliest time.
type Dues struct {
	all []brake.Due
}

// Add adds what a pod is due for at a time, or will be, by a decision.
func (d *Dues) Add(decision deadline.Decision, now time.Time) {
	for _, due := range duesOf(decision, now) {
		i := slices.IndexFunc(d.all, func(other brake.Due) bool { return sameTaint(other.Taint, due.Taint) })
		switch {
		case i < 0:
			d.all = append(d.all, due)
		case due.From.Before(d.all[i].From):
			d.all[i] = due
		}
	}
}

// duesOf returns what a pod is due for at a time, or will be.
func duesOf(decision deadline.Decision, now time.Time) (dues []brake.Due) {
	if !decision.Evict {
		return nil
	}
	dues = append(dues, brake.Due{Taint: decision.Taint, From: decision.Deadline})
	for _, step := range decision.Then {
		switch {
		case step.Mode != deadline.ModeKeep:
			dues = append(dues, brake.Due{Taint: step.Taint, From: step.From})
		case !now.Before(step.From):
			dues = nil // what was before is over
		}
	}
	return dues
}

// sameTaint reports whether two taints are one, whatever is known of its start.
func sameTaint(a, b deadline.Taint) bool {
	return a.Key == b.Key && a.Value == b.Value && a.Effect == b.Effect
}

// Permission is the answer of the eviction brake about a pod that is due.
type Permission struct {
	// Decision is the one by which the pod may go: the one that was asked about, or, while the brake holds that, what the ignored taints
	// alone say.
	Decision deadline.Decision
	// Held is what holds the pod. It is empty if the pod may go.
	Held brake.Hold
	// RetryAt is when to ask again. Falls says that the pod is due then for a taint that is ignored.
	RetryAt time.Time
	Falls   bool
	// Behind says that the caches do not show the taint yet, or not any more, for which the pod is due. It must not go until they do.
	Behind bool
}

// May returns whether the pod may go.
func (p Permission) May() bool { return p.Held == "" && !p.Behind }

// Ask asks whether a pod may go now by a decision on some labels and taints of its node. If the pod is not due, it may.
func (b *Brake) Ask(pod *podcache.Pod, node labels.Labels, taints []deadline.Taint, decision deadline.Decision) Permission {
	if b == nil {
		return Permission{Decision: decision}
	}
	now := b.Clock.Now()
	step, due := decision.At(now)
	if !due || b.Brake.Ignores(step.Taint) {
		return Permission{Decision: decision}
	}
	verdict, shown := b.may(pod.Node(), brake.Due{
		Taint: step.Taint, From: step.From, Changed: b.Changes.Because(pod, node, taints, decision),
	})
	if verdict.Allowed {
		return Permission{Decision: decision}
	}
	alone := b.Rules.Decide(pod, node, slices.DeleteFunc(slices.Clone(taints), func(taint deadline.Taint) bool { return !b.Brake.Ignores(taint) }))
	if alone.Due(now) {
		return Permission{Decision: alone}
	}
	if !shown {
		return Permission{Decision: decision, Behind: true}
	}
	// Those that are held together do not all ask again at the same moment.
	held := Permission{Decision: decision, Held: verdict.Held, RetryAt: now.Add(wait.Jitter(max(minHold, verdict.RetryAt.Sub(now)), 0.2))}
	if from, falls := alone.DueFrom(now); falls && from.Before(held.RetryAt) {
		held.RetryAt, held.Falls = from, true
	}
	return held
}

// AskByCaches is Ask about the node as the caches show it.
func (b *Brake) AskByCaches(pod *podcache.Pod, decision deadline.Decision) Permission {
	if b == nil {
		return Permission{Decision: decision}
	}
	return b.Ask(pod, b.Labels(pod.Node()), b.Starts.Taints(pod.Node()), decision)
}

// may asks the brake. It returns false if the tracker does not show the taint. The live node may show that the taint is another one, which has come
// since the tracker saw it: so the later start counts.
func (b *Brake) may(node string, due brake.Due) (verdict brake.Verdict, shown bool) {
	b.telling.Lock()
	defer b.telling.Unlock()
	dues := b.shown(node, []brake.Due{due})
	if len(dues) == 0 {
		return brake.Verdict{}, false
	}
	if due.Taint.Start.After(dues[0].Taint.Start) {
		dues[0].Taint.Start = due.Taint.Start
	}
	return b.Brake.May(node, dues[0]), true
}
