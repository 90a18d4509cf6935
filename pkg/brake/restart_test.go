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

package brake

import (
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// restart begins another process in a cluster of 50 nodes, with what the one before it stored.
func (s *scene) restart(config Config) {
	s.t.Helper()
	state := s.State()
	s.start(config, 50)
	s.Restore(state)
}

func TestRestarts(t *testing.T) {
	for _, test := range []struct {
		name string
		play func(s *scene)
	}{
		{"a mistake that is going on", func(s *scene) {
			s.taint(0, 49, "mistake", 0, 0)
			s.want(true, 50)
			s.at(100)
			s.start(configured(number(5)), 50) // with no state at all
			s.again(50)
			s.want(true, 50)
			s.at(600)
			s.want(true, 0)
			s.at(660)
			s.want(false, 0)
		}},
		{"nodes that were emptied count", func(s *scene) {
			s.taint(0, 4, "a", 0, 0)
			s.at(20)
			s.start(configured(number(5)), 50)
			s.empty(0, 4, 600*time.Second)
			s.want(false, 5)
			s.taint(5, 5, "a", 0, 0)
			s.want(true, 6)
			s.empty(0, 4, 600*time.Second) // said once more
			s.want(true, 6)
			s.untaint(0, 0)
			s.want(true, 5)
		}},
		{"nodes that have only pods left that are due later count", func(s *scene) {
			s.taint(0, 5, "a", 0, 0)
			s.at(20)
			s.start(configured(number(5)), 50)
			for i, taint := range s.taints {
				s.Set(nameOf(i), Node{
					Taints: []deadline.Taint{taint}, Due: []Due{{Taint: taint, From: taint.Start.Add(time.Hour)}}, Created: taint.Start.Add(-day),
				})
			}
			s.want(true, 6)
		}},
		{"nodes that came up with their taint do not", func(s *scene) {
			s.taint(0, 9, "a", 0, 0)
			s.at(20)
			s.start(configured(number(5)), 50)
			s.empty(0, 9, 599*time.Second)
			s.want(false, 0)
		}},
		{"nodes that were emptied because they were not ready do not", func(s *scene) {
			s.taint(0, 9, v1.TaintNodeNotReady, 0, 0)
			s.at(20)
			s.start(configured(number(5)), 50)
			s.empty(0, 9, day)
			s.want(false, 0)
		}},
		{"nodes of which nobody knows when they came up do not", func(s *scene) {
			s.taint(0, 9, "a", 0, 0)
			s.at(20)
			s.start(configured(number(5)), 50)
			for i, taint := range s.taints {
				s.Set(nameOf(i), Node{Taints: []deadline.Taint{taint}})
			}
			s.want(false, 0)
		}},
		{"nodes that were tainted since do not", func(s *scene) {
			s.at(0.001)
			each(0, 9, func(i int) { s.taints[i] = deadline.Taint{Key: "a", Start: time.Now()} })
			s.empty(0, 9, day)
			s.want(false, 0)
		}},
		{"nodes that were emptied long ago do not", func(s *scene) {
			s.taint(0, 9, "a", 0, 0)
			s.at(700)
			s.start(configured(number(5)), 50)
			s.empty(0, 9, day)
			s.want(false, 0)
			s.at(1400)
			if s.known.Len() != 10 {
				s.t.Errorf("the brake knows %d nodes", s.known.Len())
			}
			s.untaint(0, 0)
			if s.known != nil {
				s.t.Error("what only a restart needs is kept")
			}
		}},
		{"the cooldown goes on", func(s *scene) {
			s.taint(0, 9, "a", 0, 0)
			s.at(10)
			s.untaint(0, 9)
			s.at(50)
			s.restart(configured(number(5)))
			s.want(true, 0)
			s.at(69)
			s.want(true, 0)
			s.at(70)
			s.want(false, 0)
		}},
		{"the cooldown is over", func(s *scene) {
			s.taint(0, 9, "a", 0, 0)
			s.at(10)
			s.untaint(0, 9)
			state := s.State()
			s.at(100)
			s.start(configured(number(5)), 50)
			s.Restore(state)
			s.want(false, 0)
			if s.pending.happened() {
				s.t.Errorf("reports %+v", s.pending)
			}
		}},
		{"a brake that was on stays on for a cooldown, if the nodes are untainted meanwhile", func(s *scene) {
			s.taint(0, 9, "a", 0, 0)
			s.at(50)
			s.restart(configured(number(5)))
			s.at(109)
			s.want(true, 0)
			if got := s.State(); !got.On || !got.Since.Equal(s.began) {
				s.t.Errorf("got %+v", got)
			}
			s.at(110)
			s.want(false, 0)
		}},
		{"what a policy made due counts", func(s *scene) {
			s.taint(0, 9, "edge", day, 0)
			s.at(100)
			s.changed(0, 9)
			s.want(true, 10)
			s.at(200)
			s.restart(configured(number(5)))
			s.again(10) // what the API shows does not say so
			s.want(true, 10)
			s.at(700)
			s.want(true, 0)
		}},
		{"what falls due after the restart is not due because of the policy before it", func(s *scene) {
			s.taint(0, 0, "edge", day, 0)
			s.changed(0, 0)
			s.at(200)
			s.restart(configured(number(5)))
			s.at(201)
			s.taint(1, 9, "edge", day, day)
			s.want(false, 0)
		}},
		{"a policy that will expire is no change yet", func(s *scene) {
			s.taint(0, 0, "edge", day, day+100*time.Second)
			expires := time.Now().Add(100 * time.Second)
			s.Add(nameOf(0), Due{Taint: s.taints[0], From: expires, Changed: expires})
			if got := s.State().PolicyChange; !got.IsZero() {
				s.t.Errorf("a policy changed at %v", got)
			}
			s.at(99)
			s.want(false, 0)
			s.at(100)
			s.want(false, 1)
			if got := s.State().PolicyChange; !got.Equal(expires) {
				s.t.Errorf("a policy changed at %v", got)
			}
			s.untaint(0, 0)
			if got := s.State().PolicyChange; !got.Equal(expires) {
				s.t.Errorf("a policy changed at %v", got)
			}
		}},
		{"a state of a brake that is switched off now", func(s *scene) {
			s.taint(0, 9, "a", 0, 0)
			s.restart(configured(number(0)))
			s.want(false, 0)
		}},
	} {
		t.Run(test.name, func(t *testing.T) { play(t, configured(number(5)), 50, test.play) })
	}
}

// A replica that stands by comes to the same answer, without asking.
func TestStandby(t *testing.T) {
	play(t, configured(number(5)), 50, func(s *scene) {
		leader := s.Brake
		s.start(configured(number(5)), 50)
		standby := s.Brake
		both := func(do func()) {
			for _, s.Brake = range []*Brake{leader, standby} {
				do()
			}
		}
		both(func() { s.taint(0, 4, "a", 0, 0) })
		s.Brake = leader
		if got := s.ask(0, 4, "a"); got != 5 {
			t.Errorf("evictions began on %d nodes, want 5", got)
		}
		s.at(10)
		both(func() { s.empty(0, 4, day) })
		both(func() { s.taint(5, 5, "a", 0, 0) })
		both(func() { s.want(true, 6) })
		s.at(20)
		both(func() { s.untaint(0, 5) })
		s.at(79)
		both(func() { s.want(true, 0) })
		s.at(80)
		both(func() { s.want(false, 0) })
	})
}
