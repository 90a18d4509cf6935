package simulation

import (
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/apitest"
)

// maxPause is how long the taints of an illness may be off, by the rules.
const maxPause = time.Minute

// sighting is a version of a node, or its absence, as it reached a replica.
type sighting struct {
	at   time.Time
	node *v1.Node
	// gap says that what happened since the sighting before may not have been shown: a list brought it.
	gap bool
}

// view is what a replica was shown of the cluster.
type view struct {
	nodes map[string][]sighting
	pods  map[types.NamespacedName]*v1.Pod
	// podSeen is when a pod was first seen, bound.
	podSeen map[types.UID]time.Time
	// listed is when a resource was first read as a whole, and relisted when it was last.
	listed, relisted map[string]time.Time
	// kept says that another process may have written down what was before.
	kept bool
	// streamed are the objects of a streaming list that has not ended yet; no entry where a watch goes on.
	streamed map[string][]arrival
}

// arrival is an object of a list, and when it reached the replica. It is not believed before the list has ended, but it was
// seen.
type arrival struct {
	apitest.Object
	at time.Time
}

func newView(kept bool) *view {
	return &view{
		kept:  kept,
		nodes: map[string][]sighting{}, pods: map[types.NamespacedName]*v1.Pod{}, podSeen: map[types.UID]time.Time{},
		listed: map[string]time.Time{}, relisted: map[string]time.Time{}, streamed: map[string][]arrival{},
	}
}

// opened notes that a watch was opened, with or without a streaming list before it.
func (v *view) opened(resource string, streamsList bool) {
	delete(v.streamed, resource)
	if streamsList {
		v.streamed[resource] = []arrival{}
	}
}

// delivered takes in an event of a watch.
func (v *view) delivered(resource string, e apitest.Event) {
	objects, listing := v.streamed[resource]
	switch {
	case e.Type == "BOOKMARK":
		if listing && e.Object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
			delete(v.streamed, resource)
			v.list(resource, objects)
		}
	case listing:
		v.streamed[resource] = append(objects, arrival{e.Object, time.Now()})
	default:
		v.see(arrival{e.Object, time.Now()}, e.Type == "DELETED", false)
	}
}

// list takes in a whole list.
func (v *view) list(resource string, objects []arrival) {
	now := time.Now()
	if v.listed[resource].IsZero() {
		v.listed[resource] = now
	}
	v.relisted[resource] = now
	present := map[types.NamespacedName]bool{}
	for _, o := range objects {
		v.see(o, false, true)
		present[nameOf(o)] = true
	}
	if resource == "pods" {
		for name := range v.pods {
			if !present[name] {
				delete(v.pods, name)
			}
		}
		return
	}
	for name, seen := range v.nodes {
		if node := seen[len(seen)-1].node; node != nil && !present[types.NamespacedName{Name: name}] {
			v.see(arrival{node, now}, true, true)
		}
	}
}

func (v *view) see(a arrival, gone, gap bool) {
	now := a.at
	switch o := a.Object.(type) {
	case *v1.Node:
		s := sighting{now, o, gap}
		if gone {
			s.node = nil
		}
		v.nodes[o.Name] = append(v.nodes[o.Name], s)
	case *v1.Pod:
		switch {
		case gone:
			delete(v.pods, nameOf(o))
		case o.Spec.NodeName != "":
			v.pods[nameOf(o)] = o
			if v.podSeen[o.UID].IsZero() {
				v.podSeen[o.UID] = now
			}
		}
	}
}

func nameOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// synced says whether both resources have been read as a whole before a moment.
func (v *view) synced(before time.Time) bool {
	pods, nodes := v.listed["pods"], v.listed["nodes"]
	return !pods.IsZero() && !nodes.IsZero() && pods.Before(before) && nodes.Before(before)
}

// deadline is when the rules have a pod go, by what the replica was shown: exact, but for a gap across which an older start
// may stand or not.
func (v *view) deadline(h *history, pod *v1.Pod) span {
	seen := v.nodes[pod.Spec.NodeName]
	if len(seen) == 0 {
		return span{never(), never()}
	}
	bound := first(v.podSeen[pod.UID], boundBy(pod))
	return deadlineOf(pod, span{bound, bound}, seen[len(seen)-1].node, func(taint v1.Taint) span { return v.start(h, seen, taint) })
}

// certainty says what a replica can know: that a presence was broken, or not, or neither.
type certainty int

const (
	broken certainty = iota
	perhaps
	proven
)

// start is since when a taint of the last sighting counts as being there: the earliest of all evidence in the sightings of
// one unbroken presence. Where the replica cannot know that it is unbroken and it is, the rules allow both.
//
// What was before the first sighting, another process may have written down.
func (v *view) start(h *history, seen []sighting, taint v1.Taint) span {
	since, sure := span{never(), never()}, proven
	for i := len(seen) - 1; i >= 0; {
		known := first(seen[i].at, evidence(seen[i].node, taint))
		since.earliest = first(since.earliest, known)
		if sure == proven {
			since.latest = first(since.latest, known)
		}
		on := seen[i].node
		var link certainty
		i, link = before(h, seen, i, taint)
		sure = min(sure, link)
		if i < 0 && link != broken && v.kept {
			until := h.between(on.Name, "", on.ResourceVersion)
			since.earliest = first(since.earliest, earliestStart(until, taint, func(_, _ time.Time) bool { return true }))
		}
	}
	return since
}

// before is the sighting before i of the same presence of a taint, or -1: broken if there is none, perhaps if i may be in the
// middle of it and is the first one, or follows a pause that is.
func before(h *history, seen []sighting, i int, taint v1.Taint) (int, certainty) {
	on, sure := i, proven
	if i == 0 {
		return -1, perhaps
	}
	for ; i > 0; i-- {
		earlier, later := seen[i-1], seen[i]
		if earlier.node == nil || earlier.node.UID != later.node.UID {
			return -1, broken
		}
		carried := carries(earlier.node, taint)
		if i == on && carried {
			return i - 1, stayed(h, earlier, later, taint)
		}
		// It was off for a time. That is a pause only of an illness, and only while the node stays ill.
		sure = min(sure, stayedNotReady(h, earlier, later))
		if !isIllness(taint) || sure == broken || (carried && seen[on].at.Sub(later.at) > maxPause) {
			return -1, broken
		}
		if carried {
			return i - 1, sure
		}
	}
	return -1, perhaps
}

// stayed says whether a taint that is in two sightings was there all the time in between. After a gap, the time of the last
// change of the taints proves it if that has not moved, and was over when the earlier version was written.
func stayed(h *history, earlier, later sighting, taint v1.Taint) certainty {
	if !later.gap || earlier.node.ResourceVersion == later.node.ResourceVersion ||
		unmoved(changedAt(earlier.node), changedAt(later.node), earlier.node) {
		return proven
	}
	ill := broken
	if isIllness(taint) {
		ill = stayedNotReady(h, earlier, later)
	}
	for _, version := range h.between(later.node.Name, earlier.node.ResourceVersion, later.node.ResourceVersion) {
		if version.node == nil || !carries(version.node, taint) {
			return ill
		}
	}
	return max(perhaps, ill)
}

// stayedNotReady says whether the Ready condition was not True all the time between two sightings, both included.
func stayedNotReady(h *history, earlier, later sighting) certainty {
	from, to := notReadySince(earlier.node), notReadySince(later.node)
	switch {
	case from.IsZero() || to.IsZero():
		return broken
	case !later.gap || unmoved(from, to, earlier.node):
		return proven
	case stayedIll(h.between(later.node.Name, earlier.node.ResourceVersion, later.node.ResourceVersion)):
		return perhaps
	default:
		return broken
	}
}

// unmoved says whether a time that two versions show is the same, and was over when the earlier one was written: within the
// second there may have been more changes.
func unmoved(earlier, later time.Time, node *v1.Node) bool {
	return !earlier.IsZero() && earlier.Equal(later) && !writtenAt(node).Before(secondEnd(earlier))
}
