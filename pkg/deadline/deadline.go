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

package deadline

import (
	"fmt"
	"math"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// Taint is a taint of a node and its start.
type Taint struct {
	// Key and Value are those of the API's Taint.
	Key, Value string
	// Effect is NoExecute, or NoSchedule for a taint that evicts only where a policy names it. The zero value is NoExecute.
	Effect v1.TaintEffect
	// Start is the start of the taint. For a not-ready taint it is when this one replaced the other, or Period if the other
	// has not been on since.
	Start time.Time
	// Period is the start of the not-ready period. It is zero for all but the not-ready taints.
	Period time.Time
	// Evidence is what dates the taint, or nil if that is not known.
	Evidence *Evidence
}

// String returns the taint as kubectl writes it: key=value:effect, or key:effect without a value.
func (t Taint) String() string {
	taint := v1.Taint{Key: t.Key, Value: t.Value, Effect: t.effect()}
	return taint.ToString()
}

// DescribeToleration returns what a toleration matches as key=value:effect, without the parts that match anything. It is "" for one that
// matches every taint.
func DescribeToleration(t *v1.Toleration) string {
	text := t.Key
	switch t.Operator {
	case v1.TolerationOpExists:
	case "", v1.TolerationOpEqual:
		text += "=" + t.Value
	default:
		text += fmt.Sprintf(" %s %s", t.Operator, t.Value)
	}
	if t.Effect != "" {
		text += ":" + string(t.Effect)
	}
	return text
}

func (t Taint) effect() v1.TaintEffect {
	if t.Effect == "" {
		return v1.TaintEffectNoExecute
	}
	return t.Effect
}

// Pod holds what the rules read of a pod that is bound to a node.
type Pod struct {
	// Tolerations are spec.tolerations, in their order. Decide does not change them.
	Tolerations []v1.Toleration
	// Bound is the binding.
	Bound time.Time
	// Mirror is true for a mirror pod. The API server cannot stop its static pod.
	Mirror bool
	// Terminating is true for a pod that is already being deleted.
	Terminating bool
	// Finished is true if the phase is Succeeded, or Failed after a container started.
	Finished bool
	// Labels are what policies select by. Without policies they are not read.
	Labels Labels
}

// Rules are the operator's choices.
type Rules struct {
	// ComparisonOperators enables the toleration operators Gt and Lt (feature gate TaintTolerationComparisonOperators).
	// Without it a toleration with one of them tolerates nothing.
	ComparisonOperators bool
	// EvictFinished makes finished pods subject to taints, as the built-in controller does.
	EvictFinished bool
	// Policies are in the order in which they apply: for a taint and a pod, the first that matches does. Decide does not change
	// them.
	Policies []Policy
	// DryRun evicts nothing: where a pod would be deleted or evicted, it is previewed.
	DryRun bool
}

// Reason explains a decision.
type Reason string

const (
	// NoTaint means that the node carries no NoExecute taint, or does not exist.
	NoTaint Reason = "NoTaint"
	// Tolerated means that every taint is tolerated for ever, or for longer than the API can express.
	Tolerated Reason = "Tolerated"
	// Untolerated means that no toleration tolerates Decision.Taint.
	Untolerated Reason = "Untolerated"
	// TolerationEnds means that Decision.Toleration tolerates Decision.Taint for a limited time.
	TolerationEnds Reason = "TolerationEnds"
	// IsMirror means that the pod is a mirror pod. These are always left alone.
	IsMirror Reason = "MirrorPod"
	// IsTerminating means that the pod is being deleted. Such pods are always left alone.
	IsTerminating Reason = "Terminating"
	// IsFinished means that the pod has finished, and Rules.EvictFinished is not set.
	IsFinished Reason = "Finished"
	// HeldByPolicy means that the pod would go, but for a policy of mode Keep or Preview, or Rules.DryRun. Decision.Held says which.
	HeldByPolicy Reason = "HeldByPolicy"
)

// Decision tells whether, when and why a pod must go.
type Decision struct {
	// Evict is true if the pod must go at Deadline. Otherwise the pod stays as long as the input does not change.
	Evict bool
	// Deadline is the time from which the pod is due. It may be in the past. It is zero unless Evict is set.
	Deadline time.Time
	// Reason explains the decision.
	Reason Reason
	// Taint is the taint that the deadline comes from. It is zero unless Evict is set.
	Taint Taint
	// Toleration is the toleration that tolerates Taint for a limited time, or nil. It points into Pod.Tolerations.
	Toleration *v1.Toleration
	// Mode is how the pod goes at Deadline: ModeDelete or ModeEvict. It is empty unless Evict is set.
	Mode Mode
	// Policy is the policy that applies to Taint, or nil. It points into Rules.Policies.
	Policy *Policy
	// Then are the changes after Deadline, in order of time, if the pod is still there.
	Then []Step
	// Held is what policies of mode Keep and Preview hold back, and Rules.DryRun, one step for each taint and policy.
	Held []Step
}

// Due reports whether the pod is due at a time.
func (d Decision) Due(now time.Time) bool {
	_, due := d.At(now)
	return due
}

// latest is the last second that the API can express, in Unix time: 9999-12-31T23:59:59Z. metav1.Time is RFC 3339, which
// has four digits for the year.
const latest = 253402300799

// Decide applies the rules to a pod and the NoExecute taints of its node. A node that does not exist has no taints.
func Decide(pod Pod, taints []Taint, rules Rules) Decision {
	switch {
	case pod.Mirror:
		return Decision{Reason: IsMirror}
	case pod.Terminating:
		return Decision{Reason: IsTerminating}
	case pod.Finished && !rules.EvictFinished:
		return Decision{Reason: IsFinished}
	case len(taints) == 0:
		return Decision{Reason: NoTaint}
	}
	if len(rules.Policies) > 0 || rules.DryRun {
		return decideByPolicies(pod, taints, rules)
	}
	decision := Decision{Reason: Tolerated}
	for i := range taints {
		if taints[i].effect() != v1.TaintEffectNoExecute {
			continue
		}
		one := decideTaint(pod, &taints[i], rules)
		if one.Evict && (!decision.Evict || one.Deadline.Before(decision.Deadline)) {
			decision = one
		}
	}
	return decision
}

// decideTaint applies the rules to one taint, as without policies.
func decideTaint(pod Pod, taint *Taint, rules Rules) Decision {
	toleration := firstTolerating(pod.Tolerations, taint, rules)
	seconds := secondsOf(toleration)
	if seconds == forever {
		return Decision{Reason: Tolerated}
	}
	start := later(taint.Start, pod.Bound)
	deadline := addSeconds(start, seconds)
	if !taint.Period.IsZero() {
		swapped := Taint{Key: otherNotReadyTaint(taint.Key), Value: taint.Value, Effect: taint.Effect}
		other := secondsOf(firstTolerating(pod.Tolerations, &swapped, rules))
		deadline = notReadyDeadline(later(taint.Period, pod.Bound), start, seconds, other)
	}
	if !deadline.Before(never()) {
		return Decision{Reason: Tolerated}
	}
	decision := Decision{Evict: true, Deadline: deadline, Reason: Untolerated, Taint: *taint, Mode: ModeDelete}
	if toleration != nil {
		decision.Reason, decision.Toleration = TolerationEnds, toleration
	}
	return decision
}

// notReadyDeadline returns the deadline for a not-ready taint that came on at own, in a not-ready period that began at
// period. The pod tolerates this taint for seconds and the other not-ready taint for other. See "Rules" in the package
// documentation.
func notReadyDeadline(period, own time.Time, seconds, other int64) time.Time {
	bySwap := addSeconds(own, seconds)
	if byPeriod := addSeconds(period, max(seconds, other)); byPeriod.Before(bySwap) {
		bySwap = byPeriod
	}
	return later(addSeconds(period, seconds), bySwap)
}

// otherNotReadyTaint returns the key of the other not-ready taint.
func otherNotReadyTaint(key string) string {
	if key == v1.TaintNodeNotReady {
		return v1.TaintNodeUnreachable
	}
	return v1.TaintNodeNotReady
}

// forever stands for a toleration without tolerationSeconds.
const forever = math.MaxInt64

// secondsOf returns for how long a toleration lets a pod stay. That is 0 for nil.
func secondsOf(toleration *v1.Toleration) int64 {
	switch {
	case toleration == nil:
		return 0
	case toleration.TolerationSeconds == nil:
		return forever
	default:
		return max(0, *toleration.TolerationSeconds)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Tolerating returns the toleration of a pod that counts for a taint, or nil. It points into tolerations.
func Tolerating(tolerations []v1.Toleration, taint Taint, rules Rules) *v1.Toleration {
	return firstTolerating(tolerations, &taint, rules)
}

// firstTolerating returns the first toleration in spec order that tolerates a taint, or nil. A NoSchedule taint that evicts is
// tolerated by a toleration of either effect.
func firstTolerating(tolerations []v1.Toleration, taint *Taint, rules Rules) *v1.Toleration {
	noExecute := v1.Taint{Key: taint.Key, Value: taint.Value, Effect: v1.TaintEffectNoExecute}
	own := v1.Taint{Key: taint.Key, Value: taint.Value, Effect: taint.effect()}
	for i := range tolerations {
		// The zero logger discards what the helper logs about values that are not numbers: this package does no I/O.
		if tolerations[i].ToleratesTaint(klog.Logger{}, &noExecute, rules.ComparisonOperators) ||
			own.Effect != noExecute.Effect && tolerations[i].ToleratesTaint(klog.Logger{}, &own, rules.ComparisonOperators) {
			return &tolerations[i]
		}
	}
	return nil
}

// addSeconds returns t plus seconds, or never if the API cannot express the sum. seconds must not be negative.
func addSeconds(t time.Time, seconds int64) time.Time {
	if seconds > latest-t.Unix() {
		return never()
	}
	// A time.Duration holds 292 years at most, so the seconds are added to the Unix time.
	return time.Unix(t.Unix()+seconds, int64(t.Nanosecond())).In(t.Location())
}

// never returns a time that is later than every deadline.
func never() time.Time { return time.Unix(latest+1, 0) }
