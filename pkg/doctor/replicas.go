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
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	utilversion "k8s.io/apimachinery/pkg/util/version"
	"k8s.io/utils/ptr"
)

// checkLeader checks that a replica of ours leads, and that it exists.
func checkLeader(c *Cluster) []Finding {
	const check = "Leader"
	const logs = "See its log, and /readyz?verbose, which names what is missing: kubectl -n %s logs deploy/%s"
	if c.Leases.Err != nil {
		return unread(check, "the Lease", c.Leases.Err)
	}
	if dryRun := onlyDryRun(c); dryRun != "" {
		return []Finding{{Info, check, fmt.Sprintf("Nobody evicts, because only a dry run is on, by Lease %s.", dryRun),
			"To have taint-manager evict, run it without --dry-run, and without eviction.dryRun in its configuration file.", nil}}
	}
	do := fmt.Sprintf(logs, c.Namespace, deploymentName(c))
	i := slices.IndexFunc(c.Leases.Value, func(l coordinationv1.Lease) bool { return l.Namespace == c.Namespace && l.Name == c.Lease })
	if i < 0 {
		if len(c.Deployments.Value) == 0 {
			do = "Install it, or say with --manager-namespace and --manager-lease where its Lease is: see manifests/README.md."
		}
		return []Finding{{Error, check, fmt.Sprintf("There is no Lease %s/%s: no replica has led, and nobody evicts.", c.Namespace, c.Lease), do, nil}}
	}
	lease := &c.Leases.Value[i]
	holder := ptr.Deref(lease.Spec.HolderIdentity, "")
	switch held, age := c.held(lease); {
	case holder == "":
		return []Finding{{Error, check, "The Lease has no holder: no replica leads, and nobody evicts.", do, nil}}
	case !held:
		return []Finding{{Error, check, fmt.Sprintf("The holder of the Lease, %s, has not renewed it for %s: no replica leads.", holder, age.Round(time.Second)), do, nil}}
	}
	var findings []Finding
	if later := c.LeaseLater; later != nil && ptr.Deref(later.Spec.HolderIdentity, "") != holder {
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("The holder of the Lease changed while doctor ran, from %s to %s, after %d changes in all.",
			holder, ptr.Deref(later.Spec.HolderIdentity, "nobody"), ptr.Deref(later.Spec.LeaseTransitions, 0)),
			"If it goes on, look for replicas that are restarted, or that lose their connection. " + do, nil})
	}
	if pods := c.Replicas; pods.Err == nil && !slices.ContainsFunc(pods.Value, func(pod v1.Pod) bool { return isHolder(&pod, holder) }) {
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("The Lease is held by %s, which is no pod of taint-manager.", holder),
			"Find the process on that host: it evicts, and a Deployment's replicas wait for it.", nil})
	}
	return orOK(findings, check, fmt.Sprintf("%s leads since %s; the Lease has changed hands %s.", hostOf(holder),
		acquired(lease).UTC().Format(time.RFC3339), count(int(ptr.Deref(lease.Spec.LeaseTransitions, 0)), "time")))
}

// deploymentName returns the name of the Deployment of taint-manager, by default that of the manifests.
func deploymentName(c *Cluster) string {
	for i := range c.Deployments.Value {
		if d := &c.Deployments.Value[i]; d.Namespace == c.Namespace {
			return d.Name
		}
	}
	return "taint-manager"
}

// heldAt reports whether a Lease is held at a time, and how long ago it was renewed.
func heldAt(lease *coordinationv1.Lease, now time.Time) (held bool, age time.Duration) {
	if ptr.Deref(lease.Spec.HolderIdentity, "") == "" || lease.Spec.RenewTime == nil {
		return false, 0
	}
	age = now.Sub(lease.Spec.RenewTime.Time)
	return age < time.Duration(ptr.Deref(lease.Spec.LeaseDurationSeconds, 15))*time.Second, age
}

func acquired(lease *coordinationv1.Lease) time.Time {
	if lease.Spec.AcquireTime == nil {
		return lease.CreationTimestamp.Time
	}
	return lease.Spec.AcquireTime.Time
}

// hostOf returns the host of an identity: a replica's is its host, an underscore, and a UUID.
func hostOf(identity string) string {
	host, _, _ := strings.Cut(identity, "_")
	return host
}

// isHolder reports whether a pod has an identity. The host of a pod in the network of its node is that of the node, whose name begins with it,
// in lower case.
func isHolder(pod *v1.Pod, identity string) bool {
	host := hostOf(identity)
	if !pod.Spec.HostNetwork {
		return pod.Name == host
	}
	short, _, _ := strings.Cut(host, ".")
	node, _, _ := strings.Cut(pod.Spec.NodeName, ".")
	return strings.EqualFold(node, short)
}

// checkReplicas checks that there is one deployment, and that it runs.
func checkReplicas(c *Cluster) []Finding {
	const check = "Replicas"
	var findings []Finding
	if c.Leases.Err == nil {
		findings = append(findings, leases(c, check)...)
	}
	if c.Deployments.Err != nil {
		return append(findings, unread(check, "Deployments", c.Deployments.Err)...)
	}
	var names []string
	for i := range c.Deployments.Value {
		d := &c.Deployments.Value[i]
		if ptr.Deref(d.Spec.Replicas, 1) > 0 && !isDryRun(c, d) {
			names = append(names, d.Namespace+"/"+d.Name)
		}
		findings = append(findings, replicas(d, check)...)
	}
	switch {
	case len(names) > 1:
		findings = append(findings, Finding{Error, check, "There are several Deployments of taint-manager. Each evicts, and each keeps starts of taints by itself.",
			"Keep one. To change it, apply the new one over the old one.", names})
	case len(c.Deployments.Value) == 0:
		findings = append(findings, Finding{Info, check, "There is no Deployment with the labels of the manifests.",
			"If taint-manager runs in another way, what is about its Deployment cannot be checked.", nil})
	}
	return orOK(findings, check, fmt.Sprintf("One Deployment, %s, with %s available.", strings.Join(names, ""), count(int(available(c)), "replica")))
}

// leases returns findings about several Leases that are held at the same time.
func leases(c *Cluster, check string) (findings []Finding) {
	var held []string
	for i := range c.Leases.Value {
		lease := &c.Leases.Value[i]
		if is, _ := c.held(lease); !is {
			continue
		}
		if lease.Name == DryRunLease(c.Lease) {
			findings = append(findings, Finding{Info, check, fmt.Sprintf("A dry run is on, by Lease %s/%s.", lease.Namespace, lease.Name), "", nil})
			continue
		}
		held = append(held, lease.Namespace+"/"+lease.Name)
	}
	if len(held) > 1 {
		findings = append(findings, Finding{Error, check, "Several Leases of taint-manager are held: several evict at the same time.",
			"Keep one of them, and delete the Deployments of the others.", held})
	}
	return findings
}

// replicas returns findings about one Deployment.
func replicas(d *appsv1.Deployment, check string) (findings []Finding) {
	name, wanted := d.Namespace+"/"+d.Name, ptr.Deref(d.Spec.Replicas, 1)
	switch {
	case wanted == 0:
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("Deployment %s has no replicas.", name), "Scale it to 2, or delete it.", nil})
	case d.Status.AvailableReplicas == 0:
		findings = append(findings, Finding{Error, check, fmt.Sprintf("No replica of Deployment %s is available.", name),
			fmt.Sprintf("kubectl -n %s describe deploy/%s", d.Namespace, d.Name), nil})
	case d.Status.AvailableReplicas < wanted:
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("%d of %s of Deployment %s are available.", d.Status.AvailableReplicas, count(int(wanted), "replica"), name),
			fmt.Sprintf("kubectl -n %s describe deploy/%s", d.Namespace, d.Name), nil})
	}
	if wanted > 1 && slices.Contains(argsOf(d), "--leader-elect=false") {
		findings = append(findings, Finding{Error, check, fmt.Sprintf("Deployment %s has %d replicas without leader election: all of them evict.", name, wanted),
			"Remove --leader-elect=false.", nil})
	}
	return findings
}

func argsOf(d *appsv1.Deployment) (words []string) {
	for i := range d.Spec.Template.Spec.Containers {
		words = append(words, commandLine(&d.Spec.Template.Spec.Containers[i])...)
	}
	return words
}

func available(c *Cluster) (n int32) {
	for i := range c.Deployments.Value {
		n += c.Deployments.Value[i].Status.AvailableReplicas
	}
	return n
}

// checkVersion compares the version of the plugin with those of the replicas.
func checkVersion(c *Cluster) []Finding {
	const check = "Version"
	if c.Deployments.Err != nil {
		return unread(check, "Deployments", c.Deployments.Err)
	}
	own, err := utilversion.ParseGeneric(c.Version)
	if err != nil || own.Major() == 0 && own.Minor() == 0 {
		said := fmt.Sprintf("The plugin is of no release, but %s.", c.Version)
		if strings.Contains(c.Version, "$Format") { // what component-base says where nothing has stamped a version
			said = "The plugin was built without a version."
		}
		return []Finding{{Unknown, check, said, "Use the plugin of the release that runs.", nil}}
	}
	var findings []Finding
	for i := range c.Deployments.Value {
		d := &c.Deployments.Value[i]
		for k := range d.Spec.Template.Spec.Containers {
			image := d.Spec.Template.Spec.Containers[k].Image
			tag := tagOf(image)
			switch theirs, err := utilversion.ParseGeneric(tag); {
			case err != nil:
				findings = append(findings, Finding{Unknown, check, fmt.Sprintf("The image of Deployment %s/%s shows no version: %s.", d.Namespace, d.Name, image),
					"If its version is not that of the plugin, the plugin may decide otherwise.", nil})
			case theirs.Major() != own.Major() || theirs.Minor() != own.Minor():
				findings = append(findings, Finding{Warning, check, fmt.Sprintf("Deployment %s/%s is of version %s, and the plugin of %s: it may decide otherwise than it shows.",
					d.Namespace, d.Name, tag, c.Version), "Use the plugin of the same minor version.", nil})
			}
		}
	}
	if len(c.Deployments.Value) == 0 {
		return []Finding{{Unknown, check, "There is no Deployment whose version could be compared.", "", nil}}
	}
	return orOK(findings, check, fmt.Sprintf("The plugin and the Deployment are of version %d.%d.", own.Major(), own.Minor()))
}

// tagOf returns the tag of an image, or "".
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
		return image[i+1:]
	}
	return ""
}
