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
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/results"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

func TestRowAPIServerAway(t *testing.T) {
	s := suite.Alone(t)
	row := s.Row(results.APIServerAway)
	if !suite.Builtin() {
		row.Saw("%s", awaySaw(s, "away"))
		return
	}
	// How many calls it has left when the API server is back depends on how slowly it makes them.
	row.Saw("without client limits, as ours: %s", awaySaw(s, "lifted", limitsLifted...))
	row.Saw("with its default of 20 requests/s: %s", awaySaw(s, "default"))
}

// limitsLifted are the built-in controller's flags for what ours does by default.
var limitsLifted = []string{"--kube-api-qps=10000", "--kube-api-burst=10000"}

// awaySaw has the API server away while evictions fall due, checks that all come about, and tells how.
func awaySaw(s *harness.Scene, name string, builtinArgs ...string) string {
	s.T.Helper()
	const count, tolerated, patience = 100, 6, 20 * time.Second
	controller := s.Start(harness.Options{Name: name, BuiltinArgs: builtinArgs})
	nodes := s.Nodes(2)
	var pods []*corev1.Pod
	for i := range count {
		pods = append(pods, s.Pod(nodes[i%2], builders.Tolerates("ill", tolerated)))
	}
	s.Running(pods...)
	tainted := []timing.Moment{s.Taint(nodes[0], builders.NoExecute("ill")), s.Taint(nodes[1], builders.NoExecute("ill"))}
	s.Quiet(pods[0], tainted[0].After.Add((tolerated-1)*time.Second))
	server := s.CP.Part(controlplane.APIServer)
	killed := time.Now()
	s.Must(server.Kill())
	s.Quiet(pods[0], killed.Add(2500*time.Millisecond)) // its start takes as long again
	s.Must(server.Start(s.Context()))
	back := timing.Now()

	outcomes := s.AwaitAll(pods, back.After.Add(patience))
	s.CheckAll(pods, outcomes, func(i int) timing.Window {
		return harness.Due(tainted[i%2], tolerated).Extend(patience + back.After.Sub(killed))
	})
	evicted, last := 0, back.After
	for _, outcome := range outcomes {
		if outcome.Evicted {
			evicted++
			last = timing.Later(last, outcome.At)
		}
	}
	s.Must(controller.Stop())
	s.Untaint(nodes[0])
	s.Untaint(nodes[1])
	away := back.After.Sub(killed).Seconds()
	if evicted < count {
		return fmt.Sprintf("away for %.1f s, %d of %d not evicted (watched for %.0f s)", away, count-evicted, count, patience.Seconds())
	}
	return fmt.Sprintf("away for %.1f s, all evicted, the last %.1f s after its return", away, last.Sub(back.After).Seconds())
}

func TestRowDeleteDenied(t *testing.T) {
	s := suite.Shared(t)
	row := s.Row(results.DeleteDenied)
	node := s.Node()
	pod := s.Pod(node)
	s.Running(pod)
	allow := s.DenyDeletes()
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Quiet(pod, tainted.After.Add(6*time.Second))
	allow()
	// Attempts are 6.4 s apart after as many seconds of failures.
	const patience = 10 * time.Second
	allowed := timing.Now()
	outcome := s.Await(pod, allowed.After.Add(patience))
	row.Saw("%s", outcome.Since(allowed, "the end of the denial"))
	if !outcome.Evicted {
		t.Error("the eviction was lost")
	}
}

func TestRowNodesWatchBehind(t *testing.T) {
	s := suite.Alone(t)
	row := s.Row(results.NodesBehind)
	proxy := s.Proxy(0)
	s.Start(harness.Options{Name: "behind", Proxy: proxy})
	nodes := s.Nodes(2)
	const behind = 5 * time.Second

	for i, when := range []struct {
		name  string
		after time.Duration
	}{
		{"no eviction from the node just before", 2 * time.Second},
		{"right after another eviction from it", 0},
	} {
		first := s.Pod(nodes[i])
		bystander := s.Pod(nodes[i], builders.ToleratesForever("ill"))
		tainted := s.Taint(nodes[i], builders.NoExecute("ill"))
		last := s.Evicted(first, harness.Due(tainted, 0)) // now the controller knows of the taint
		s.Quiet(bystander, last.At.Add(when.after))

		proxy.DelayNodes(behind)
		s.Untaint(nodes[i])
		pod, created := s.PodAt(nodes[i])
		outcome := s.Await(pod, created.After.Add(behind+2*time.Second))
		row.Saw("%s: %s", when.name, outcome.Since(created, "its binding"))
		s.Stayed(pod, outcome, "its node had no taint when it was bound")
		proxy.DelayNodes(0)
		s.Quiet(bystander, time.Now().Add(behind+time.Second)) // until what was held back has come
		if !outcome.Evicted {                                  // the delay was not for ever, and what comes afterwards works
			again := s.Taint(nodes[i], builders.NoExecute("ill"))
			s.Evicted(pod, harness.Due(again, 0))
		}
	}
}
