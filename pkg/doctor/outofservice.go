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
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

const (
	// lostAfter is for how long a node is unreachable before its pods are looked at, and stuckAfter for how long, after its grace period, a pod
	// is terminating before it counts as stuck.
	lostAfter, stuckAfter = 5 * time.Minute, time.Minute
)

// LostNodes returns the nodes that have been unreachable for long, and are not marked as out of service.
func LostNodes(s *snapshot.Snapshot) (names []string) {
	for name := range s.Nodes {
		lost := false
		for _, taint := range s.Taints(name) {
			if taint.Key == v1.TaintNodeOutOfService {
				lost = false
				break
			}
			since := taint.Start
			if !taint.Period.IsZero() {
				since = taint.Period
			}
			lost = lost || taint.Key == v1.TaintNodeUnreachable && s.At.Sub(since) >= lostAfter
		}
		if lost {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// KeepLost keeps what checks read of a pod on a node that LostNodes names. A pod that is not being deleted waits for nothing.
func KeepLost(pod *v1.Pod) (v1.Pod, bool) {
	kept := v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, DeletionTimestamp: pod.DeletionTimestamp, OwnerReferences: pod.OwnerReferences},
		Spec:       v1.PodSpec{NodeName: pod.Spec.NodeName},
	}
	for i := range pod.Spec.Volumes {
		if volume := &pod.Spec.Volumes[i]; isClaim(volume) {
			kept.Spec.Volumes = append(kept.Spec.Volumes, *volume)
		}
	}
	return kept, pod.DeletionTimestamp != nil
}

func isClaim(volume *v1.Volume) bool {
	return volume.PersistentVolumeClaim != nil || volume.Ephemeral != nil
}

// checkOutOfService looks for nodes whose pods cannot be replaced until someone says that the node is out of service.
func checkOutOfService(c *Cluster) []Finding {
	const check = "OutOfService"
	if blind := c.blind(check, "nodes"); blind != nil {
		return blind
	}
	nodes := LostNodes(c.Snapshot)
	if len(nodes) == 0 {
		return []Finding{{OK, check, fmt.Sprintf("No node has been unreachable for %s without being marked as out of service.", lostAfter), "", nil}}
	}
	if c.Lost.Err != nil {
		return unread(check, "the pods of unreachable nodes", c.Lost.Err)
	}
	var findings []Finding
	for _, node := range nodes {
		var stuck []string
		for i := range c.Lost.Value {
			if pod := &c.Lost.Value[i]; pod.Spec.NodeName == node && c.isStuck(pod) {
				stuck = append(stuck, pod.Namespace+"/"+pod.Name)
			}
		}
		if len(stuck) == 0 {
			continue
		}
		slices.Sort(stuck)
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("Node %s is unreachable, and %s cannot be replaced: nobody knows whether they have stopped.",
			node, count(len(stuck), "pod")), fmt.Sprintf("If the machine is off for certain: kubectl taint nodes %s %s=nodeshutdown:NoExecute; remove the taint when it is back. "+
			"If it may be running, do not: two pods would write to one volume.", node, v1.TaintNodeOutOfService), stuck})
	}
	return orOK(findings, check, fmt.Sprintf("%s unreachable for long, and no pod there waits for it.", isOrAre(len(nodes), "node")))
}

func isOrAre(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return fmt.Sprintf("%d %ss are", n, noun)
}

// isStuck reports whether a pod cannot be replaced while it is terminating: a StatefulSet needs its name, and others may need its volume.
func (c *Cluster) isStuck(pod *v1.Pod) bool {
	if pod.DeletionTimestamp == nil || c.now().Sub(pod.DeletionTimestamp.Time) < stuckAfter { // which is when its grace period ends
		return false
	}
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "StatefulSet" || slices.ContainsFunc(pod.Spec.Volumes, func(volume v1.Volume) bool { return isClaim(&volume) })
}
