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
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

const (
	// digest stands for any digest: they are the larger part of what the kubelet reports of a container.
	digest = "sha256:3b1f9c2e5d7a8046b9e3f1c2d4a5968778695a4b3c2d1e0f9f8e7d6c5b4a3928"
	// podsPerOwner is how many pods belong to one ReplicaSet.
	podsPerOwner = 20
	gracePeriod  = 30
)

// podTemplate is a pod of a web service, as a ReplicaSet would make it and a scheduler bind it. The API server
// adds the rest: the volume of the account's token, the tolerations of not-ready and unreachable, managedFields.
func podTemplate(ref podRef, number int) *corev1.Pod {
	owner := "storefront-" + strconv.Itoa(number/podsPerOwner)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ref.Namespace,
			Name:      ref.Name,
			Labels: map[string]string{
				"app.kubernetes.io/name":       "storefront",
				"app.kubernetes.io/instance":   owner,
				"app.kubernetes.io/version":    "4.17.2",
				"app.kubernetes.io/managed-by": "Helm",
				"pod-template-hash":            "6d8f9c7b54",
			},
			Annotations: map[string]string{
				"prometheus.io/scrape": "true",
				"prometheus.io/port":   "9102",
				"checksum/config":      digest,
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: owner,
				UID:        types.UID(fmt.Sprintf("%08d-aaaa-4bbb-8ccc-0123456789ab", number/podsPerOwner)),
				Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			}},
		},
		Spec: podSpec(ref.Node, owner),
	}
}

func podSpec(node, owner string) corev1.PodSpec {
	config := corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: owner + "-config"}}
	return corev1.PodSpec{
		NodeName:                      node,
		TerminationGracePeriodSeconds: ptr.To(int64(gracePeriod)),
		Containers:                    []corev1.Container{container()},
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(int64(10001)), FSGroup: ptr.To(int64(10001)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Volumes: []corev1.Volume{
			{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &config}},
			{Name: "cache", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
	}
}

func container() corev1.Container {
	room := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("512Mi")}
	return corev1.Container{
		Name:  "main",
		Image: "registry.example.com/shop/storefront:4.17.2",
		Args:  []string{"--config=/etc/storefront/config.yaml", "--listen=:8443", "--log-format=json"},
		Ports: []corev1.ContainerPort{
			{Name: "https", ContainerPort: 8443},
		},
		Resources:      corev1.ResourceRequirements{Requests: room, Limits: room},
		ReadinessProbe: probe("/readyz"),
		LivenessProbe:  probe("/livez"),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "config", MountPath: "/etc/storefront", ReadOnly: true},
			{Name: "cache", MountPath: "/var/cache/storefront"},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		Env: []corev1.EnvVar{
			fromField("POD_NAME", "metadata.name"), fromField("POD_NAMESPACE", "metadata.namespace"),
			{Name: "DATABASE_HOST", Value: "postgres-primary.databases.svc.cluster.local"}, {Name: "DATABASE_NAME", Value: "storefront"},
			{Name: "CACHE_ADDRESS", Value: "redis-master.databases.svc.cluster.local:6379"},
		},
	}
}

func fromField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
}

func probe(path string) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:        corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("https"), Scheme: corev1.URISchemeHTTPS}},
		InitialDelaySeconds: 5, PeriodSeconds: 10, TimeoutSeconds: 3,
	}
}

// podStatus is what the scheduler and a kubelet report of a pod that runs.
func podStatus(pod *corev1.Pod, number int, now time.Time) corev1.PodStatus {
	at, ip := metav1.NewTime(now), fmt.Sprintf("10.%d.%d.%d", number>>16&255, number>>8&255, number&255)
	hostIP := fmt.Sprintf("192.168.%d.%d", number>>8&255, number&255)
	status := corev1.PodStatus{
		Phase:     corev1.PodRunning,
		QOSClass:  pod.Status.QOSClass,
		StartTime: &at,
		HostIP:    hostIP, HostIPs: []corev1.HostIP{{IP: hostIP}},
		PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		ObservedGeneration: pod.Generation,
	}
	for _, condition := range []corev1.PodConditionType{
		corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled,
	} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{
			Type: condition, Status: corev1.ConditionTrue, LastTransitionTime: at, ObservedGeneration: pod.Generation,
		})
	}
	for _, container := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: container.Image + "@" + digest,
			ContainerID: "containerd://" + digest[7:], Ready: true, Started: ptr.To(true),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}},
		})
	}
	return status
}
