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

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

const tokenVolume = "kube-api-access-x7k2p"

func volumes(app string) []v1.Volume {
	return []v1.Volume{
		{Name: fresh("config"), VolumeSource: v1.VolumeSource{ConfigMap: &v1.ConfigMapVolumeSource{
			LocalObjectReference: v1.LocalObjectReference{Name: app + "-config"}, DefaultMode: ptr.To[int32](0o644),
		}}},
		{Name: fresh("cache"), VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{SizeLimit: ptr.To(quantity("2Gi"))}}},
		{Name: fresh(tokenVolume), VolumeSource: v1.VolumeSource{Projected: &v1.ProjectedVolumeSource{
			DefaultMode: ptr.To[int32](0o644),
			Sources: []v1.VolumeProjection{
				{ServiceAccountToken: &v1.ServiceAccountTokenProjection{ExpirationSeconds: ptr.To[int64](3607), Path: fresh("token")}},
				{ConfigMap: &v1.ConfigMapProjection{
					LocalObjectReference: v1.LocalObjectReference{Name: fresh("kube-root-ca.crt")},
					Items:                []v1.KeyToPath{{Key: fresh("ca.crt"), Path: fresh("ca.crt")}},
				}},
			},
		}}},
	}
}

func appContainer(app, hash string) v1.Container {
	return v1.Container{
		Name:    fresh(app),
		Image:   fmt.Sprintf("registry.example.com/storefront/%s:2.14.3-%s", app, hash),
		Command: []string{fresh("/usr/local/bin/server")},
		Args:    []string{fresh("--config=/etc/service/config.yaml"), fresh("--listen=:8080"), fresh("--log-format=json"), fresh("--shutdown-delay=10s")},
		Ports:   []v1.ContainerPort{port("http", 8080), port("metrics", 9090)},
		Env: []v1.EnvVar{
			{Name: fresh("SERVICE_NAME"), Value: fresh(app)},
			{Name: fresh("DATABASE_URL"), Value: fmt.Sprintf("postgres://%s@postgres.databases.svc.cluster.local:5432/%s?sslmode=verify-full", app, app)},
			{Name: fresh("KAFKA_BROKERS"), Value: fresh("kafka-0.kafka:9092,kafka-1.kafka:9092,kafka-2.kafka:9092")},
			{Name: fresh("OTEL_EXPORTER_OTLP_ENDPOINT"), Value: fresh("http://otel-collector.observability.svc.cluster.local:4317")},
			{Name: fresh("GOMEMLIMIT"), Value: fresh("900MiB")},
			{Name: fresh("POD_NAME"), ValueFrom: &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{APIVersion: fresh("v1"), FieldPath: fresh("metadata.name")}}},
			{Name: fresh("DATABASE_PASSWORD"), ValueFrom: &v1.EnvVarSource{SecretKeyRef: &v1.SecretKeySelector{
				LocalObjectReference: v1.LocalObjectReference{Name: app + "-database"}, Key: fresh("password"),
			}}},
		},
		Resources:                resources("250m", "512Mi", "1", "1Gi"),
		VolumeMounts:             []v1.VolumeMount{mount("config", "/etc/service", true), mount("cache", "/var/cache/service", false), token()},
		LivenessProbe:            probe("/healthz", 10),
		ReadinessProbe:           probe("/readyz", 5),
		TerminationMessagePath:   fresh(v1.TerminationMessagePathDefault),
		TerminationMessagePolicy: fresh(v1.TerminationMessageReadFile),
		ImagePullPolicy:          fresh(v1.PullIfNotPresent),
		SecurityContext:          restricted(),
	}
}

func proxyContainer(app string) v1.Container {
	return v1.Container{
		Name:  fresh("proxy"),
		Image: fresh("registry.example.com/mesh/proxy:1.27.1"),
		Args:  []string{fresh("proxy"), fresh("sidecar"), fresh("--service-cluster"), fresh(app), fresh("--concurrency=2")},
		Ports: []v1.ContainerPort{port("proxy-admin", 15000)},
		Env: []v1.EnvVar{
			{Name: fresh("MESH_ID"), Value: fresh("cluster.local")},
			{Name: fresh("HOST_IP"), ValueFrom: &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{APIVersion: fresh("v1"), FieldPath: fresh("status.hostIP")}}},
		},
		Resources:                resources("100m", "128Mi", "2", "1Gi"),
		VolumeMounts:             []v1.VolumeMount{token()},
		ReadinessProbe:           probe("/healthz/ready", 15),
		TerminationMessagePath:   fresh(v1.TerminationMessagePathDefault),
		TerminationMessagePolicy: fresh(v1.TerminationMessageReadFile),
		ImagePullPolicy:          fresh(v1.PullIfNotPresent),
		SecurityContext:          restricted(),
	}
}

func port(name string, number int32) v1.ContainerPort {
	return v1.ContainerPort{Name: fresh(name), ContainerPort: number, Protocol: fresh(v1.ProtocolTCP)}
}

func mount(name, path string, readOnly bool) v1.VolumeMount {
	return v1.VolumeMount{Name: fresh(name), MountPath: fresh(path), ReadOnly: readOnly}
}

func token() v1.VolumeMount {
	return mount(tokenVolume, "/var/run/secrets/kubernetes.io/serviceaccount", true)
}

func probe(path string, period int32) *v1.Probe {
	return &v1.Probe{
		ProbeHandler: v1.ProbeHandler{HTTPGet: &v1.HTTPGetAction{
			Path: fresh(path), Port: intstr.FromInt32(8080), Scheme: fresh(v1.URISchemeHTTP),
		}},
		TimeoutSeconds: 1, PeriodSeconds: period, SuccessThreshold: 1, FailureThreshold: 3,
	}
}

func restricted() *v1.SecurityContext {
	return &v1.SecurityContext{
		Capabilities:             &v1.Capabilities{Drop: []v1.Capability{fresh(v1.Capability("ALL"))}},
		AllowPrivilegeEscalation: ptr.To(false),
		ReadOnlyRootFilesystem:   ptr.To(true),
	}
}

func resources(cpu, memory, cpuLimit, memoryLimit string) v1.ResourceRequirements {
	return v1.ResourceRequirements{
		Requests: v1.ResourceList{fresh(v1.ResourceCPU): quantity(cpu), fresh(v1.ResourceMemory): quantity(memory)},
		Limits:   v1.ResourceList{fresh(v1.ResourceCPU): quantity(cpuLimit), fresh(v1.ResourceMemory): quantity(memoryLimit)},
	}
}
