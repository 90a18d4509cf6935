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

	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// A storm is so many pods on so many nodes.
const stormPods, stormNodes = 400, 8

// TestFaultControllerKilled has the controller killed twice in a storm, and started at once each time.
func TestFaultControllerKilled(t *testing.T) {
	suite.OursOnly(t, "it starts all countdowns anew")
	s := suite.Alone(t)
	controller := s.Start(harness.Options{Name: "killed"})
	storm := s.Storm(stormPods, stormNodes)
	storm.Begin()
	storm.AwaitGone(0.25)
	s.Must(controller.Kill())
	storm.Spare() // while nobody looks
	s.Must(controller.Start(t.Context()))
	storm.AwaitGone(0.5)
	s.Must(controller.Kill())
	over := timing.Now()
	s.Must(controller.Start(t.Context()))
	storm.Recovers(over)
}
