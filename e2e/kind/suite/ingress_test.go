//go:build kind

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

package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
	"github.com/taint-manager/taint-manager/e2e/kind/nodes"
	"github.com/taint-manager/taint-manager/e2e/kind/workload/requests"
)

// maintenance is the policy of manifests/examples/maintenance.yaml, and maintenanceKey one of the keys that it is about.
const (
	maintenance    = "maintenance"
	maintenanceKey = "maintenance.example.com/disk"
)

// TestIngressStaysUp empties two nodes, one after the other, of the servers behind a Service: by the policy, of mode Evict,
// as many are ready all the time as their budget wants, and no request fails; without one, by deletion, there are fewer.
func TestIngressStaysUp(t *testing.T) {
	s := alone(t)
	s.key = maintenanceKey // no policy is about the second one
	s.applyMaintenance()
	spare := s.workers()[2]
	s.taint(spare, s.second)
	s.deployIngress(4)
	s.untaint(spare, s.second)

	evicting := s.rollout(s.key)
	if evicting.fewest < 3 {
		t.Errorf("by mode Evict %d servers were ready at one time, and their budget wants 3", evicting.fewest)
	}
	if evicting.report.Failed > 0 {
		t.Errorf("by mode Evict %d of %d requests failed: %s", evicting.report.Failed, evicting.report.Requests,
			strings.Join(evicting.report.Failures, "\n"))
	}
	s.checkEndings()
	s.measured("mode Evict", evicting.String())

	deleting := s.rollout(s.second)
	if deleting.fewest >= 3 {
		t.Errorf("by deletion %d servers were ready all the time: that mode Evict keeps them shows nothing", deleting.fewest)
	}
	s.measured("mode Delete", deleting.String())
}

// applyMaintenance applies the policy until the end of the test.
func (s *scene) applyMaintenance() {
	s.Helper()
	file := nodes.Manifest("examples/maintenance.yaml")
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := cluster.Kubectl(ctx, "delete", "--ignore-not-found", "-f", file); err != nil {
			s.Errorf("clearing: %v", err)
		}
	})
	_, err := cluster.Kubectl(s.Context(), "apply", "-f", file)
	s.must(err)
	s.awaitPolicy("Accepted")
}

// awaitPolicy waits until the policy has the condition, as operators do.
func (s *scene) awaitPolicy(condition string) {
	s.Helper()
	_, err := cluster.Kubectl(s.Context(), "wait", "--for=condition="+condition, "tep/"+maintenance, "--timeout=30s")
	s.must(err)
}

// rolled is what was seen while the nodes had their turns.
type rolled struct {
	fewest int // servers that were ready at the same time
	took   []time.Duration
	report requests.Report
}

// String is one line for people.
func (r rolled) String() string {
	return fmt.Sprintf("%d of 4 servers ready at the fewest, %d of %d requests failed, the slowest took %s; nodes empty after %s",
		r.fewest, r.report.Failed, r.report.Requests, r.report.Slowest.Round(10*time.Millisecond), strings.Trim(fmt.Sprint(r.took), "[]"))
}

// rollout gives each of the two nodes that have servers its turn.
func (s *scene) rollout(key string) rolled {
	s.Helper()
	s.awaitBudget(4)
	servers := s.awaitReady(ingress, 4, "")
	placed := map[string]int{}
	for _, pod := range servers {
		placed[pod.Spec.NodeName]++
	}
	turns := slices.Sorted(maps.Keys(placed))
	if len(turns) != 2 || placed[turns[0]] != 2 {
		s.Fatalf("servers by node: %v, want two on each of two", placed)
	}
	clients := s.clients(s.workers()...)
	end := s.fewestReady(ingress)
	var r rolled
	for _, node := range turns {
		r.took = append(r.took, s.turn(node, key))
	}
	s.awaitReady(ingress, 4, "")
	r.fewest, r.report = end(), s.reports(clients)
	for _, pod := range servers {
		if r.report.Servers[pod.Name] == 0 {
			s.Errorf("server %s has answered no request: %v", pod.Name, r.report.Servers)
		}
	}
	return r
}

// turn taints a node until it is empty, and returns how long that took.
func (s *scene) turn(node, key string) time.Duration {
	s.Helper()
	const within = 3 * time.Minute
	began := time.Now()
	s.taint(node, key)
	var left []string
	empty := s.watch.Await(s.Context(), began.Add(within), func(seen *podwatch.Sightings) bool {
		left = nil
		for _, pod := range seen.All() {
			if pod.Last.Labels["app"] == ingress && pod.Last.Spec.NodeName == node && pod.Gone.IsZero() {
				left = append(left, pod.Last.Name)
			}
		}
		return len(left) == 0
	})
	if !empty {
		s.Fatalf("node %s has the servers %v after %s", node, left, within)
	}
	took := time.Since(began).Round(time.Second)
	if key == maintenanceKey {
		s.awaitPolicy("EvictionInProgress=false")
	}
	s.untaint(node, key)
	return took
}

// checkEndings checks that all servers that are gone were evicted through the eviction API, and ended by themselves: one
// that was killed may have failed requests that were under way.
func (s *scene) checkEndings() {
	s.Helper()
	var all []podwatch.Sighting
	s.watch.Look(func(seen *podwatch.Sightings) { all = seen.All() })
	n := 0
	for _, pod := range all {
		if pod.Last.Labels["app"] != ingress || pod.Gone.IsZero() {
			continue
		}
		n++
		if ended := terminated(pod.Last); ended == nil || ended.ExitCode != 0 {
			s.Errorf("the container of server %s ended with %v, want exit code 0", pod.Last.Name, ended)
		}
		condition := builders.ConditionOf(pod.Last, corev1.DisruptionTarget)
		if condition == nil || condition.Status != corev1.ConditionTrue || condition.Reason != "EvictionByEvictionAPI" {
			s.Errorf("server %s went with the condition DisruptionTarget %v, want true because of EvictionByEvictionAPI", pod.Last.Name, condition)
		}
	}
	if n < 4 {
		s.Errorf("%d servers have gone, and there were 2 on each of 2 nodes", n)
	}
}

// clients are pods that send requests to the Service from the networks of nodes, and have begun to count.
func (s *scene) clients(from ...string) []*corev1.Pod {
	s.Helper()
	service, err := client.CoreV1().Services(s.namespace).Get(s.Context(), ingress, metav1.GetOptions{})
	s.must(err)
	url := "http://" + service.Spec.ClusterIP + "/"
	var pods []*corev1.Pod
	for _, node := range from {
		pods = append(pods, s.run(on(node), labelled("client"), running("-get="+url), grace(30),
			builders.ToleratesForever(s.key), builders.ToleratesForever(s.second),
			func(pod *corev1.Pod) { pod.Spec.HostNetwork = true }))
	}
	for _, pod := range pods {
		s.eventually("an answer to pod "+pod.Name, time.Minute, func(ctx context.Context) error {
			log, err := client.CoreV1().Pods(s.namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
			if err == nil && !strings.HasPrefix(string(log), "counting\n") {
				err = fmt.Errorf("its log is %q", log)
			}
			return err
		})
	}
	return pods
}

// reports ends the clients, and adds up what they have counted.
func (s *scene) reports(clients []*corev1.Pod) requests.Report {
	s.Helper()
	sum := requests.Report{Servers: map[string]int{}}
	for _, pod := range clients {
		s.must(client.CoreV1().Pods(s.namespace).Delete(s.Context(), pod.Name, metav1.DeleteOptions{}))
	}
	for _, pod := range clients {
		ended := terminated(s.gone(pod).Last)
		if ended == nil || ended.ExitCode != 0 {
			s.Fatalf("the container of client %s ended with %v, want exit code 0", pod.Name, ended)
		}
		var report requests.Report
		if err := json.Unmarshal([]byte(ended.Message), &report); err != nil {
			s.Fatalf("client %s reports %q: %v", pod.Name, ended.Message, err)
		}
		if report.Requests < 100 {
			s.Errorf("client %s has sent %d requests, too few to tell anything", pod.Name, report.Requests)
		}
		sum.Requests += report.Requests
		sum.Failed += report.Failed
		sum.Slowest = max(sum.Slowest, report.Slowest)
		for _, failure := range report.Failures {
			sum.Failures = append(sum.Failures, "on node "+pod.Spec.NodeName+": "+failure)
		}
		for server, n := range report.Servers {
			sum.Servers[server] += n
		}
	}
	return sum
}
