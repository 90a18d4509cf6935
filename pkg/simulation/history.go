package simulation

import (
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/apitest"
)

// nodeVersion is a node from a moment until the next version; nil where it did not exist.
type nodeVersion struct {
	at   time.Time
	node *v1.Node
}

// podVersion is a pod from a moment until the next version; nil after its end.
type podVersion struct {
	at  time.Time
	pod *v1.Pod
}

// history is the truth: every version of every object, with the moment it was stored at.
type history struct {
	nodes     map[string][]nodeVersion
	pods      map[types.UID][]podVersion
	byVersion map[string]apitest.Object
	// evictions is how often a DELETE of ours took effect on a pod.
	evictions map[types.UID]*eviction
	events    []*v1.Event
}

func newHistory() *history {
	return &history{
		nodes: map[string][]nodeVersion{}, pods: map[types.UID][]podVersion{}, byVersion: map[string]apitest.Object{},
		evictions: map[types.UID]*eviction{},
	}
}

// record takes in a new version, or the end of an object.
func (h *history) record(o apitest.Object, gone bool) {
	now := time.Now()
	h.byVersion[o.GetResourceVersion()] = o
	switch o := o.(type) {
	case *v1.Node:
		version := nodeVersion{now, o}
		if gone {
			version.node = nil
		}
		h.nodes[o.Name] = append(h.nodes[o.Name], version)
	case *v1.Pod:
		version := podVersion{now, o}
		if gone {
			version.pod = nil
		}
		h.pods[o.UID] = append(h.pods[o.UID], version)
	case *v1.Event:
		h.events = append(h.events, o)
	}
}

// node is the node of a name now, or nil.
func (h *history) node(name string) *v1.Node {
	if versions := h.nodes[name]; len(versions) > 0 {
		return versions[len(versions)-1].node
	}
	return nil
}

// pod is the pod of a UID now, or nil.
func (h *history) pod(uid types.UID) *v1.Pod {
	if versions := h.pods[uid]; len(versions) > 0 {
		return versions[len(versions)-1].pod
	}
	return nil
}

// boundAt is when a pod came to its node in truth.
func (h *history) boundAt(uid types.UID) time.Time {
	for _, version := range h.pods[uid] {
		if version.pod != nil && version.pod.Spec.NodeName != "" {
			return version.at
		}
	}
	return never()
}

// earliestDeadline is the earliest moment at which the rules can have a pod go that is as it is in a version, while its
// node is as in its version i. bridged says whether the illness taints may have been off during a time of illness.
func (h *history) earliestDeadline(pod *v1.Pod, i int, bridged func(from, to time.Time) bool) time.Time {
	if i < 0 {
		return never()
	}
	bound := first(h.boundAt(pod.UID), boundBy(pod))
	versions := h.nodes[pod.Spec.NodeName][:i+1]
	return deadlineOf(pod, span{bound, bound}, versions[i].node, func(taint v1.Taint) span {
		start := earliestStart(versions, taint, bridged)
		return span{start, start}
	}).earliest
}

// earliestStart is the beginning of the unbroken presence of a taint in the last of these versions, or what a timeAdded or
// an API server's clock says of it where that is earlier.
func earliestStart(versions []nodeVersion, taint v1.Taint, bridged func(from, to time.Time) bool) time.Time {
	start := never()
	for i := len(versions) - 1; i >= 0; {
		v := versions[i]
		start = first(start, first(v.at, evidence(v.node, taint)))
		i = carriedBefore(versions, i, taint, bridged)
	}
	return start
}

// carriedBefore is the version before version i in which the taint, which is in version i, was there without a break; or -1.
// The taints of an illness may be off for a time while the node stays ill.
func carriedBefore(versions []nodeVersion, i int, taint v1.Taint, bridged func(from, to time.Time) bool) int {
	uid, on := versions[i].node.UID, i
	for i--; i >= 0 && versions[i].node != nil && versions[i].node.UID == uid; i-- {
		if !carries(versions[i].node, taint) {
			if !isIllness(taint) {
				return -1
			}
			continue
		}
		if i+1 == on || (stayedIll(versions[i:on+1]) && bridged(versions[i+1].at, versions[on].at)) {
			return i
		}
		return -1
	}
	return -1
}

// stayedIll says whether a node was not ready in any of these versions.
func stayedIll(versions []nodeVersion) bool {
	for _, version := range versions {
		if version.node == nil || version.node.UID != versions[0].node.UID || isReady(version.node) {
			return false
		}
	}
	return true
}

// between are the versions of a node from one resource version to another; from the first one, if the former is empty.
func (h *history) between(name, from, to string) []nodeVersion {
	versions, begin := h.nodes[name], -1
	if from == "" {
		begin = 0
	}
	for i, version := range versions {
		if version.node == nil {
			continue
		}
		if version.node.ResourceVersion == from {
			begin = i
		}
		if version.node.ResourceVersion == to && begin >= 0 {
			return versions[begin : i+1]
		}
	}
	return nil
}
