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

package load

import (
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// images is how many of them a node has pulled.
const images = 25

// Node is a node that is ready and has no taints. Its kubelet reported at the given moment.
func (c Cluster) Node(node int, resourceVersion uint64, now time.Time) *v1.Node {
	name := NodeName(node)
	n := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: NodeUID(node), ResourceVersion: Version(resourceVersion), CreationTimestamp: metav1.NewTime(c.Began),
			Labels: labels(v1.LabelHostname, name, v1.LabelOSStable, "linux", v1.LabelArchStable, "amd64", v1.LabelInstanceTypeStable, "m6i.4xlarge",
				v1.LabelTopologyZone, "eu-central-1a", v1.LabelTopologyRegion, "eu-central-1", "node.example.com/pool", "general",
				"node.example.com/image", "2026.02.03"),
			Annotations: labels("csi.volume.kubernetes.io/nodeid", fmt.Sprintf(`{"disk.csi.example.com":"i-0a1b2c3d%08x"}`, node),
				"node.alpha.kubernetes.io/ttl", "0", "volumes.kubernetes.io/controller-managed-attach-detach", "true"),
			ManagedFields: []metav1.ManagedFieldsEntry{
				managed("kube-controller-manager", "", c.Began, `{"f:metadata":{"f:annotations":{"f:node.alpha.kubernetes.io/ttl":{}}},"f:spec":{"f:podCIDR":{}}}`),
				managed("kubelet", "status", now, nodeStatusFields),
			},
		},
		Spec: v1.NodeSpec{
			PodCIDR: fmt.Sprintf("10.%d.%d.0/24", 64+node>>8&63, node&255), ProviderID: fmt.Sprintf("cloud:///eu-central-1a/i-0a1b2c3d%08x", node),
		},
		Status: v1.NodeStatus{
			Capacity: capacity(), Allocatable: capacity(),
			Conditions: []v1.NodeCondition{
				c.condition(v1.NodeMemoryPressure, v1.ConditionFalse, "KubeletHasSufficientMemory", now),
				c.condition(v1.NodeDiskPressure, v1.ConditionFalse, "KubeletHasNoDiskPressure", now),
				c.condition(v1.NodePIDPressure, v1.ConditionFalse, "KubeletHasSufficientPID", now),
				c.condition(v1.NodeReady, v1.ConditionTrue, "KubeletReady", now),
			},
			Addresses: []v1.NodeAddress{
				{Type: fresh(v1.NodeInternalIP), Address: fmt.Sprintf("10.%d.%d.%d", node>>16, node>>8&255, node&255)},
				{Type: fresh(v1.NodeHostName), Address: fresh(name)},
			},
			NodeInfo: v1.NodeSystemInfo{
				MachineID: fmt.Sprintf("ec2a7d0c5b1f4e86%016x", node), SystemUUID: fmt.Sprintf("ec2a7d0c-5b1f-4e86-9a33-%012x", node),
				BootID: fmt.Sprintf("71f5c0de-03ab-4d7e-8a11-%012x", node), KernelVersion: fresh("6.12.14"), OSImage: fresh("Linux 2026.02"),
				ContainerRuntimeVersion: fresh("containerd://2.1.4"), KubeletVersion: fresh("v1.37.2"), OperatingSystem: fresh("linux"), Architecture: fresh("amd64"),
			},
		},
	}
	for i := range images {
		repository := fmt.Sprintf("registry.example.com/storefront/service-%d", (node+i)%5000)
		n.Status.Images = append(n.Status.Images, v1.ContainerImage{
			Names: []string{
				fmt.Sprintf("%s@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15%08x", repository, i),
				repository + ":2.14.3",
			},
			SizeBytes: int64(100_000_000 + i),
		})
	}
	return n
}

// Unreachable is that node after the node lifecycle controller has found at the given moment that its kubelet is silent.
func (c Cluster) Unreachable(node int, resourceVersion uint64, now time.Time) *v1.Node {
	n := c.Node(node, resourceVersion, c.Began)
	when := metav1.NewTime(now.Truncate(time.Second))
	for _, effect := range []v1.TaintEffect{v1.TaintEffectNoSchedule, v1.TaintEffectNoExecute} {
		n.Spec.Taints = append(n.Spec.Taints, v1.Taint{Key: fresh(v1.TaintNodeUnreachable), Effect: fresh(effect), TimeAdded: when.DeepCopy()})
	}
	for i := range n.Status.Conditions {
		condition := &n.Status.Conditions[i]
		condition.Status, condition.LastTransitionTime = fresh(v1.ConditionUnknown), when
		condition.Reason, condition.Message = fresh("NodeStatusUnknown"), fresh("Kubelet stopped posting node status.")
	}
	n.ManagedFields = append(n.ManagedFields, managed("kube-controller-manager", "", now, nodeTaintFields))
	return n
}

func (c Cluster) condition(t v1.NodeConditionType, status v1.ConditionStatus, reason string, now time.Time) v1.NodeCondition {
	return v1.NodeCondition{
		Type: fresh(t), Status: fresh(status), LastHeartbeatTime: metav1.NewTime(now.Truncate(time.Second)),
		LastTransitionTime: metav1.NewTime(c.Began), Reason: fresh(reason), Message: "kubelet says: " + reason,
	}
}

func capacity() v1.ResourceList {
	return v1.ResourceList{
		fresh(v1.ResourceCPU): quantity("16"), fresh(v1.ResourceMemory): quantity("63Gi"),
		fresh(v1.ResourceEphemeralStorage): quantity("200Gi"), fresh(v1.ResourcePods): quantity("110"),
	}
}
