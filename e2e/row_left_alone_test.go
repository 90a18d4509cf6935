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

package e2e

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/results"
)

func TestRowFinishedAndMirrorPods(t *testing.T) {
	s := suite.Shared(t)
	row := s.Row(results.LeftAlone)
	node := s.Node()
	kinds := []struct {
		name string
		pod  *corev1.Pod
	}{
		{"succeeded", s.Pod(node)},
		{"failed", s.Pod(node)},
		{"mirror", s.Pod(node, builders.Annotated(corev1.MirrorPodAnnotationKey, "static"))},
	}
	s.Finish(kinds[0].pod, corev1.PodSucceeded)
	s.Finish(kinds[1].pod, corev1.PodFailed)
	other := s.Pod(node)
	s.Running(other)
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Evicted(other, harness.Due(tainted, 0))
	var gone []string
	for _, kind := range kinds {
		outcome := s.Await(kind.pod, tainted.After.Add(4*time.Second))
		s.Stayed(kind.pod, outcome, "it is left alone: "+kind.name)
		if outcome.Evicted {
			gone = append(gone, kind.name)
		}
	}
	if len(gone) > 0 {
		row.Saw("%s: deleted", strings.Join(gone, ", "))
	} else {
		row.Saw("left alone")
	}
}

func TestRowNodeDeletedDuringCountdown(t *testing.T) {
	s := suite.Shared(t)
	row := s.Row(results.NodeDeleted)
	node := s.Node()
	pod := s.Pod(node, builders.Tolerates("ill", 4))
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Quiet(pod, tainted.After.Add(counting))
	deleted := s.DeleteNode(node)
	// Pod garbage collection would take it, but not within 40 s.
	outcome := s.Await(pod, tainted.After.Add(8*time.Second))
	row.Saw("%s", outcome.Since(deleted, "that"))
	s.Stayed(pod, outcome, "pods of nodes that do not exist are another controller's")
}

func TestRowNothingElseIndexesPods(t *testing.T) {
	s := suite.Alone(t)
	row := s.Row(results.NothingElse)
	s.Start(harness.Options{Name: "bare", Bare: true, BuiltinAlone: true})
	nodes := s.Nodes(2)
	// A pod that comes later needs no index: when it has gone, the controller is at work.
	s.Taint(nodes[0], builders.NoExecute("ill"))
	later, created := s.PodAt(nodes[0])
	s.Evicted(later, harness.Due(created, 0).Extend(10*time.Second))
	pod := s.Pod(nodes[1])
	s.Running(pod)
	tainted := s.Taint(nodes[1], builders.NoExecute("ill"))
	outcome := s.Await(pod, tainted.After.Add(8*time.Second))
	row.Saw("%s", outcome.Since(tainted, "the taint"))
	if !outcome.Evicted {
		t.Error("not evicted")
	}
}

// A kubelet that rejects a pod leaves it behind, Failed, and a ReplicaSet whose pods name a node makes more and more of them.
func TestRejectedPodsGo(t *testing.T) {
	suite.OursOnly(t, "it evicts all that have failed")
	s := suite.Shared(t)
	node := s.Node()
	ran := s.Pod(node)
	s.Finish(ran, corev1.PodFailed) // its container has a status: it ran
	s.Silence(node)
	rejected := s.Pod(node)
	later := s.Pod(node, builders.Tolerates("ill", 2))
	s.Reject(rejected)
	s.Reject(later)
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Evicted(rejected, harness.Due(tainted, 0))
	s.Evicted(later, harness.Due(tainted, 2))
	s.Stays(ran, tainted.After.Add(4*time.Second), "a container of it ran, and its logs may be wanted")
	if last := s.Last(rejected); len(last.Status.ContainerStatuses) > 0 {
		t.Errorf("a kubelet had it after all: %v", last.Status)
	}
}

func TestEvictFinishedPods(t *testing.T) {
	suite.OursOnly(t, "it has no such flag: it always evicts them")
	s := suite.Alone(t)
	s.Start(harness.Options{Name: "evict-finished", Args: []string{"--evict-finished-pods"}})
	node := s.Node()
	succeeded, failed := s.Pod(node), s.Pod(node)
	mirror := s.Pod(node, builders.Annotated(corev1.MirrorPodAnnotationKey, "static"))
	s.Finish(succeeded, corev1.PodSucceeded)
	s.Finish(failed, corev1.PodFailed)
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Evicted(succeeded, harness.Due(tainted, 0))
	s.Evicted(failed, harness.Due(tainted, 0))
	s.Stays(mirror, tainted.After.Add(2*time.Second), "it is a mirror pod")
}
