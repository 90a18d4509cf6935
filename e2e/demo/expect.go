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

package main

import (
	"fmt"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// slack is how late a pod may go. The rules know no such thing; it covers a machine that is busy with all the rest.
const slack = 2 * time.Second

// tolerance is for how long a pod tolerates the demo's taint; not at all if it is zero.
type tolerance struct {
	seconds int64
	forever bool
}

func (t tolerance) String() string {
	switch {
	case t.forever:
		return "everything"
	case t.seconds > 0:
		return fmt.Sprintf("%d s", t.seconds)
	}
	return "nothing"
}

func (t tolerance) duration() time.Duration { return time.Duration(t.seconds) * time.Second }

// tainted is what the demo did to a node.
type tainted struct {
	set timing.Moment
	// removed is nil while the taint is there.
	removed *timing.Moment
}

// change is what the demo did to the toleration of a pod.
type change struct {
	timing.Moment
	to tolerance
}

// outcome is what the rules have in store for a pod.
type outcome int

const (
	// untouched: its node carries no taint.
	untouched outcome = iota
	// tolerant: it tolerates the taint of its node for ever.
	tolerant
	// cancelled: the taint of its node went before the pod had to.
	cancelled
	// atOnce: it has to go when the taint comes.
	atOnce
	// onTime: it has to go when its toleration ends.
	onTime
)

// goes says whether the pod has to go.
func (f outcome) goes() bool { return f == atOnce || f == onTime }

// expectation is the outcome of a pod and when it comes. Since a request takes effect between its being sent and its answer,
// there are two times: nobody may go before the first, and everybody must have gone by the second. For a pod that is
// cancelled they say when it would have had to go.
type expectation struct {
	outcome          outcome
	earliest, latest time.Time
	// unclear says why the demo cannot tell, if it cannot.
	unclear string
}

// expect works out from what the demo did what the rules demand of a pod. node is nil if it was never tainted.
func expect(p *pod, node *tainted) expectation {
	if node == nil || p.node == "" || node.removed != nil && p.bound.After(node.removed.Before) {
		return expectation{outcome: untouched}
	}
	if p.tolerates.forever {
		return expectation{outcome: tolerant}
	}
	e := expectation{outcome: onTime}
	if p.tolerates == (tolerance{}) {
		e.outcome = atOnce
	}
	// The watch shows a binding after it was made, so it counts for the later of the two times only.
	e.earliest = node.set.Before.Add(p.tolerates.duration())
	e.latest = timing.Later(node.set.After, p.bound).Add(p.tolerates.duration() + slack)
	if c := p.changed; c != nil {
		if c.After.After(e.earliest) {
			e.unclear = "its toleration changed too late to tell"
		}
		e.earliest = timing.Later(node.set.Before.Add(c.to.duration()), c.Before)
		e.latest = timing.Later(node.set.After.Add(c.to.duration()), c.After).Add(slack)
	}
	switch r := node.removed; {
	case r == nil || r.Before.After(e.latest):
	case r.After.Before(e.earliest):
		e.outcome = cancelled
	case !p.left.IsZero() && p.left.Before(r.Before):
		// gone by then, which is right or wrong whatever came later
	default:
		e.unclear = "the taint was removed too late to tell"
	}
	return e
}

// lateness is how long after the first moment at which it might have had to, a pod went.
func (e expectation) lateness(left time.Time) time.Duration { return left.Sub(e.earliest) }

// settled says whether nothing more is to come: the pod has gone, or it was to go, or would have been, long enough ago.
func (e expectation) settled(p *pod, now time.Time) bool {
	return !p.left.IsZero() || now.After(e.latest)
}

// complaint says what a pod did against the rules, nothing if it kept them or still has time.
func (e expectation) complaint(p *pod, now time.Time) string {
	left := !p.left.IsZero()
	switch {
	case e.unclear != "":
		return e.unclear
	case !e.outcome.goes() && left:
		return "was evicted, which it should not have been: " + e.why(p)
	case !e.outcome.goes():
		return ""
	case !left && now.After(e.latest):
		return fmt.Sprintf("was evicted by nobody, %s after it was due", seconds(e.lateness(now)))
	case !left:
		return ""
	case p.left.Before(e.earliest):
		return fmt.Sprintf("was evicted %s early", seconds(-e.lateness(p.left)))
	case p.left.After(e.latest):
		return fmt.Sprintf("was evicted %s late", seconds(e.lateness(p.left)))
	case !p.marked:
		return "went without the condition DisruptionTarget of reason DeletionByTaintManager: somebody else deleted it"
	}
	return ""
}

// why explains an outcome.
func (e expectation) why(p *pod) string {
	switch e.outcome {
	case tolerant:
		return "it tolerates everything"
	case cancelled:
		return "the taint was removed before"
	case atOnce:
		return "it does not tolerate the taint"
	case onTime:
		return "it tolerated the taint for " + p.toleratesNow().String()
	default:
		return "its node had no taint"
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
