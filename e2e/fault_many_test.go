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
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// TestFaultTenThousandPods has ten thousand pods fall due at the same instant. They neither run nor take time to end, because
// what counts is what the controller does.
func TestFaultTenThousandPods(t *testing.T) {
	suite.OursOnly(t, "about our own memory")
	s := suite.Alone(t)
	const count, bystanders, spread, tolerated = 10_000, 500, 100, 10
	controller := s.Start(harness.Options{Name: "many", LeaderElect: true, Args: []string{"--v=2"}}) // as it is deployed
	idle, err := controller.RSS()
	s.Must(err)
	nodes := s.HollowNodes(spread)
	began := time.Now()
	pods := s.Create(count+bystanders, 50, func(i int) *corev1.Pod {
		pod := builders.Pod(nodes[i%spread], builders.Named(fmt.Sprintf("pod-%d", i)))
		pod.Spec.TerminationGracePeriodSeconds = ptr.To(int64(0))
		if i < count {
			builders.Tolerates("ill", tolerated)(pod)
		} else {
			builders.ToleratesForever("ill")(pod)
		}
		return pod
	})
	created := time.Since(began)
	due, stay := pods[:count], pods[count:]
	before, err := controller.RSS()
	s.Must(err)

	// The taints are older than our first sight of them, so it is their time that counts, and they have one for all: in whole
	// seconds, of which one that is stored counts as its end.
	added := timing.Now().After.Truncate(time.Second)
	s.Quiet(stay[0], added.Add(apiSecond))
	for _, node := range nodes {
		s.Taint(node, builders.NoExecuteSince("ill", added))
	}
	instant := added.Add(apiSecond + tolerated*time.Second)
	if late := time.Since(instant); late > 0 {
		t.Fatalf("tainting ended %s after the instant", late)
	}
	last := s.AwaitGone(due, instant.Add(6*time.Minute)) // how long it takes is up to the machine

	gone, early, wrong := 0, 0, 0
	for _, at := range s.Going(due) {
		if !at.IsZero() {
			gone++
		}
		if !at.IsZero() && at.Before(instant) {
			early++
		}
	}
	for _, at := range s.Going(stay) {
		if !at.IsZero() {
			wrong++
		}
	}
	peak, err := controller.PeakRSS()
	s.Must(err)
	const mib = 1 << 20
	s.Saw("%d pods created in %.0f s", len(pods), created.Seconds())
	s.Saw("%d pods had to go, %d are gone, %d of them early; %d had to stay, %d were deleted in error; the last went %.1f s after the instant (%.0f/s); "+
		"resident memory %d MiB without pods, %d MiB with them, %d MiB at its peak",
		len(due), gone, early, len(stay), wrong, last.Sub(instant).Seconds(), float64(gone)/last.Sub(instant).Seconds(), idle/mib, before/mib, peak/mib)
	if gone != len(due) || early+wrong > 0 {
		t.Errorf("%d of %d are gone, %d early and %d in error", gone, len(due), early, wrong)
	}
}
