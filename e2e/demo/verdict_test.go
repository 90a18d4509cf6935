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
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// played is the ledger of a small demo in which all went well: of the pods on node-1 and node-2, web left at once, cache
// after 5 s, batch after 12 s on node-1 and not at all on node-2; spare, on node-3, was never concerned.
func played() *ledger {
	l := newLedger(workloads())
	l.nodes["node-1"], l.nodes["node-2"] = node1(), node2()
	add := func(name, node string, tolerates tolerance, left float64) {
		p := runningPod(node, tolerates)
		p.uid, p.name = types.UID("uid of "+name), name
		if left > 0 {
			p.left, p.marked = after(left), true
		}
		l.pods[p.uid] = p
	}
	add("web-1", "node-1", tolerance{}, 0.03)
	add("cache-1", "node-1", tolerance{seconds: 5}, 5.25)
	add("cache-2", "node-2", tolerance{seconds: 5}, 5.02)
	add("batch-1", "node-1", tolerance{seconds: 12}, 12.01)
	add("batch-2", "node-2", tolerance{seconds: 12}, 0)
	add("agent-1", "node-1", tolerance{forever: true}, 0)
	add("spare", "node-3", tolerance{}, 0)
	return l
}

func (l *ledger) named(name string) *pod { return l.pods[types.UID("uid of "+name)] }

// staying are the UIDs of the pods that have not left.
func staying(l *ledger) map[types.UID]bool {
	present := make(map[types.UID]bool)
	for uid, p := range l.pods {
		if p.left.IsZero() {
			present[uid] = true
		}
	}
	return present
}

func TestJudgePasses(t *testing.T) {
	l := played()
	v := judge(l, staying(l), after(20))
	v.events = 4
	want := "PASS: all 7 pods did what the rules say: 1 evicted at once, 3 on time, 1 cancelled, 2 left alone; " +
		"none early, the worst 0.25 s late; 4 Events for 4 evictions; plan and why of the plugin agree"
	if got := v.line().render(0, false); got != want || !v.ok() {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestJudgeFails(t *testing.T) {
	for name, test := range map[string]struct {
		change func(l *ledger, present map[types.UID]bool)
		want   string
	}{
		"evicted by nobody": {func(l *ledger, present map[types.UID]bool) {
			l.named("batch-1").left = time.Time{}
			present["uid of batch-1"] = true
		}, "batch-1 on node-1 was evicted by nobody, 8.00 s after it was due"},
		"early": {func(l *ledger, _ map[types.UID]bool) { l.named("cache-1").left = after(4) },
			"cache-1 on node-1 was evicted 1.00 s early"},
		"a pod that is spared": {func(l *ledger, _ map[types.UID]bool) { l.named("spare").left = after(4) },
			"spare on node-3 was evicted, which it should not have been"},
		"gone unseen": {func(_ *ledger, present map[types.UID]bool) { delete(present, "uid of batch-2") },
			"batch-2 on node-2 is not there any more"},
		"there again": {func(_ *ledger, present map[types.UID]bool) { present["uid of web-1"] = true },
			"web-1 on node-1 is still there"},
		"without a node": {func(l *ledger, present map[types.UID]bool) {
			l.named("spare").node = ""
			delete(present, "uid of spare")
		}, "spare on no node is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			l := played()
			present := staying(l)
			test.change(l, present)
			v := judge(l, present, after(20))
			line := v.line().render(0, false)
			if v.ok() || len(v.wrong) != 1 || !strings.HasPrefix(line, "FAIL: ") || !strings.Contains(line, test.want) {
				t.Errorf("got %q, want one complaint: %s", line, test.want)
			}
		})
	}
}

func TestJudgeWhilePending(t *testing.T) {
	l := played()
	l.named("batch-1").left = time.Time{}
	v := judge(l, staying(l), after(12.5))
	if got := strings.Join(v.wrong, "; "); got != "batch-1 on node-1 is still to be evicted" {
		t.Errorf("got %q", got)
	}
}

func TestVerdictIsOneLine(t *testing.T) {
	v := &verdict{}
	v.add("one", "two", "three", "four", "five")
	want := "FAIL: not everything is as the rules say: one; two; three; and 2 more, see above"
	if got := v.line().render(0, false); got != want {
		t.Errorf("got %q", got)
	}
	if len(v.wrong) != 5 {
		t.Errorf("the line changed the verdict: %q", v.wrong)
	}
}

func TestCheckEvents(t *testing.T) {
	about := func(kind, name, uid, reason string) corev1.Event {
		return corev1.Event{Reason: reason, InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name, UID: types.UID(uid)}}
	}
	var events []corev1.Event
	for _, name := range []string{"web-1", "cache-1", "cache-2", "batch-1"} {
		events = append(events, about("Pod", name, "uid of "+name, podReason))
	}
	events = append(events, about("Node", "node-1", "", scheduledReason), about("Node", "node-2", "", scheduledReason),
		about("Node", "node-2", "", cancelledReason))
	if wrong := checkEvents(played(), events); len(wrong) > 0 {
		t.Errorf("complaints about what is right: %q", wrong)
	}
	for name, test := range map[string]struct {
		events []corev1.Event
		want   string
	}{
		"missing about a pod":  {events[1:], "web-1 has 0 Events, not 1"},
		"missing about a node": {events[:6], "node-2 has 0 Events TaintManagerEvictionCancelled, not 1"},
		"twice":                {append(events[:7:7], events[0]), "web-1 has 2 Events, not 1"},
		"of a pod that stays":  {append(events[:7:7], about("Pod", "spare", "uid of spare", podReason)), "spare has 1 Events, not 0"},
		"of a namesake":        {append(events[1:7:7], about("Pod", "web-1", "another", podReason)), "web-1 has 0 Events, not 1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(checkEvents(played(), test.events), "; "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestLedgerNotes(t *testing.T) {
	l := newLedger(workloads())
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "cache-x", UID: "1", Labels: map[string]string{appLabel: "cache"}}}
	see := func(at float64, gone bool) news {
		return l.note(observation{at: after(at), gone: gone, pod: object.DeepCopy()})
	}
	if n := see(1, false); n.bound || n.left || n.pod.tolerates != (tolerance{seconds: 5}) {
		t.Errorf("new: %+v of %+v", n, n.pod)
	}
	object.Spec.NodeName = "node-1"
	if n := see(2, false); !n.bound || n.pod.bound != after(2) || n.pod.node != "node-1" {
		t.Errorf("bound: %+v of %+v", n, n.pod)
	}
	object.Status.Phase = corev1.PodRunning
	if n := see(3, false); n.bound || l.running() != 1 || l.on("node-1") != 1 {
		t.Errorf("running: %+v of %+v", n, n.pod)
	}
	object.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByTaintManager"},
	}
	if n := see(4, false); n.left || l.evicted() != 0 {
		t.Errorf("marked: %+v of %+v", n, n.pod)
	}
	object.DeletionTimestamp = &metav1.Time{Time: after(30)}
	if n := see(5, false); !n.left || n.pod.left != after(5) || !n.pod.marked || l.running() != 0 || l.evicted() != 1 {
		t.Errorf("deleted: %+v of %+v", n, n.pod)
	}
	if n := see(6, true); n.left || n.pod.left != after(5) {
		t.Errorf("gone: %+v of %+v", n, n.pod)
	}
	object.UID = "2"
	if n := see(7, false); !n.bound || len(l.pods) != 2 {
		t.Errorf("a namesake is another pod: %+v", n)
	}
}

func TestLedgerSettled(t *testing.T) {
	l := played()
	if l.settled(after(13), cancelled) {
		t.Error("what is cancelled counts as settled before it would have been due")
	}
	if !l.settled(after(13), atOnce, onTime) || !l.settled(after(14.2), atOnce, onTime, cancelled) {
		t.Error("not settled in the end")
	}
}
