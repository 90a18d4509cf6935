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

package simulation

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// bytesIn reads choices out of a fuzzer's bytes.
type bytesIn struct{ data []byte }

func (in *bytesIn) next(n int) int {
	if len(in.data) == 0 {
		return 0
	}
	b := in.data[0]
	in.data = in.data[1:]
	return int(b) % n
}

func (in *bytesIn) text() string {
	return []string{"", "a", "b", "x", v1.TaintNodeNotReady, v1.TaintNodeUnreachable, "5", "-5", "\x00", strings.Repeat("k", 300)}[in.next(10)]
}

func (in *bytesIn) effect() v1.TaintEffect {
	return []v1.TaintEffect{v1.TaintEffectNoExecute, v1.TaintEffectNoExecute, "", v1.TaintEffectNoSchedule, "Nonsense"}[in.next(5)]
}

// stamp is a time that somebody wrote: about now, at the ends of what can be written, or none.
func (in *bytesIn) stamp(now time.Time) *metav1.Time {
	about := now.Add(time.Duration(in.next(256)-128) * time.Second).Truncate(time.Second)
	return []*metav1.Time{nil, ptr.To(metav1.NewTime(about)), {}, ptr.To(metav1.Unix(-62135596800, 0)), ptr.To(metav1.Unix(253402300799, 0)), ptr.To(metav1.Unix(0, 0))}[in.next(6)]
}

// many is how often something is there: mostly a few times, at times thousands.
func (in *bytesIn) many() int { return []int{0, 1, 2, 3, 4, 5, 8, 3000}[in.next(8)] }

// node makes one up, as if nothing validated it. What is there thousands of times is the same.
func (in *bytesIn) node(now time.Time) *v1.Node {
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-0", UID: "u"}}
	for n, taint := in.many(), (v1.Taint{}); n > 0; n-- {
		if len(in.data) > 0 {
			taint = v1.Taint{Key: in.text(), Value: in.text(), Effect: in.effect(), TimeAdded: in.stamp(now)}
		}
		node.Spec.Taints = append(node.Spec.Taints, taint)
	}
	for range in.next(4) {
		fields := []string{ownsTaints, ownsStatus, `{"f:spec":{"f:taints":{}}`, `[]`, `{"f:spec":7}`, "f:taints", ""}[in.next(7)]
		entry := metav1.ManagedFieldsEntry{Manager: "m", Time: in.stamp(now), Subresource: []string{"", "status"}[in.next(2)]}
		if in.next(8) > 0 {
			entry.FieldsV1 = metav1.NewFieldsV1(fields)
		}
		node.ManagedFields = append(node.ManagedFields, entry)
	}
	return node
}

func (in *bytesIn) pod(now time.Time) *v1.Pod {
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}}
	pod.Spec.NodeName = []string{"node-0", "node-0", "node-0", "nowhere"}[in.next(4)]
	if at := in.stamp(now); at != nil {
		pod.CreationTimestamp = *at
	}
	for range in.next(3) {
		c := v1.PodCondition{Type: v1.PodScheduled, Status: []v1.ConditionStatus{v1.ConditionTrue, v1.ConditionFalse, "?"}[in.next(3)]}
		if at := in.stamp(now); at != nil {
			c.LastTransitionTime = *at
		}
		pod.Status.Conditions = append(pod.Status.Conditions, c)
	}
	for n, t := in.many(), (v1.Toleration{}); n > 0; n-- {
		if len(in.data) > 0 {
			t = v1.Toleration{Key: in.text(), Value: in.text(), Effect: in.effect(), Operator: v1.TolerationOperator([]string{"", "Exists", "Equal", "Gt", "Lt", "?"}[in.next(6)])}
			t.TolerationSeconds = []*int64{nil, ptr.To[int64](5), ptr.To[int64](0), ptr.To[int64](-1 << 63), ptr.To[int64](1<<63 - 1), ptr.To[int64](18446744074)}[in.next(6)]
		}
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, t)
	}
	return pod
}

// FuzzObjects has the controller see objects that others wrote as they liked: nothing panics, and nobody goes whom the naive
// rules do not have go, nor sooner.
func FuzzObjects(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte{2, 0, 0, 0, 48, 1, 0, 0, 0, 0, 0}, false) // one taint twice, with and without a timeAdded
	f.Add([]byte{1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1}, true)
	f.Add([]byte{7, 1, 1, 0, 200, 4, 3, 1, 0, 3, 2, 0, 7, 2, 1, 0, 1}, true)
	f.Add([]byte{3, 4, 0, 0, 10, 1, 5, 0, 0, 20, 3, 1, 0, 1, 9, 1, 2, 0, 1, 0, 5, 1, 0, 0, 0, 7, 4, 0, 0, 1, 4}, true)
	f.Fuzz(func(t *testing.T, data []byte, whole bool) {
		now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
		if whole && !fuzzing() {
			synctest.Test(t, func(t *testing.T) { fuzzWhole(t, &bytesIn{data}) })
		}
		in := &bytesIn{data}
		node, pod := in.node(now), in.pod(now)
		observation := taintstart.Observe(node, now, 1)
		tracker := taintstart.NewTracker(nil)
		tracker.Observe(node.Name, observation)
		got := deadline.Decide(podcache.NewPod(pod, now).ToDeadlinePod(nil), tracker.Taints(pod.Spec.NodeName), deadline.Rules{})
		want := naive(pod, node, now)
		if got.Evict != want.Before(never()) || (got.Evict && !got.Deadline.Equal(want)) {
			t.Errorf("decides %+v, by the rules it goes at %v\nnode %+v\npod %+v", got, want, node, pod)
		}
	})
}

// naive is when a pod goes that is seen first, with its node, at a moment.
func naive(pod *v1.Pod, node *v1.Node, now time.Time) time.Time {
	if pod.Spec.NodeName != node.Name {
		return never()
	}
	node = once(node)
	start := func(taint v1.Taint) time.Time {
		start := now
		if added := addedAt(node, taint); !added.IsZero() {
			start = first(start, secondEnd(added))
		}
		if changed := changedAt(node); !changed.IsZero() {
			start = first(start, secondEnd(changed))
		}
		return start
	}
	since := starts{taint: start, period: func(k v1.Taint) (period, own time.Time) {
		own, period = start(k), start(k)
		for _, taint := range notReadyTaints(node) {
			if taint.Value == k.Value { // another value is another taint, and has no part in this period
				period = first(period, start(taint))
			}
		}
		return period, own
	}}
	return newSituation(pod, first(now, boundBy(pod)), node, since, ruling{}, nil, nil).ever(either)
}

// once is a node with each of its taints once, with the earliest timeAdded: the API refuses a node that has one twice.
func once(node *v1.Node) *v1.Node {
	all := node.Spec.Taints
	node = node.DeepCopy()
	node.Spec.Taints = nil
	for _, taint := range all {
		on := find(node, taint)
		if on == nil {
			node.Spec.Taints = append(node.Spec.Taints, taint)
			continue
		}
		if on.TimeAdded.IsZero() || (!taint.TimeAdded.IsZero() && taint.TimeAdded.Before(on.TimeAdded)) {
			on.TimeAdded = taint.TimeAdded
		}
	}
	return node
}

// fuzzWhole has a whole controller see them, and checks that who goes is due.
func fuzzWhole(t *testing.T, in *bytesIn) {
	s := newSim(1, Options{})
	node, pod := in.node(time.Now()), in.pod(time.Now())
	s.api.Put(node)
	s.api.Put(pod)
	r := s.start()
	r.lead()
	s.wait(time.Minute)
	s.lock.Lock()
	due := naive(pod, node, r.view.podSeen[pod.UID])
	s.lock.Unlock()
	gone := s.history.pod(pod.UID).DeletionTimestamp != nil
	if want := due.Before(time.Now().Add(-onTime)); gone != want {
		t.Errorf("gone: %v, and by the rules it goes at %v, which is %v ago", gone, due, time.Since(due))
	}
	r.die(false)
	r.running.Wait()
	r.kill()
	s.wait(2 * time.Minute)
}
