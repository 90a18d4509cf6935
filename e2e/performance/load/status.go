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
	"k8s.io/utils/ptr"
)

// The field sets are those that the API server makes for such objects.
const (
	podSpecFields = `{"f:metadata":{"f:annotations":{".":{},"f:checksum/config":{},"f:kubectl.kubernetes.io/restartedAt":{},"f:prometheus.io/path":{},` +
		`"f:prometheus.io/port":{},"f:prometheus.io/scrape":{}},"f:generateName":{},"f:labels":{".":{},"f:app.kubernetes.io/component":{},` +
		`"f:app.kubernetes.io/instance":{},"f:app.kubernetes.io/name":{},"f:app.kubernetes.io/part-of":{},"f:app.kubernetes.io/version":{},` +
		`"f:pod-template-hash":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"b7c2d9e4-0f13-4a68-9c55-2f1e6d3a7b80\"}":{}}},"f:spec":{"f:containers":` +
		`{"k:{\"name\":\"server\"}":{".":{},"f:args":{},"f:command":{},"f:env":{".":{},"k:{\"name\":\"DATABASE_URL\"}":{".":{},"f:name":{},"f:value":{}}},` +
		`"f:image":{},"f:imagePullPolicy":{},"f:livenessProbe":{".":{},"f:failureThreshold":{},"f:httpGet":{".":{},"f:path":{},"f:port":{},"f:scheme":{}}},` +
		`"f:name":{},"f:resources":{".":{},"f:limits":{".":{},"f:cpu":{},"f:memory":{}},"f:requests":{".":{},"f:cpu":{},"f:memory":{}}}}},` +
		`"f:dnsPolicy":{},"f:enableServiceLinks":{},"f:restartPolicy":{},"f:schedulerName":{},"f:terminationGracePeriodSeconds":{}}}`
	podStatusFields = `{"f:status":{"f:conditions":{"k:{\"type\":\"ContainersReady\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},` +
		`"f:type":{}},"k:{\"type\":\"Ready\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}}},"f:containerStatuses":{},` +
		`"f:hostIP":{},"f:hostIPs":{},"f:phase":{},"f:podIP":{},"f:podIPs":{".":{},"k:{\"ip\":\"10.1.2.3\"}":{".":{},"f:ip":{}}},"f:startTime":{}}}`
	nodeStatusFields = `{"f:status":{"f:conditions":{"k:{\"type\":\"DiskPressure\"}":{"f:lastHeartbeatTime":{}},"k:{\"type\":\"MemoryPressure\"}":` +
		`{"f:lastHeartbeatTime":{}},"k:{\"type\":\"PIDPressure\"}":{"f:lastHeartbeatTime":{}},"k:{\"type\":\"Ready\"}":{"f:lastHeartbeatTime":{},` +
		`"f:lastTransitionTime":{},"f:message":{},"f:reason":{},"f:status":{}}},"f:images":{}}}`
	nodeTaintFields = `{"f:spec":{"f:taints":{}}}`
)

// podStatus is that of a pod that became ready long ago, and whose containers were looked at just now.
func (c Cluster) podStatus(pod int, app, hash string, now time.Time) v1.PodStatus {
	started := metav1.NewTime(c.Began)
	condition := func(t v1.PodConditionType) v1.PodCondition {
		return v1.PodCondition{
			Type: fresh(t), ObservedGeneration: 1, Status: fresh(v1.ConditionTrue), LastProbeTime: metav1.NewTime(now), LastTransitionTime: started,
		}
	}
	running := func(name, image string) v1.ContainerStatus {
		return v1.ContainerStatus{
			Name: fresh(name), State: v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: started}}, Ready: true, Started: ptr.To(true),
			Image: image, ImageID: image + "@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
			ContainerID: fmt.Sprintf("containerd://2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266%04x", pod&0xffff),
		}
	}
	host, ip := fmt.Sprintf("10.0.%d.%d", pod>>8&255, pod&255), fmt.Sprintf("10.%d.%d.%d", 64+pod>>16&63, pod>>8&255, pod&255)
	return v1.PodStatus{
		ObservedGeneration: 1,
		Phase:              fresh(v1.PodRunning),
		Conditions: []v1.PodCondition{
			condition(v1.PodReadyToStartContainers), condition(v1.PodInitialized), condition(v1.PodReady),
			condition(v1.ContainersReady), condition(v1.PodScheduled),
		},
		HostIP: host, HostIPs: []v1.HostIP{{IP: fresh(host)}},
		PodIP: ip, PodIPs: []v1.PodIP{{IP: fresh(ip)}},
		StartTime: &started,
		ContainerStatuses: []v1.ContainerStatus{
			running(app, fmt.Sprintf("registry.example.com/storefront/%s:2.14.3-%s", app, hash)),
			running("proxy", fresh("registry.example.com/mesh/proxy:1.27.1")),
		},
		QOSClass: fresh(v1.PodQOSBurstable),
	}
}
