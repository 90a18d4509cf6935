package deadline

import (
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// Taint is a NoExecute taint of a node, with the evidence of since when the node has carried it.
type Taint struct {
	// Key and Value are those of the API's Taint; the effect is always NoExecute.
	Key, Value string
	// Start is the earliest known time of the unbroken presence of this key, value and effect.
	Start time.Time
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
	// Finished says that the pod's phase is Succeeded or Failed.
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
	since := taint.Start
	if pod.Bound.After(since) {
		since = pod.Bound
	}
	toleration := firstTolerating(pod.Tolerations, taint, rules)
	switch {
	case toleration == nil:
		return Decision{Evict: true, Deadline: since, Reason: Untolerated, Taint: *taint}
	case toleration.TolerationSeconds == nil:
		return Decision{Reason: Tolerated}
	}
	deadline, ok := addSeconds(since, max(0, *toleration.TolerationSeconds))
	if !ok {
		return Decision{Reason: Tolerated}
	}
	return Decision{Evict: true, Deadline: deadline, Reason: TolerationEnds, Taint: *taint, Toleration: toleration}
}

// firstTolerating is the first toleration in spec order that tolerates the taint, or nil.
func firstTolerating(tolerations []v1.Toleration, taint *Taint, rules Rules) *v1.Toleration {
	apiTaint := v1.Taint{Key: taint.Key, Value: taint.Value, Effect: v1.TaintEffectNoExecute}
	for i := range tolerations {
		// The zero logger swallows what the API helper says of numbers that are none: this package does no I/O.
		if tolerations[i].ToleratesTaint(klog.Logger{}, &apiTaint, rules.ComparisonOperators) {
			return &tolerations[i]
		}
	}
	return nil
}

// addSeconds is t plus seconds, which is not negative, or false where the API could not express the sum.
func addSeconds(t time.Time, seconds int64) (time.Time, bool) {
	if seconds > latest-t.Unix() {
		return time.Time{}, false
	}
	// time.Duration ends after 292 years, so the seconds are added to the Unix time instead.
	return time.Unix(t.Unix()+seconds, int64(t.Nanosecond())).In(t.Location()), true
}
