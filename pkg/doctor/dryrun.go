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

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// DryRunLease returns the name of the Lease of a dry run, from that of the Lease without it.
func DryRunLease(lease string) string { return lease + "-dry-run" }

// onlyDryRun returns the name of the Lease of a dry run, if that is on and nothing of ours is to evict, and otherwise an empty string. Then
// the built-in controller has to be on, and no replica to lead.
func onlyDryRun(c *Cluster) string {
	if c.Leases.Err != nil || c.Deployments.Err != nil {
		return ""
	}
	evicts := func(d appsv1.Deployment) bool { return ptr.Deref(d.Spec.Replicas, 1) > 0 && !isDryRun(c, &d) }
	if slices.ContainsFunc(c.Deployments.Value, evicts) {
		return ""
	}
	name := ""
	for i := range c.Leases.Value {
		lease := &c.Leases.Value[i]
		switch held, _ := c.held(lease); {
		case !held:
		case lease.Name == DryRunLease(c.Lease):
			name = lease.Namespace + "/" + lease.Name
		default:
			return ""
		}
	}
	return name
}

// isDryRun reports whether a Deployment is a dry run: by its flags, or by its Lease, where the configuration file says so. The Lease tells if one of
// our pods holds it, nobody in the namespace evicts, and there is no other Deployment that the pod may be of.
func isDryRun(c *Cluster, d *appsv1.Deployment) bool {
	if hasDryRunFlag(d) {
		return true
	}
	others := func(other appsv1.Deployment) bool { return other.Namespace == d.Namespace && other.Name != d.Name }
	return c.holds(d.Namespace, DryRunLease(c.Lease), true) && !c.holds(d.Namespace, c.Lease, false) && !slices.ContainsFunc(c.Deployments.Value, others)
}

// holds reports whether the Lease of a name is held in a namespace; with byPod set, by one of our pods there.
func (c *Cluster) holds(namespace, name string, byPod bool) bool {
	return slices.ContainsFunc(c.Leases.Value, func(lease coordinationv1.Lease) bool {
		held, _ := c.held(&lease)
		return held && lease.Namespace == namespace && lease.Name == name && (!byPod || slices.ContainsFunc(c.Replicas.Value, func(pod v1.Pod) bool {
			return pod.Namespace == namespace && isHolder(&pod, ptr.Deref(lease.Spec.HolderIdentity, ""))
		}))
	})
}

// besideDryRun is what becomes of findings about the built-in controller where only a dry run of ours is on.
func besideDryRun(c *Cluster, findings []Finding) []Finding {
	if onlyDryRun(c) == "" {
		return findings
	}
	for i, finding := range findings {
		if finding.Severity == Error || finding.Severity == Warning {
			findings[i].Severity = Info
			findings[i].Seen = fmt.Sprintf("%s Only a dry run of taint-manager is on, so it has to be.", finding.Seen)
			findings[i].Do = "Leave it on until taint-manager evicts. Then: " + finding.Do
		}
	}
	return findings
}

func hasDryRunFlag(d *appsv1.Deployment) bool {
	args := argsOf(d)
	return slices.Contains(args, "--dry-run") || slices.Contains(args, "--dry-run=true")
}
