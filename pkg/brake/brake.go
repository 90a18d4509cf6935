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

package brake

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// minRetry is the least time after which it makes sense to ask again.
const minRetry = time.Second

// Node is what is known of a node. Taints that are ignored may be among the others, and change nothing.
type Node struct {
	// Taints are the taints that are on, those of NoSchedule included that evict.
	Taints []deadline.Taint
	// Due are the taints that pods of the node are due for, or will be: for each taint at least the entry with the earliest From.
	Due []Due
	// Created is the node's creation, as a local time. It is read after a restart: see the package documentation. Where it is zero,
	// the node does not count without pods that are due.
	Created time.Time
}

// Due says from when on a pod is due for a taint.
type Due struct {
	// Taint is the taint of the decision about the pod.
	Taint deadline.Taint
	// From is when the pod is due. It may be in the past.
	From time.Time
	// Changed is when a policy changed, was deleted or expired, if the pod became due by that. It may be in the future, for a policy that
	// expires. It counts until the taint goes, so it needs to be said only once.
	Changed time.Time
}

// Hold is what holds an eviction.
type Hold string

const (
	// HeldByBrake means that too many nodes have pods to evict.
	HeldByBrake Hold = "Brake"
	// HeldByPace means that the node may not begin yet.
	HeldByPace Hold = "NodePace"
)

// Verdict says whether an eviction may begin.
type Verdict struct {
	// Allowed is whether it may.
	Allowed bool
	// Held is what holds it. It is empty if it is allowed.
	Held Hold
	// RetryAt is when to ask again. Before, the answer is the same: the brake stays on for the cooldown, and no node is ahead of its
	// turn. Run tells when there is another answer.
	RetryAt time.Time
}

// Brake is the eviction brake and the pace of nodes. It is safe for concurrent use.
type Brake struct {
	config  Config
	holds   bool
	ignored sets.Set[string]
	// began is when the brake was made.
	began time.Time
	// wake holds a token when Run should look again.
	wake chan struct{}

	lock  sync.Mutex
	last  time.Time // of the clock, which therefore does not go back
	tally *tally
	pace  *pace // nil without a pace
	total int
	// known are the nodes that were told. It is nil once no cause from before the beginning counts.
	known sets.Set[string]
	// since is when the brake went on; zero while it is off. fell is since when no more nodes count than the limit; zero while more do.
	since, fell time.Time
	// policyChange is the latest time at which a policy made pods due. restoredChange is that of the process before this one.
	policyChange, restoredChange time.Time
	// pending is what Run has not reported. looks is when Run looks again by itself.
	pending Change
	looks   time.Time
}

// New returns a brake that is off.
func New(config Config) (*Brake, error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("eviction brake: %w", err)
	}
	now := config.Clock.Now()
	b := &Brake{
		config: config, holds: config.holds(), ignored: sets.New(config.IgnoreTaints...),
		began: now, last: now, wake: make(chan struct{}, 1),
		tally: newTally(config.Window), known: sets.New[string](),
	}
	if config.NodesPerMinute > 0 {
		b.pace = newPace(config.NodesPerMinute, config.Burst, now)
	}
	return b, nil
}

// Enabled reports whether the brake or the pace can hold anything. Where it is false, there is no need to tell or to ask.
func (b *Brake) Enabled() bool { return b.holds || b.pace != nil }

// Ignores reports whether a taint is never a cause and never held. While the brake is on, a pod that is due for another taint may be due for
// this one as well, or become so: a caller decides again with the ignored taints alone.
func (b *Brake) Ignores(taint deadline.Taint) bool { return b.ignored.Has(taint.Key) }

// SetTotal tells how many nodes there are.
func (b *Brake) SetTotal(nodes int) {
	b.lock.Lock()
	defer b.lock.Unlock()
	now := b.advance()
	b.total = nodes
	b.judge(now)
	b.notify(now)
}

// Set tells all that is known of a node, in place of what was told before.
func (b *Brake) Set(name string, told Node) {
	if !b.Enabled() {
		return
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	now := b.advance()
	causes := b.causesOf(name, told, now)
	b.tally.set(name, causes, now)
	if b.known != nil {
		b.known.Insert(name)
	}
	b.setPace(name, told, now)
	b.judge(now)
	b.notify(now)
}

// causesOf returns the causes of a node. A cause that has begun goes on for as long as its taint is on, because its pods may be gone.
func (b *Brake) causesOf(name string, told Node, now time.Time) (causes []cause) {
	var old []cause
	if n := b.tally.nodes[name]; n != nil {
		old = n.causes
	}
	for _, due := range told.Due {
		if !b.Ignores(due.Taint) {
			causes = b.merge(causes, find(old, due.Taint), due, now)
		}
	}
	first := b.known != nil && !b.known.Has(name)
	for _, taint := range told.Taints {
		if b.Ignores(taint) {
			continue
		}
		c := find(causes, taint)
		if before := find(old, taint); c == nil && before != nil && !now.Before(before.from) {
			causes = append(causes, *before)
			c = before
		}
		switch emptied := first && b.mayBeEmptied(taint, told.Created); {
		case !emptied:
		case c == nil:
			causes = append(causes, cause{taint: taint, from: now})
		case now.Before(c.from):
			c.from = now
		}
	}
	return causes
}

// mayBeEmptied reports whether a process before this one may have evicted pods for a taint. Then it came on before this one began, on a node
// that had been in use.
func (b *Brake) mayBeEmptied(taint deadline.Taint, created time.Time) bool {
	return !created.IsZero() && !taint.Start.After(b.began) && taint.Start.Sub(created) >= b.config.Window
}

// merge adds what a pod is due for to the causes of its node. before is the cause of the same taint that was told before, or nil.
func (b *Brake) merge(causes []cause, before *cause, due Due, now time.Time) []cause {
	if due.Changed.IsZero() && !due.From.After(b.began) {
		due.Changed = b.restoredChange // who was due then and is still there was held
	}
	if !due.Changed.After(now) { // State looks for those that have come since
		b.policyChange = later(b.policyChange, due.Changed)
	}
	added := cause{taint: due.Taint, from: due.From, changed: due.Changed}
	if before != nil {
		added.changed = later(added.changed, before.changed)
		if !now.Before(before.from) && before.from.Before(added.from) {
			added.from = before.from // it has begun
		}
	}
	same := find(causes, due.Taint)
	if same == nil {
		return append(causes, added)
	}
	if added.from.Before(same.from) {
		same.from = added.from
	}
	same.taint.Start, same.changed = later(same.taint.Start, added.taint.Start), later(same.changed, added.changed)
	return causes
}

// setPace has a node wait for its turn only while it has pods that are due, and forgets that it has begun when its taints are gone.
func (b *Brake) setPace(name string, told Node, now time.Time) {
	if b.pace == nil {
		return
	}
	on, due := false, false
	for _, taint := range told.Taints {
		on = on || !b.Ignores(taint)
	}
	for _, one := range told.Due {
		due = due || !b.Ignores(one.Taint) && !now.Before(one.From)
	}
	switch {
	case !on && !due:
		b.pace.forget(name)
	case !due:
		b.pace.leave(name)
	}
}

// Forget tells that a node is gone.
func (b *Brake) Forget(name string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	now := b.advance()
	b.tally.set(name, nil, now)
	b.known.Delete(name)
	if b.pace != nil {
		b.pace.forget(name)
	}
	b.judge(now)
	b.notify(now)
}

// Add tells that a pod of a node is due, or will be, in addition to what was told.
func (b *Brake) Add(name string, due Due) {
	if !b.Enabled() || b.Ignores(due.Taint) {
		return
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	now := b.advance()
	b.add(name, due, now)
	b.notify(now)
}

// add adds to the causes of a node.
func (b *Brake) add(name string, due Due, now time.Time) {
	var causes []cause
	n := b.tally.nodes[name]
	if n != nil {
		causes = n.causes
		if c := find(causes, due.Taint); c != nil && !due.From.Before(c.from) && !due.Taint.Start.After(c.taint.Start) && !due.Changed.After(c.changed) {
			return // nothing new, as with most pods
		}
	}
	b.tally.set(name, b.merge(causes, nil, due, now), now)
	b.judge(now)
}

// May reports whether the eviction of a pod that is due may begin now. It tells that the pod is due, too.
func (b *Brake) May(name string, due Due) Verdict {
	if !b.Enabled() || b.Ignores(due.Taint) {
		return Verdict{Allowed: true}
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	now := b.advance()
	defer b.notify(now)
	b.add(name, due, now)
	if !b.since.IsZero() {
		from := b.fell
		if from.IsZero() {
			from = now // the cooldown begins now at the earliest
		}
		return Verdict{Held: HeldByBrake, RetryAt: later(from.Add(b.config.Cooldown), now.Add(minRetry))}
	}
	if b.pace == nil || b.pace.begun.Has(name) {
		return Verdict{Allowed: true}
	}
	b.pace.wait(name)
	b.grant(now, name)
	if b.pace.begun.Has(name) {
		return Verdict{Allowed: true}
	}
	return Verdict{Held: HeldByPace, RetryAt: later(b.pace.next(now), now.Add(minRetry))}
}

// SetLeading tells whether this replica leads. Where nodes are paced, none begins on a replica that does not.
func (b *Brake) SetLeading(leading bool) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if now := b.advance(); b.pace != nil {
		b.pace.lead(leading, now)
		b.notify(now)
	}
}
