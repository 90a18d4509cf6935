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
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// pod is what the demo knows of a pod: what it asked for, and what the API server's watch showed.
type pod struct {
	uid       types.UID
	name      string
	tolerates tolerance
	changed   *change // of tolerates; at most one in its life

	node    string
	bound   time.Time // when it was seen on its node
	running bool
	left    time.Time // when it was seen being deleted; zero while it stays
	marked  bool      // it carried taint-manager's condition when it left
}

// toleratesNow is the tolerance that counts.
func (p *pod) toleratesNow() tolerance {
	if p.changed != nil {
		return p.changed.to
	}
	return p.tolerates
}

// ledger holds all pods that there were, by UID, and what the demo did to nodes.
type ledger struct {
	workloads map[string]workload
	pods      map[types.UID]*pod
	nodes     map[string]*tainted
}

func newLedger(list []workload) *ledger {
	l := &ledger{
		workloads: make(map[string]workload),
		pods:      make(map[types.UID]*pod),
		nodes:     make(map[string]*tainted),
	}
	for _, w := range list {
		l.workloads[w.name] = w
	}
	return l
}

// observation is one event of the watch, and when it arrived.
type observation struct {
	at   time.Time
	gone bool
	pod  *corev1.Pod
}

// news is what an observation says that was not known.
type news struct {
	pod         *pod
	bound, left bool
}

// note enters an observation.
func (l *ledger) note(o observation) news {
	p := l.pods[o.pod.UID]
	if p == nil {
		p = &pod{
			uid: o.pod.UID, name: o.pod.Name, tolerates: l.workloads[o.pod.Labels[appLabel]].tolerates,
		}
		l.pods[p.uid] = p
	}
	n := news{pod: p}
	if p.node == "" && o.pod.Spec.NodeName != "" {
		p.node, p.bound, n.bound = o.pod.Spec.NodeName, o.at, true
	}
	p.running = o.pod.Status.Phase == corev1.PodRunning
	deleted := o.gone || o.pod.DeletionTimestamp != nil
	if deleted && p.left.IsZero() {
		p.left, p.marked, n.left = o.at, marked(o.pod), true
	}
	return n
}

// marked says whether a pod carries the condition by which others see that it was evicted for a taint.
func marked(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason == "DeletionByTaintManager"
	})
}

// expectation is what the rules demand of a pod.
func (l *ledger) expectation(p *pod) expectation { return expect(p, l.nodes[p.node]) }

// sorted are the pods that match, by node and by what they tolerate.
func (l *ledger) sorted(match func(*pod) bool) []*pod {
	var list []*pod
	for _, p := range l.pods {
		if match(p) {
			list = append(list, p)
		}
	}
	rank := func(t tolerance) int64 {
		if t.forever {
			return 1 << 40
		}
		return t.seconds
	}
	slices.SortFunc(list, func(a, b *pod) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(rank(a.tolerates), rank(b.tolerates)),
			cmp.Compare(a.name, b.name))
	})
	return list
}

// affected are the pods whom the demo's taints met on their nodes.
func (l *ledger) affected() []*pod {
	return l.sorted(func(p *pod) bool { return l.expectation(p).outcome != untouched })
}

// settled says whether all pods of an outcome have had theirs.
func (l *ledger) settled(now time.Time, outcomes ...outcome) bool {
	for _, p := range l.pods {
		if e := l.expectation(p); slices.Contains(outcomes, e.outcome) && !e.settled(p, now) {
			return false
		}
	}
	return true
}

// running counts the pods that run and are not being deleted.
func (l *ledger) running() int {
	return len(l.sorted(func(p *pod) bool { return p.running && p.left.IsZero() }))
}

// on counts the pods on each node that are not being deleted.
func (l *ledger) on(node string) int {
	return len(l.sorted(func(p *pod) bool { return p.node == node && p.left.IsZero() }))
}

// evicted counts the pods that have gone.
func (l *ledger) evicted() int { return len(l.sorted(func(p *pod) bool { return !p.left.IsZero() })) }

// tainted are the names of the nodes that the demo tainted, and of those whose taint it removed.
func (l *ledger) tainted() (all, removed []string) {
	for name, node := range l.nodes {
		all = append(all, name)
		if node.removed != nil {
			removed = append(removed, name)
		}
	}
	return all, removed
}
