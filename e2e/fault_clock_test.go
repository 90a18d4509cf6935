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
	"testing"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
)

// TestFaultWallClock has the wall clock of the controller's machine be wrong by up to an hour, and be set while pods wait.
func TestFaultWallClock(t *testing.T) {
	suite.OursOnly(t, "its clock is not ours to set")
	s := suite.Alone(t)
	binary := s.SkewedBinary()
	for _, test := range []struct {
		name string
		// The clock is wrong by first, and by later from after the start on.
		first, later, after time.Duration
		tolerated           int64
		// The taint comes so long after the start.
		tainted time.Duration
	}{
		{"ahead", 5 * time.Minute, 5 * time.Minute, 0, 8, 3 * time.Second},
		{"behind-then-right", -10 * time.Minute, 0, 9 * time.Second, 12, 3 * time.Second},
		{"ahead-then-back", time.Hour, 0, 6 * time.Second, 0, 8 * time.Second},
	} {
		t.Run(test.name, func(*testing.T) {
			node := s.Node()
			pod := s.Pod(node, builders.Tolerates("ill", test.tolerated))
			s.Running(pod)
			started := time.Now()
			controller := s.Start(harness.Options{
				Name: "clock-" + test.name, Binary: binary, Env: []string{launcher.WallClock(test.first, test.later, test.after)},
			})
			s.Quiet(pod, started.Add(test.tainted))
			tainted := s.Taint(node, builders.NoExecute("ill"))
			s.Evicted(pod, harness.Due(tainted, float64(test.tolerated)))
			s.Must(controller.Stop())
		})
	}
}
