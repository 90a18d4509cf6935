package deadline

import (
	"math"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// Taint is a NoExecute taint of a node, with the evidence of since when the node has carried it.
type Taint struct {
	// Key and Value are those of the API's Taint; the effect is always NoExecute.
	Key, Value string
	// Start is the earliest known time of the unbroken presence of this key, value and effect. Of the two node-condition
	// taints it is when this one came on in place of the other, or Period where the other has not been on since.
	Start time.Time
	// Period is when the node's not-ready period began. It is zero for all taints but node.kubernetes.io/not-ready and
	// node.kubernetes.io/unreachable.
	Period time.Time
}

// String is the taint as kubectl writes it: key=value:NoExecute, or key:NoExecute without a value.
func (t Taint) String() string {
	taint := v1.Taint{Key: t.Key, Value: t.Value, Effect: v1.TaintEffectNoExecute}
	return taint.ToString()
}

// Pod is what the rules read of a pod that is bound to a node.
type Pod struct {
	// Tolerations are spec.tolerations, in their order. Decide does not change them.
	Tolerations []v1.Toleration
	// Bound is when the pod came to its node.
	Bound time.Time
	// Mirror says that the pod stands for a static pod of the kubelet, which the API server cannot stop.
	Mirror bool
	// Terminating says that the pod is being deleted already.
	Terminating bool
	// Finished says that the pod's phase is Succeeded, or Failed after a container of it started.
	Finished bool
}

// Rules are the choices that the operator has.
type Rules struct {
	// ComparisonOperators makes the toleration operators Gt and Lt work (the feature gate
	// TaintTolerationComparisonOperators); without it a toleration with one of them tolerates nothing.
	ComparisonOperators bool
	// EvictFinished makes finished pods subject to taints, as the built-in controller does.
	EvictFinished bool
}

// Reason says why a decision is as it is.
type Reason string

const (
	// NoTaint: the node carries no NoExecute taint, or does not exist.
	NoTaint Reason = "NoTaint"
	// Tolerated: every taint is tolerated for ever, or for longer than the API can express.
	Tolerated Reason = "Tolerated"
	// Untolerated: no toleration tolerates the decision's taint.
	Untolerated Reason = "Untolerated"
	// TolerationEnds: the seconds of the decision's toleration bound its taint.
	TolerationEnds Reason = "TolerationEnds"
	// IsMirror: mirror pods are left alone, always.
	IsMirror Reason = "MirrorPod"
	// IsTerminating: pods that are being deleted are left alone, always.
	IsTerminating Reason = "Terminating"
	// IsFinished: finished pods are left alone unless Rules.EvictFinished.
	IsFinished Reason = "Finished"
)

// Decision says whether, when and why a pod must go.
type Decision struct {
	// Evict says that the pod must go at Deadline; otherwise it stays for as long as the input does not change.
	Evict bool
	// Deadline is the moment from which the pod is due. It may lie in the past. Zero unless Evict.
	Deadline time.Time
	// Reason says why.
	Reason Reason
	// Taint is the one that the deadline comes from. Zero unless Evict.
	Taint Taint
	// Toleration is the one whose seconds bound Taint; nil where none tolerates it. It points into Pod.Tolerations.
	Toleration *v1.Toleration
}

// Due says whether the pod must be gone at the given moment.
func (d Decision) Due(now time.Time) bool {
	return d.Evict && !now.Before(d.Deadline)
}

// latest is the last second that the Kubernetes API can express, in Unix time: 9999-12-31T23:59:59Z. metav1.Time is RFC
// 3339, with four digits for the year.
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
	decision := Decision{Reason: Tolerated}
	for i := range taints {
		one := decideTaint(pod, &taints[i], rules)
		if one.Evict && (!decision.Evict || one.Deadline.Before(decision.Deadline)) {
			decision = one
		}
	}
	return decision
}

// decideTaint applies the rules to one taint alone.
func decideTaint(pod Pod, taint *Taint, rules Rules) Decision {
	toleration := firstTolerating(pod.Tolerations, taint.Key, taint.Value, rules)
	seconds := secondsOf(toleration)
	if seconds == forever {
		return Decision{Reason: Tolerated}
	}
	start := later(taint.Start, pod.Bound)
	deadline := addSeconds(start, seconds)
	if !taint.Period.IsZero() {
		other := secondsOf(firstTolerating(pod.Tolerations, otherCondition(taint.Key), taint.Value, rules))
		deadline = conditionDeadline(later(taint.Period, pod.Bound), start, seconds, other)
	}
	switch {
	case !deadline.Before(never()):
		return Decision{Reason: Tolerated}
	case toleration == nil:
		return Decision{Evict: true, Deadline: deadline, Reason: Untolerated, Taint: *taint}
	default:
		return Decision{Evict: true, Deadline: deadline, Reason: TolerationEnds, Taint: *taint, Toleration: toleration}
	}
}

// conditionDeadline returns the deadline for a node-condition taint that came on at own, in a not-ready period that began
// at period, where the pod tolerates it for seconds and the other one of the two for other.
//
// The two take turns during one outage. With equal seconds the count goes on over a swap. A pod that tolerates the earlier
// taint for longer keeps what is left of that, but no more than the later taint's seconds from the swap.
func conditionDeadline(period, own time.Time, seconds, other int64) time.Time {
	bySwap := addSeconds(own, seconds)
	if byPeriod := addSeconds(period, max(seconds, other)); byPeriod.Before(bySwap) {
		bySwap = byPeriod
	}
	return later(addSeconds(period, seconds), bySwap)
}

// otherCondition returns the key of the other one of the two node-condition taints.
func otherCondition(key string) string {
	if key == v1.TaintNodeNotReady {
		return v1.TaintNodeUnreachable
	}
	return v1.TaintNodeNotReady
}

// forever stands for the seconds of a toleration that has no tolerationSeconds.
const forever = math.MaxInt64

// secondsOf returns for how long a toleration lets a pod stay: nil for no time.
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

// firstTolerating returns the first toleration in spec order that tolerates a NoExecute taint, or nil.
func firstTolerating(tolerations []v1.Toleration, key, value string, rules Rules) *v1.Toleration {
	apiTaint := v1.Taint{Key: key, Value: value, Effect: v1.TaintEffectNoExecute}
	for i := range tolerations {
		// The zero logger swallows what the API helper says of numbers that are none: this package does no I/O.
		if tolerations[i].ToleratesTaint(klog.Logger{}, &apiTaint, rules.ComparisonOperators) {
			return &tolerations[i]
		}
	}
	return nil
}

// addSeconds returns t plus seconds, which is not negative, or never where the API could not express the sum.
func addSeconds(t time.Time, seconds int64) time.Time {
	if seconds > latest-t.Unix() {
		return never()
	}
	// time.Duration ends after 292 years, so the seconds are added to the Unix time instead.
	return time.Unix(t.Unix()+seconds, int64(t.Nanosecond())).In(t.Location())
}

// never returns a time that is later than every deadline.
func never() time.Time { return time.Unix(latest+1, 0) }
