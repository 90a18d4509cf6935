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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// Pod is a pod that runs, in about 5 KB on the wire. Its status was last written at the given moment.
func (c Cluster) Pod(pod int, resourceVersion uint64, now time.Time) *v1.Pod {
	workload := pod / podsPerWorkload
	app, hash := fmt.Sprintf("service-%d", workload), fmt.Sprintf("%08x", 0x5f7d8c9b^workload)
	p := &v1.Pod{
		ObjectMeta: c.podMeta(pod, app, hash),
		Spec: v1.PodSpec{
			Volumes:                       volumes(app),
			Containers:                    []v1.Container{appContainer(app, hash), proxyContainer(app)},
			RestartPolicy:                 fresh(v1.RestartPolicyAlways),
			TerminationGracePeriodSeconds: ptr.To[int64](30),
			DNSPolicy:                     fresh(v1.DNSClusterFirst),
			ServiceAccountName:            fresh(app),
			DeprecatedServiceAccount:      fresh(app),
			NodeName:                      NodeName(c.NodeOf(pod)),
			SecurityContext:               &v1.PodSecurityContext{RunAsNonRoot: ptr.To(true), FSGroup: ptr.To[int64](10001)},
			SchedulerName:                 fresh(v1.DefaultSchedulerName),
			Tolerations:                   c.tolerations(pod),
			Priority:                      ptr.To[int32](0),
			EnableServiceLinks:            ptr.To(true),
			PreemptionPolicy:              ptr.To(fresh(v1.PreemptLowerPriority)),
			TopologySpreadConstraints: []v1.TopologySpreadConstraint{{
				MaxSkew: 1, TopologyKey: fresh(v1.LabelTopologyZone), WhenUnsatisfiable: fresh(v1.ScheduleAnyway),
				LabelSelector: &metav1.LabelSelector{MatchLabels: labels("app.kubernetes.io/name", app)},
			}},
		},
		Status: c.podStatus(pod, app, hash, now),
	}
	p.ResourceVersion = Version(resourceVersion)
	p.ManagedFields = []metav1.ManagedFieldsEntry{
		managed("kube-controller-manager", "", c.Began, podSpecFields),
		managed("kubelet", "status", now, podStatusFields),
	}
	return p
}

func (c Cluster) podMeta(pod int, app, hash string) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{
		Name:              fmt.Sprintf("%s-%s-%05x", app, hash, pod&0xfffff),
		GenerateName:      app + "-" + hash + "-",
		Namespace:         Namespace(pod),
		UID:               PodUID(pod),
		Generation:        1,
		CreationTimestamp: metav1.NewTime(c.Began),
		Labels: labels("app.kubernetes.io/name", app, "app.kubernetes.io/instance", app+"-production", "app.kubernetes.io/version", "2.14.3",
			"app.kubernetes.io/component", "server", "app.kubernetes.io/part-of", "storefront", v1.LabelTopologyZone, "eu-central-1a",
			"pod-template-hash", hash),
		Annotations: labels("prometheus.io/scrape", "true", "prometheus.io/port", "9090", "prometheus.io/path", "/metrics",
			"checksum/config", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			"kubectl.kubernetes.io/restartedAt", "2026-02-11T09:14:55+01:00"),
	}
	kind, name := "ReplicaSet", app+"-"+hash
	if c.IsDaemon(pod) {
		kind, name = "DaemonSet", app
	}
	meta.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: fresh("apps/v1"), Kind: fresh(kind), Name: fresh(name), UID: types.UID(fmt.Sprintf("b7c2d9e4-0f13-4a68-9c55-%012x", pod)),
		Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}}
	return meta
}

// tolerations are those of a DaemonSet; or the two that admission gives to every pod, to some with more seconds or beside
// one of their own. All last for longer than a measurement.
func (c Cluster) tolerations(pod int) []v1.Toleration {
	if c.IsDaemon(pod) {
		return []v1.Toleration{
			toleration(v1.TaintNodeNotReady, v1.TaintEffectNoExecute, nil),
			toleration(v1.TaintNodeUnreachable, v1.TaintEffectNoExecute, nil),
			toleration(v1.TaintNodeDiskPressure, v1.TaintEffectNoSchedule, nil),
			toleration(v1.TaintNodeMemoryPressure, v1.TaintEffectNoSchedule, nil),
			toleration(v1.TaintNodePIDPressure, v1.TaintEffectNoSchedule, nil),
			toleration(v1.TaintNodeUnschedulable, v1.TaintEffectNoSchedule, nil),
		}
	}
	var own []v1.Toleration
	seconds := int64(3600)
	switch pod % 20 {
	case 0:
		own = append(own, toleration("example.com/dedicated", v1.TaintEffectNoSchedule, nil))
	case 1:
		seconds = 7200
	}
	return append(own,
		toleration(v1.TaintNodeNotReady, v1.TaintEffectNoExecute, &seconds),
		toleration(v1.TaintNodeUnreachable, v1.TaintEffectNoExecute, ptr.To(seconds)))
}
