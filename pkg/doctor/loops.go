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

// workload is pods of one owner on one node.
type workload struct{ namespace, owner, node string }

// checkLoops looks for pods that come back to the node that they were evicted from, again and again.
func checkLoops(c *Cluster) []Finding {
	const check = "EvictionLoops"
	if c.Evictions.Err != nil {
		return unread(check, "Events", c.Evictions.Err)
	}
	times := map[workload]int{}
	now := c.now()
	for i := range c.Evictions.Value {
		if e := &c.Evictions.Value[i]; e.Node != "" && now.Sub(e.Last) <= loopWindow {
			times[workload{e.Namespace, ownerOf(e.Pod), e.Node}]++
		}
	}
	var loops []workload
	for of, n := range times {
		if n >= loopTimes {
			loops = append(loops, of)
		}
	}
	slices.SortFunc(loops, func(a, b workload) int {
		return cmp.Or(cmp.Compare(times[b], times[a]), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.owner, b.owner), cmp.Compare(a.node, b.node))
	})
	var findings []Finding
	for _, of := range loops {
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("Pods of %s in namespace %s were evicted from node %s %d times within the last hour: they come back to it.",
			of.owner, of.namespace, of.node, times[of]),
			"They may go to a node with the taint, and may not stay. Either let them tolerate it for ever, without tolerationSeconds; or keep them away from it, by a " +
				"NoSchedule taint of the same key that they do not tolerate, or by not setting spec.nodeName (Kubernetes issue 92170).", nil})
	}
	return orOK(findings, check, "No pods come back to the node that they were evicted from, by the Events of the last hour.")
}

// ownerOf returns the name of what has made a pod, by the pod's name.
func ownerOf(pod string) string {
	owner := generated.ReplaceAllString(pod, "")
	if owner == pod {
		return pod // of a StatefulSet, or bare
	}
	return hash.ReplaceAllString(owner, "")
}
