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

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
)

const (
	// maxSkew is how much two clocks may differ.
	maxSkew = 2 * time.Second
	// maxSilence is for how long the Lease of a ready node is not renewed. Node lifecycle takes a node for lost that is silent for 40 s, by
	// its own clock and not by the time in the Lease.
	maxSilence = 2 * time.Minute
	syncTime   = "Check the time synchronization of these machines."
)

// checkClock compares our clock with the API server's.
func checkClock(c *Cluster) []Finding {
	const check = "Clock"
	switch {
	case !c.ClockKnown:
		return []Finding{{Unknown, check, "The API server's answers have no Date.", "", nil}}
	case c.Ahead.Abs() > maxSkew+c.Within:
		return []Finding{{Warning, check, fmt.Sprintf("The API server's clock is %s %s this machine's.", c.Ahead.Abs().Round(time.Second), direction(c.Ahead)),
			"No pod goes early or late by that, but times in logs and in the API do not fit together. Check the time synchronization of both.", nil}}
	}
	return []Finding{{OK, check, "The API server's clock and this machine's agree.", "", nil}}
}

func direction(ahead time.Duration) string {
	if ahead > 0 {
		return "ahead of"
	}
	return "behind"
}

// checkHeartbeats compares the clocks of nodes with the API server's, by the times that their kubelets write into Leases.
func checkHeartbeats(c *Cluster) []Finding {
	const check = "NodeClocks"
	if blind := c.blind(check, "nodes"); blind != nil {
		return blind
	}
	if c.Heartbeats.Err != nil {
		return unread(check, "the Leases of nodes", c.Heartbeats.Err)
	}
	var ahead, behind []string
	for i := range c.Heartbeats.Value {
		lease := &c.Heartbeats.Value[i]
		node := c.Nodes[lease.Name]
		if node == nil || lease.Spec.RenewTime == nil {
			continue
		}
		switch age := c.API(c.Heartbeats.At).Sub(lease.Spec.RenewTime.Time); {
		case age < -maxSkew-c.Within:
			ahead = append(ahead, fmt.Sprintf("%s (%s ahead)", lease.Name, (-age).Round(time.Second)))
		case age > maxSilence && node.NotReady == "":
			behind = append(behind, fmt.Sprintf("%s (%s behind)", lease.Name, age.Round(time.Second)))
		}
	}
	slices.Sort(ahead)
	slices.Sort(behind)
	var findings []Finding
	if len(ahead) > 0 {
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("The clock of %s is ahead of the API server's, by the Lease of the node.", count(len(ahead), "node")),
			"The kubelet stamps PodScheduled and Ready by it: pods that it binds itself are taken for bound later than they were. " + syncTime, ahead})
	}
	if len(behind) > 0 {
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("The Lease of %s is old, though Ready: the clock is behind, or the Lease is not renewed.", count(len(behind), "node")), syncTime, behind})
	}
	return orOK(findings, check, fmt.Sprintf("The clocks of %s agree with the API server's, by their Leases.", count(leasesOf(c, c.Heartbeats.Value), "node")))
}

// leasesOf counts the nodes that have a Lease.
func leasesOf(c *Cluster, leases []coordinationv1.Lease) (n int) {
	for i := range leases {
		if c.Nodes[leases[i].Name] != nil {
			n++
		}
	}
	return n
}

// checkTimeAdded looks for taints that were added in the future: the clock of their writer is ahead.
func checkTimeAdded(c *Cluster) []Finding {
	const check = "TimeAdded"
	if blind := c.blind(check, "nodes"); blind != nil {
		return blind
	}
	var future []string
	for name, node := range c.Nodes {
		for _, taint := range node.Taints {
			if ahead := taint.TimeAdded.Sub(c.now()); ahead > maxSkew+c.Within {
				future = append(future, fmt.Sprintf("%s: %s (%s ahead)", name, taint.Key, ahead.Round(time.Second)))
			}
		}
	}
	if len(future) == 0 {
		return []Finding{{OK, check, "No taint was added in the future.", "", nil}}
	}
	slices.Sort(future)
	return []Finding{{Warning, check, "Taints have a timeAdded in the future, which does not count. The built-in controller ignores it as well.",
		"The clock of who adds them is ahead: for " + v1.TaintNodeNotReady + " and " + v1.TaintNodeUnreachable + ", that of kube-controller-manager. Check its time synchronization.", future}}
}
