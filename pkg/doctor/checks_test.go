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
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
)

// fault is something that is wrong with a cluster, and what its check finds. TestNothingIsWrong shows that it does not find it otherwise.
type fault struct {
	name   string
	change func(s *scene)
	want   []string
}

func examineAll(t *testing.T, check string, faults []fault) {
	t.Helper()
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			s := healthy(t)
			fault.change(s)
			if got := s.examine(check); !slices.Equal(got, fault.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(fault.want, "\n"))
			}
		})
	}
}

func TestBuiltInController(t *testing.T) {
	managers := func(pods ...v1.Pod) func(*scene) {
		return func(s *scene) { s.cluster.ControllerManagers.Value = pods }
	}
	events := func(events ...Eviction) func(*scene) {
		return func(s *scene) { s.cluster.ControllerManagers.Value, s.cluster.Evictions.Value = nil, events }
	}
	const on, off = "Error: The built-in controller is on, by the flags of kube-controller-manager. [kube-system/kube-controller-manager-cp-1]",
		"OK: The built-in controller is off, by the flags of kube-controller-manager. [kube-system/kube-controller-manager-cp-1]"
	examineAll(t, "BuiltInController", []fault{
		{"no list of controllers", managers(manager("/usr/local/bin/kube-controller-manager", "--leader-elect=true")), []string{on}},
		{"a list that leaves it on", managers(manager("kube-controller-manager", "--controllers=*,tokencleaner")), []string{on}},
		{"it is named", managers(manager("kube-controller-manager", "--controllers", "taint-eviction-controller")), []string{on}},
		{"it is named before it is switched off", managers(manager("kube-controller-manager", "--controllers=taint-eviction-controller,-taint-eviction-controller")), []string{on}},
		{"a list without it", managers(manager("kube-controller-manager", "--controllers=node-lifecycle-controller")), []string{off}},
		{"the flag is repeated", managers(manager("kube-controller-manager", "--controllers=*", "--controllers=-taint-eviction-controller")), []string{off}},
		{"by a shell", managers(manager("/bin/sh", "-c", `exec kube-controller-manager "--controllers=*,-taint-eviction-controller" 2>>log`)), []string{off}},
		{"one of two", managers(manager("kube-controller-manager"), manager("kube-controller-manager", "--controllers=*,-taint-eviction-controller")), []string{on}},
		{"nothing is visible", events(), []string{"Unknown: The pods of kube-controller-manager are not visible, and no recent Event is by the built-in controller. " +
			"That shows nothing if no pod had to go."}},
		{"another program", managers(manager("proxy")), []string{"Unknown: The pods of kube-controller-manager are not visible, and no recent Event is by the built-in controller. " +
			"That shows nothing if no pod had to go."}},
		{"Events by ours", events(evicted("taint-manager", "web-1", "Evicted from node n1 for taint a:NoExecute", time.Minute)),
			[]string{"Unknown: The pods of kube-controller-manager are not visible, and no recent Event is by the built-in controller. That shows nothing if no pod had to go."}},
		{"recent Events", events(evicted("taint-eviction-controller", "web-1", "Marking for deletion Pod shop/web-1", 8*time.Minute),
			evicted("taint-eviction-controller", "web-2", "Marking for deletion Pod shop/web-2", 9*time.Minute)),
			[]string{"Error: The pods of kube-controller-manager are not visible, but the built-in controller evicted pod shop/web-1 8m ago."}},
		{"older Events", events(evicted("taint-eviction-controller", "web-1", "Marking for deletion Pod shop/web-1", 11*time.Minute)),
			[]string{"Warning: The pods of kube-controller-manager are not visible, but the built-in controller evicted pod shop/web-1 11m ago."}},
	})
}

func TestLeader(t *testing.T) {
	leases := func(leases ...coordinationv1.Lease) func(*scene) {
		return func(s *scene) { s.cluster.Leases.Value, s.cluster.LeaseLater = leases, nil }
	}
	examineAll(t, "Leader", []fault{
		{"no Lease", leases(lease("other", "taint-manager", "x", 0)), []string{"Error: There is no Lease kube-system/taint-manager: no replica has led, and nobody evicts."}},
		{"no holder", leases(lease("kube-system", "taint-manager", "", 0)), []string{"Error: The Lease has no holder: no replica leads, and nobody evicts."}},
		{"it is not renewed", leases(lease("kube-system", "taint-manager", "taint-manager-5d7c9-x2x2x_3f1c", 15*time.Second)),
			[]string{"Error: The holder of the Lease, taint-manager-5d7c9-x2x2x_3f1c, has not renewed it for 15s: no replica leads."}},
		{"the holder is no pod", leases(lease("kube-system", "taint-manager", "laptop_1", 14*time.Second)),
			[]string{"Warning: The Lease is held by laptop_1, which is no pod of taint-manager."}},
		{"the pod is in the network of its node", func(s *scene) {
			leases(lease("kube-system", "taint-manager", "n1_3f1c", time.Second))(s)
			s.cluster.Replicas.Value[0].Spec.HostNetwork = true
		}, []string{"OK: n1 leads since 2026-03-01T11:00:00Z; the Lease has changed hands 4 times."}},
		{"with a domain", func(s *scene) {
			leases(lease("kube-system", "taint-manager", "N1_3f1c", time.Second))(s)
			s.cluster.Replicas.Value[0].Spec.HostNetwork, s.cluster.Replicas.Value[0].Spec.NodeName = true, "n1.example.com"
		}, []string{"OK: N1 leads since 2026-03-01T11:00:00Z; the Lease has changed hands 4 times."}},
		{"another node", func(s *scene) {
			leases(lease("kube-system", "taint-manager", "n9_3f1c", time.Second))(s)
			s.cluster.Replicas.Value[0].Spec.HostNetwork = true
		}, []string{"Warning: The Lease is held by n9_3f1c, which is no pod of taint-manager."}},
		{"the pods are not visible", func(s *scene) {
			leases(lease("kube-system", "taint-manager", "laptop_1", time.Second))(s)
			s.cluster.Replicas.Err = errNo
		}, []string{"OK: laptop leads since 2026-03-01T11:00:00Z; the Lease has changed hands 4 times."}},
		{"the holder changes", func(s *scene) {
			s.cluster.LeaseLater = ptr.To(lease("kube-system", "taint-manager", "taint-manager-5d7c9-b4b4b_77", 0))
		}, []string{"Warning: The holder of the Lease changed while doctor ran, from taint-manager-5d7c9-x2x2x_3f1c to taint-manager-5d7c9-b4b4b_77, after 4 changes in all."}},
	})
}

func TestReplicas(t *testing.T) {
	deployments := func(deployments ...appsv1.Deployment) func(*scene) {
		return func(s *scene) { s.cluster.Deployments.Value = deployments }
	}
	image := "taint-manager:v1.4.0"
	examineAll(t, "Replicas", []fault{
		{"none", deployments(), []string{"Info: There is no Deployment with the labels of the manifests."}},
		{"scaled to none", deployments(deployment("kube-system", image, 0, 0)), []string{"Warning: Deployment kube-system/taint-manager has no replicas."}},
		{"none is available", deployments(deployment("kube-system", image, 2, 0)), []string{"Error: No replica of Deployment kube-system/taint-manager is available."}},
		{"one is not available", deployments(deployment("kube-system", image, 2, 1)),
			[]string{"Warning: 1 of 2 replicas of Deployment kube-system/taint-manager are available."}},
		{"without election", deployments(deployment("kube-system", image, 2, 2, "--leader-elect=false")),
			[]string{"Error: Deployment kube-system/taint-manager has 2 replicas without leader election: all of them evict."}},
		{"two Deployments", deployments(deployment("kube-system", image, 2, 2), deployment("ops", image, 1, 1)), []string{"Error: There are several Deployments of taint-manager. " +
			"Each evicts, and each keeps starts of taints by itself. [kube-system/taint-manager, ops/taint-manager]"}},
		{"a dry run beside it", func(s *scene) {
			deployments(deployment("kube-system", image, 2, 2), deployment("ops", image, 1, 1, "--v=2", "--dry-run"))(s)
			s.cluster.Leases.Value = append(s.cluster.Leases.Value, lease("ops", "taint-manager-dry-run", "x", time.Second))
		}, []string{"Info: A dry run is on, by Lease ops/taint-manager-dry-run."}},
		{"a dry run beside it, by its configuration file", func(s *scene) {
			deployments(deployment("kube-system", image, 2, 2), deployment("ops", image, 1, 1, "--config=/etc/taint-manager/config.yaml"))(s)
			s.cluster.Replicas.Value = append(s.cluster.Replicas.Value, replica("ops", "taint-manager-7b6d4-z2z2z"))
			s.cluster.Leases.Value = append(s.cluster.Leases.Value, lease("ops", "taint-manager-dry-run", "taint-manager-7b6d4-z2z2z_3f1c", time.Second))
		}, []string{"Info: A dry run is on, by Lease ops/taint-manager-dry-run."}},
		{"two Leases", func(s *scene) {
			s.cluster.Leases.Value = append(s.cluster.Leases.Value, lease("ops", "taint-manager", "x", time.Second))
		}, []string{"Error: Several Leases of taint-manager are held: several evict at the same time. [kube-system/taint-manager, ops/taint-manager]"}},
		{"a Lease of the past", func(s *scene) {
			s.cluster.Leases.Value = append(s.cluster.Leases.Value, lease("ops", "taint-manager", "x", time.Hour))
		}, []string{"OK: One Deployment, kube-system/taint-manager, with 2 replicas available."}},
	})
}

func TestVersion(t *testing.T) {
	image := func(image string) func(*scene) {
		return func(s *scene) {
			s.cluster.Deployments.Value = []appsv1.Deployment{deployment("kube-system", image, 2, 2)}
		}
	}
	examineAll(t, "Version", []fault{
		{"an older one", image("r:5000/taint-manager:v1.3.9"), []string{
			"Warning: Deployment kube-system/taint-manager is of version v1.3.9, and the plugin of v1.4.2: it may decide otherwise than it shows."}},
		{"another major one", image("taint-manager:2.4.0@sha256:abc"), []string{
			"Warning: Deployment kube-system/taint-manager is of version 2.4.0, and the plugin of v1.4.2: it may decide otherwise than it shows."}},
		{"a digest", image("r:5000/taint-manager@sha256:abc"), []string{
			"Unknown: The image of Deployment kube-system/taint-manager shows no version: r:5000/taint-manager@sha256:abc."}},
		{"latest", image("taint-manager:latest"), []string{"Unknown: The image of Deployment kube-system/taint-manager shows no version: taint-manager:latest."}},
		{"a plugin of no release", func(s *scene) { s.cluster.Version = "v0.0.0-dev" }, []string{"Unknown: The plugin is of no release, but v0.0.0-dev."}},
		{"a plugin that go build made", func(s *scene) { s.cluster.Version = "v0.0.0-master+$Format:%H$" }, []string{"Unknown: The plugin was built without a version."}},
		{"no Deployment", func(s *scene) { s.cluster.Deployments.Value = nil }, []string{"Unknown: There is no Deployment whose version could be compared."}},
	})
}

func TestCRD(t *testing.T) {
	crd := func(old, now string) func(*scene) {
		return func(s *scene) {
			text := strings.Replace(crdYAML, old, now, 1)
			if text == crdYAML {
				s.t.Fatalf("there is no %q", old)
			}
			s.cluster.CRD.Value = parse(s.t, text)
		}
	}
	examineAll(t, "CustomResourceDefinition", []fault{
		{"none", func(s *scene) { s.cluster.CRD = Read[*unstructured.Unstructured]{} }, []string{
			"Info: There is none for policies: pods are deleted as soon as they must go, and pause does not work."}},
		{"it is not served", crd(`status: "True"`, `status: "False"`), []string{
			"Error: The CustomResourceDefinition of policies is there, and the API server does not serve it."}},
		{"the version is not served", crd("served: true", "served: false"), []string{"Error: Version v1alpha1 of policies is not served."}},
		{"older", crd("properties: {key: {type: string}}", "properties: {}"), []string{"Warning: The CustomResourceDefinition of policies is older than the plugin: " +
			"the API server drops fields that it does not know, or refuses them. [spec.taints.[].key]"}},
		{"newer", crd("{key: {type: string}}", "{key: {type: string}, value: {type: string}}"), []string{"Warning: The CustomResourceDefinition of policies is newer " +
			"than the plugin, which takes policies with fields that it does not know for not valid. [spec.taints.[].value]"}},
		{"other rules", crd("maxItems: 16", "maxItems: 8"), []string{"Warning: The CustomResourceDefinition of policies has the fields of this version, but other rules for them."}},
		{"another text", crd("how pods go", "how pods leave"), []string{"OK: The CustomResourceDefinition of policies is that of this version."}},
	})
}

func TestPermissions(t *testing.T) {
	examineAll(t, "Permissions", []fault{
		{"to delete pods", func(s *scene) { s.cluster.Access.Value[0].Allowed = false }, []string{
			"Error: system:serviceaccount:kube-system:taint-manager may not do what evictions need. [delete pods]"}},
		{"to write Events", func(s *scene) { s.cluster.Access.Value[1].Allowed = false }, []string{
			"Warning: system:serviceaccount:kube-system:taint-manager may not do what the manifests grant. [create events]"}},
	})
	examineAll(t, "YourPermissions", []fault{
		{"to list pods", func(s *scene) { s.cluster.OwnAccess.Value[0].Allowed = false }, []string{
			"Info: You may not read all that the plugin reads. It says so where that matters. [list pods]"}},
	})
}

func TestClocks(t *testing.T) {
	examineAll(t, "Clock", []fault{
		{"ahead", func(s *scene) { s.cluster.Ahead = 3 * time.Second }, []string{"Warning: The API server's clock is 3s ahead of this machine's."}},
		{"behind", func(s *scene) { s.cluster.Ahead = -time.Minute }, []string{"Warning: The API server's clock is 1m0s behind this machine's."}},
		{"perhaps", func(s *scene) { s.cluster.Ahead = 2500 * time.Millisecond }, []string{"OK: The API server's clock and this machine's agree."}},
	})
	heartbeat := func(age time.Duration) func(*scene) {
		return func(s *scene) { s.cluster.Heartbeats.Value[0] = lease("kube-node-lease", "n1", "n1", age) }
	}
	examineAll(t, "NodeClocks", []fault{
		{"ahead", heartbeat(-3 * time.Second), []string{"Warning: The clock of 1 node is ahead of the API server's, by the Lease of the node. [n1 (3s ahead)]"}},
		{"behind", heartbeat(3 * time.Minute), []string{"Warning: The Lease of 1 node is old, though Ready: the clock is behind, or the Lease is not renewed. [n1 (3m0s behind)]"}},
		{"of a node that is not ready", func(s *scene) {
			heartbeat(3 * time.Minute)(s)
			s.nodes[0].Status.Conditions[0].Status = v1.ConditionUnknown
		}, []string{"OK: The clocks of 2 nodes agree with the API server's, by their Leases."}},
		{"of a node that is gone", func(s *scene) {
			heartbeat(3 * time.Minute)(s)
			s.nodes = s.nodes[1:]
		}, []string{"OK: The clocks of 1 node agree with the API server's, by their Leases."}},
	})
	examineAll(t, "TimeAdded", []fault{
		{"in the future", func(s *scene) { s.nodes[1] = node("n2", taint("a", -time.Minute)) }, []string{
			"Warning: Taints have a timeAdded in the future, which does not count. The built-in controller ignores it as well. [n2: a (1m0s ahead)]"}},
		{"now", func(s *scene) { s.nodes[1] = node("n2", taint("a", -time.Second)) }, []string{"OK: No taint was added in the future."}},
	})
}

func TestLoops(t *testing.T) {
	const minute = time.Minute
	// gone is an eviction so long ago, of a pod that had been there with the taint for some time.
	gone := func(pod string, ago, there time.Duration) Eviction {
		due := noon.Add(-ago).UTC().Format(time.RFC3339)
		message := "Evicted from node n1 for taint a:NoExecute, not tolerated; due at " + due + ", 10ms late"
		if there > 0 {
			message = fmt.Sprintf("Evicted from node n1 for taint a=b, c:NoExecute, tolerated for %ds by toleration a=b:NoExecute; due at %s, 10ms late", there/time.Second, due)
		}
		return evicted("taint-manager", pod, message, ago)
	}
	events := func(events ...Eviction) func(*scene) {
		return func(s *scene) { s.cluster.Evictions.Value = events }
	}
	loop := func(owner, nodes string) []string {
		return []string{"Warning: Pods of " + owner + " in namespace shop came back to a node that they had been evicted from, and were evicted again, within the last hour. " + nodes}
	}
	elsewhere := func(e Eviction) Eviction { e.Node = "n2"; return e }
	none := []string{"OK: No pods come back to the node that they were evicted from, by the Events of the last hour."}
	examineAll(t, "EvictionLoops", []fault{
		{"of a DaemonSet", events(gone("agent-x2c4d", minute, 0), gone("agent-b8n5m", 2*minute, 0), gone("agent-9w7v6", 59*minute, 0)), loop("agent", "[n1 (3 times)]")},
		{"of a Deployment, with two ReplicaSets", events(gone("web-7c9d8b6f5c-k2xvd", 5*minute, 4*minute), gone("web-7c9d8b6f5c-zz4wd", 10*minute, 4*minute),
			gone("web-5d7c9b4f88-x2x2x", 15*minute, 5*minute)), loop("web", "[n1 (3 times)]")},
		{"of a Deployment, several each time", events(gone("web-7c9d8b6f5c-k2xvd", 5*minute, 0), gone("web-7c9d8b6f5c-k2xvf", 5*minute, 0), gone("web-7c9d8b6f5c-zz4wd", 10*minute, 0),
			gone("web-7c9d8b6f5c-zz4wf", 10*minute, 0), gone("web-7c9d8b6f5c-x2x2x", 15*minute, 0)), loop("web", "[n1 (3 times)]")},
		{"on two nodes", events(gone("agent-x2c4d", minute, 0), gone("agent-b8n5m", 2*minute, 0), gone("agent-9w7v6", 3*minute, 0), elsewhere(gone("agent-x2c4f", minute, 0)),
			elsewhere(gone("agent-b8n5f", 2*minute, 0)), elsewhere(gone("agent-9w7vf", 3*minute, 0)), elsewhere(gone("agent-9w7vg", 4*minute, 0))), loop("agent", "[n1 (3 times), n2 (4 times)]")},
		{"of a StatefulSet", events(gone("db-0", minute, 0), gone("db-0", 2*minute, 0), gone("db-0", 3*minute, 0), gone("db-0", 4*minute, 0)), loop("db-0", "[n1 (4 times)]")},
		{"a node is drained at once", events(gone("web-7c9d8b6f5c-k2xvd", minute, 0), gone("web-7c9d8b6f5c-zz4wd", minute, 0), gone("web-7c9d8b6f5c-x2x2x", minute, 0)), none},
		{"a node is drained by its budget", events(evictedLate("web-7c9d8b6f5c-k2xvd", 10*minute, 9*minute), evictedLate("web-7c9d8b6f5c-zz4wd", 10*minute, 5*minute),
			evictedLate("web-7c9d8b6f5c-x2x2x", 10*minute, minute)), none},
		{"they came one by one, and went so", events(gone("web-7c9d8b6f5c-k2xvd", 3*minute, 5*minute), gone("web-7c9d8b6f5c-zz4wd", 2*minute, 5*minute),
			gone("web-7c9d8b6f5c-x2x2x", minute, 5*minute)), none},
		{"twice", events(gone("db-0", minute, 0), gone("db-0", 2*minute, 0)), none},
		{"from different nodes", events(gone("db-0", minute, 0), gone("db-0", 2*minute, 0), elsewhere(gone("db-0", 3*minute, 0))), none},
		{"over more than an hour", events(gone("db-0", minute, 0), gone("db-0", 2*minute, 0), gone("db-0", 61*minute, 0)), none},
		{"of different pods of a StatefulSet", events(gone("db-0", minute, 0), gone("db-1", 2*minute, 0), gone("db-2", 3*minute, 0)), none},
		{"without a node", events(evicted("taint-eviction-controller", "db-0", "Marking for deletion Pod shop/db-0", minute),
			evicted("taint-eviction-controller", "db-0", "Cancelling deletion of Pod shop/db-0", 2*minute),
			evicted("taint-eviction-controller", "db-0", "Marking for deletion Pod shop/db-0", 3*minute)), none},
	})
}

// evictedLate is an eviction that waited from one time, so long ago, to another.
func evictedLate(pod string, due, ago time.Duration) Eviction {
	return evicted("taint-manager", pod, fmt.Sprintf("Evicted from node n1 for taint a:NoExecute, not tolerated; due at %s, %s late",
		noon.Add(-due).UTC().Format(time.RFC3339), due-ago), ago)
}

func TestOutOfService(t *testing.T) {
	stuck := func(change func(pod *v1.Pod)) func(*scene) {
		return func(s *scene) {
			s.nodes[0] = node("n1", taint(v1.TaintNodeUnreachable, 6*time.Minute))
			p := pod("db-0", "n1")
			p.DeletionTimestamp = ptr.To(before(2 * time.Minute))
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "StatefulSet", Name: "db", Controller: ptr.To(true)}}
			change(p)
			if kept, is := KeepLost(p); is {
				s.cluster.Lost.Value = []v1.Pod{kept}
			}
		}
	}
	const one = "Warning: Node n1 is unreachable, and 1 pod cannot be replaced: nobody knows whether they have stopped. [shop/db-0]"
	const none = "OK: 1 node is unreachable for long, and no pod there waits for it."
	const reachable = "OK: No node has been unreachable for 5m0s without being marked as out of service."
	examineAll(t, "OutOfService", []fault{
		{"of a StatefulSet", stuck(func(*v1.Pod) {}), []string{one}},
		{"with a volume", stuck(func(pod *v1.Pod) {
			pod.OwnerReferences[0].Kind = "ReplicaSet"
			pod.Spec.Volumes = []v1.Volume{{VolumeSource: v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{}}}}
		}), []string{one}},
		{"of a ReplicaSet, without a volume", stuck(func(pod *v1.Pod) { pod.OwnerReferences[0].Kind = "ReplicaSet" }), []string{none}},
		{"still in its grace period", stuck(func(pod *v1.Pod) { pod.DeletionTimestamp = ptr.To(before(-time.Minute)) }), []string{none}},
		{"not terminating", stuck(func(pod *v1.Pod) { pod.DeletionTimestamp = nil }), []string{none}},
		{"unreachable for a short time", func(s *scene) {
			stuck(func(*v1.Pod) {})(s)
			s.nodes[0] = node("n1", taint(v1.TaintNodeUnreachable, 4*time.Minute))
		}, []string{reachable}},
		{"marked", func(s *scene) {
			stuck(func(*v1.Pod) {})(s)
			s.nodes[0].Spec.Taints = append(s.nodes[0].Spec.Taints, taint(v1.TaintNodeOutOfService, time.Minute))
		}, []string{reachable}},
	})
}
