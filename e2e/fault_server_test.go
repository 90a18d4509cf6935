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

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// fault does something to the control plane and undoes it, and has the storm watched in between.
type fault func(s *harness.Scene, storm *harness.Storm)

// TestFaultControlPlane has a part of the control plane fail in the middle of a storm. Whether the controller gets to know
// before that of the taint that is removed is left to chance.
func TestFaultControlPlane(t *testing.T) {
	suite.OursOnly(t, "it loses evictions")
	for _, test := range []struct {
		name  string
		fault fault
	}{
		// In this order, because those who lost their connections find the API server again ever later.
		{"API server paused", paused},
		{"etcd killed", etcdKilled},
		{"API server killed", killed},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := suite.Alone(t)
			s.Start(harness.Options{Name: "control-plane", LeaderElect: true})
			storm := s.Storm(stormPods, stormNodes)
			storm.Begin()
			storm.AwaitGone(0.25)
			storm.Spare()
			test.fault(s, storm)
			storm.Recovers(timing.Now())
			s.Settle()
		})
	}
}

func paused(s *harness.Scene, storm *harness.Storm) {
	server := s.CP.Part(controlplane.APIServer)
	s.Must(server.Pause())
	s.T.Cleanup(func() { _ = server.Resume() }) // whatever happens, for those that come after
	storm.Calm(time.Now().Add(20 * time.Second))
	s.Must(server.Resume())
}

// etcdKilled has the API server without its storage for some seconds.
func etcdKilled(s *harness.Scene, storm *harness.Storm) {
	etcd, server := s.CP.Part(controlplane.Etcd), s.CP.Part(controlplane.APIServer)
	pid := server.PID()
	s.Must(etcd.Kill())
	storm.Calm(time.Now().Add(5 * time.Second))
	s.Must(etcd.Start(s.Context()))
	if !server.Running() || server.PID() != pid {
		s.T.Error("the API server did not survive")
	}
}

func killed(s *harness.Scene, storm *harness.Storm) {
	server := s.CP.Part(controlplane.APIServer)
	s.Must(server.Kill())
	storm.Calm(time.Now().Add(10 * time.Second))
	s.Must(server.Start(s.Context()))
}
