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
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// TestFaultNodesWatchBehind has the watch of nodes some seconds behind. From all nodes but one the taint is removed, and pods
// are bound to all right after: those on the others have to stay, although the caches say that their nodes are tainted.
func TestFaultNodesWatchBehind(t *testing.T) {
	suite.OursOnly(t, "it goes by its caches")
	s := suite.Alone(t)
	proxy := s.Proxy(0)
	controller := s.Start(harness.Options{Name: "far-behind", LeaderElect: true, Proxy: proxy})
	const behind, spread, each = 5 * time.Second, 5, 20
	nodes := s.Nodes(spread)
	var first []*corev1.Pod
	for _, node := range nodes {
		first = append(first, s.Pod(node))
	}
	s.Running(first...)
	tainted := timing.Now()
	for _, node := range nodes {
		tainted.After = s.Taint(node, builders.NoExecute("ill")).After
	}
	outcomes := s.AwaitAll(first, tainted.After.Add(10*time.Second)) // now the controller knows of all the taints
	s.CheckAll(first, outcomes, func(int) timing.Window { return harness.Due(tainted, 0) })

	proxy.DelayNodes(behind)
	untainted := timing.Now()
	for _, node := range nodes[1:] {
		s.Untaint(node)
	}
	pods := s.Create(spread*each, 8, func(i int) *corev1.Pod {
		return builders.Pod(nodes[i%spread], builders.Named(fmt.Sprintf("later-%d", i)))
	})
	var due, stay []*corev1.Pod
	for i, pod := range pods {
		if i%spread == 0 {
			due = append(due, pod)
		} else {
			stay = append(stay, pod)
		}
	}
	outcomes = s.AwaitAll(due, untainted.After.Add(behind))
	gone := 0
	for _, outcome := range outcomes {
		if outcome.Evicted {
			gone++
		}
	}
	wrong := 0
	s.Quiet(stay[0], untainted.After.Add(behind+3*time.Second)) // until what was held back has come
	for _, at := range s.Going(stay) {
		if !at.IsZero() {
			wrong++
		}
	}
	s.Saw("%d pods had to go, %d are gone; %d had to stay, %d were deleted in error", len(due), gone, len(stay), wrong)
	if gone != len(due) || wrong > 0 {
		t.Errorf("%d of %d are gone, and %d of %d in error", gone, len(due), wrong, len(stay))
	}
	s.Must(controller.Stop()) // before the proxy, so that it can release its Lease
}
