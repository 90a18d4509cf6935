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

package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
)

const (
	// loopWindow is how long ago an eviction may be that counts for a loop, and loopTimes how many make one.
	loopWindow, loopTimes = time.Hour, 3
)

// generated is what a ReplicaSet, a DaemonSet or a Job appends to its name for a pod, and hash what a Deployment appends for a ReplicaSet.
// The letters are those of apimachinery's SafeEncodeString.
var (
	generated = regexp.MustCompile(`-[bcdfghjklmnpqrstvwxz2456789]{5}$`)
	hash      = regexp.MustCompile(`-[bcdfghjklmnpqrstvwxz2456789]{8,10}$`)
)

// workload is what pods belong to.
type workload struct{ namespace, owner string }

// checkLoops looks for pods that come back to the node that they were evicted from, again and again.
func checkLoops(c *Cluster) []Finding {
	const check = "EvictionLoops"
	if c.Evictions.Err != nil {
		return unread(check, "Events", c.Evictions.Err)
	}
	type place struct {
		workload
		node string
	}
	evictions := map[place][]*Eviction{}
	now := c.now()
	for i := range c.Evictions.Value {
		if e := &c.Evictions.Value[i]; e.Node != "" && !e.Since.IsZero() && now.Sub(e.Last) <= loopWindow {
			at := place{workload{e.Namespace, ownerOf(e.Pod)}, e.Node}
			evictions[at] = append(evictions[at], e)
		}
	}
	nodes := map[workload][]string{}
	for at, all := range evictions {
		if n := rounds(all); n >= loopTimes {
			nodes[at.workload] = append(nodes[at.workload], fmt.Sprintf("%s (%d times)", at.node, n))
		}
	}
	var findings []Finding
	for _, of := range slices.SortedFunc(maps.Keys(nodes), func(a, b workload) int {
		return cmp.Or(cmp.Compare(len(nodes[b]), len(nodes[a])), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.owner, b.owner))
	}) {
		slices.Sort(nodes[of])
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("Pods of %s in namespace %s came back to a node that they had been evicted from, and were evicted again, within the last hour.",
			of.owner, of.namespace),
			"They may go to a node with the taint, and may not stay. Either let them tolerate it for ever, without tolerationSeconds; or keep them away from it, by a " +
				"NoSchedule taint of the same key that they do not tolerate, or by not setting spec.nodeName (Kubernetes issue 92170).", nodes[of]})
	}
	return orOK(findings, check, "No pods come back to the node that they were evicted from, by the Events of the last hour.")
}

// rounds returns how many of the evictions followed one another, from coming to going. Pods that were there together, replicas of a Deployment
// on a node that is drained one by one, are of one round.
func rounds(all []*Eviction) (n int) {
	slices.SortFunc(all, func(a, b *Eviction) int { return a.Last.Compare(b.Last) })
	var gone time.Time
	for _, e := range all {
		if e.Since.After(gone) {
			n, gone = n+1, e.Last
		}
	}
	return n
}

// ownerOf returns the name of what has made a pod, by the pod's name.
func ownerOf(pod string) string {
	owner := generated.ReplaceAllString(pod, "")
	if owner == pod {
		return pod // of a StatefulSet, or bare
	}
	return hash.ReplaceAllString(owner, "")
}
