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
	"slices"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// paced returns a configuration in which six nodes may begin in a minute, and two at the same time.
func paced() Config {
	config := configured(number(0))
	config.NodesPerMinute, config.Burst = 6, 2
	return config
}

// begin checks on which of some nodes an eviction may begin now. It asks in the order that is given.
func (s *scene) begin(want []int, asked ...int) {
	s.t.Helper()
	var got []int
	for _, i := range asked {
		if s.ask(i, i, "a") == 1 {
			got = append(got, i)
		}
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("after %s: asked for %v, and %v may evict, want %v", time.Since(s.began), asked, got, want)
	}
}

func TestPace(t *testing.T) {
	for _, test := range []struct {
		name string
		play func(s *scene)
	}{
		{"nodes begin one after another, in the order in which they asked", func(s *scene) {
			s.begin(nil, 0, 1, 2)
			s.at(9.9)
			s.begin(nil, 2, 1, 0)
			s.at(10.1)
			s.begin([]int{0}, 2, 1, 0)
			s.at(19.9)
			s.begin([]int{0}, 2, 1, 0)
			s.at(20.1)
			s.begin([]int{1, 0}, 2, 1, 0)
			s.at(30.1)
			s.begin([]int{2, 1, 0}, 2, 1, 0)
		}},
		{"a node that has begun goes on", func(s *scene) {
			s.begin(nil, 0, 1)
			s.at(10.1)
			s.begin([]int{0, 0, 0}, 0, 0, 0)
			s.empty(0, 0, 0)
			s.at(10.2)
			s.begin([]int{0}, 0) // for a pod that falls due later
		}},
		{"a burst after a while without any", func(s *scene) {
			s.at(600)
			s.begin([]int{0, 1}, 0, 1, 2)
			s.at(609.9)
			s.begin(nil, 2)
			s.at(610.1)
			s.begin([]int{2}, 2)
		}},
		{"who is untainted gives up its place, and begins anew the next time", func(s *scene) {
			s.begin(nil, 0, 1)
			s.untaint(0, 0)
			s.at(10.1)
			s.begin([]int{1}, 1)
			s.untaint(1, 1)
			s.taint(1, 1, "a", 0, 0)
			s.begin(nil, 1)
			s.at(20.1)
			s.begin([]int{1}, 1)
		}},
		{"who has no more pods that are due gives up its place", func(s *scene) {
			s.begin(nil, 0, 1)
			s.empty(0, 0, 0)
			s.at(10.1)
			s.begin([]int{1}, 1)
		}},
		{"who is gone gives up its place", func(s *scene) {
			s.begin(nil, 0, 1)
			s.Forget(nameOf(0))
			s.at(10.1)
			s.begin([]int{1}, 1)
		}},
		{"taints that are ignored are not paced", func(s *scene) {
			if got := s.ask(0, 3, v1.TaintNodeNotReady); got != 4 {
				s.t.Errorf("evictions began on %d nodes, want 4", got)
			}
		}},
		{"nobody begins on a replica that does not lead", func(s *scene) {
			s.at(600)
			s.SetLeading(false)
			s.begin(nil, 0, 1)
			s.at(700)
			s.begin(nil, 0, 1)
			s.SetLeading(true) // the leader before may have spent the burst
			s.begin(nil, 0, 1)
			s.at(709.9)
			s.begin(nil, 0, 1)
			s.at(710.1)
			s.begin([]int{0}, 1, 0)
			s.at(715)
			s.SetLeading(true) // says nothing new
			s.at(720.1)
			s.begin([]int{1, 0}, 1, 0)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, paced(), 50, func(s *scene) {
				s.SetLeading(true)
				s.taint(0, 3, "a", 0, 0)
				test.play(s)
			})
		})
	}
}

func TestVerdictOfThePace(t *testing.T) {
	play(t, paced(), 50, func(s *scene) {
		s.taint(0, 1, "a", 0, 0)
		want := func(least, most time.Duration) {
			t.Helper()
			v := s.May(nameOf(0), Due{Taint: s.taints[0], From: s.taints[0].Start})
			if after := time.Until(v.RetryAt); v.Allowed || v.Held != HeldByPace || after < least || after > most {
				t.Errorf("got %+v, want one of the pace, to be asked for again after %v to %v", v, least, most)
			}
		}
		want(time.Second, time.Second) // it does not lead, and may at any time
		s.SetLeading(true)
		want(10*time.Second, 10*time.Second+2*time.Millisecond)
		s.at(4)
		want(6*time.Second, 6*time.Second+2*time.Millisecond)
		if got := s.Status(); got.Waiting != 1 || time.Until(got.NextNode).Round(10*time.Millisecond) != 6*time.Second {
			t.Errorf("got %+v", got)
		}
	})
}

// Run tells who may begin, so that nobody has to ask all the time.
func TestRunTellsWhoBegins(t *testing.T) {
	config := paced()
	config.NodesPerMinute = 8
	play(t, config, 50, func(s *scene) {
		s.SetLeading(true)
		got := s.report()
		s.taint(0, 3, "a", 0, 0)
		s.begin(nil, 3, 2, 1, 0)
		s.at(25)
		s.begin([]int{1, 2, 3}, 0, 1, 2, 3)
		s.untaint(0, 0)
		s.at(100)
		s.begin([]int{0}, 0) // who is answered is not told once more
		s.at(200)
		synctest.Wait()
		if want := []string{"7.5s: node-3", "15s: node-2", "22.5s: node-1"}; !slices.Equal(*got, want) {
			t.Errorf("got %q, want %q", *got, want)
		}
	})
}

// While the brake is on, nobody's turn comes. When it goes off, those who ask wait for their turn.
func TestPaceAndBrake(t *testing.T) {
	config := paced()
	config.MaxNodes = number(2)
	play(t, config, 50, func(s *scene) {
		s.SetLeading(true)
		s.at(100)
		s.taint(0, 1, "a", 0, 0)
		s.begin([]int{0, 1}, 0, 1)
		s.taint(2, 3, "a", 0, 0)
		s.begin(nil, 0, 1, 2, 3)
		got := s.report()
		s.at(110)
		s.untaint(3, 3)
		s.Forget(nameOf(1))
		s.at(169.9)
		s.begin(nil, 0, 2)
		s.at(170.1)
		s.begin([]int{0, 2}, 0, 2)
		synctest.Wait()
		if want := []string{"1m40s: on", "2m50s: off"}; !slices.Equal(*got, want) {
			t.Errorf("got %q, want %q", *got, want)
		}
	})
}

// Who waits for its turn when the brake goes on waits longer.
func TestNobodyBeginsWhileTheBrakeIsOn(t *testing.T) {
	config := paced()
	config.MaxNodes = number(2)
	play(t, config, 50, func(s *scene) {
		s.SetLeading(true)
		got := s.report()
		s.taint(0, 0, "a", 0, 0)
		s.begin(nil, 0)
		s.at(5)
		s.taint(1, 2, "a", 0, 0)
		s.at(50)
		s.untaint(1, 1)
		s.at(200)
		synctest.Wait()
		if want := []string{"5s: on", "1m50s: off node-0"}; !slices.Equal(*got, want) {
			t.Errorf("got %q, want %q", *got, want)
		}
	})
}

// A brake that has both switched off takes no memory for nodes.
func TestNothingIsKeptWithoutBrakeAndPace(t *testing.T) {
	play(t, configured(number(0)), 50, func(s *scene) {
		s.taint(0, 9, "a", 0, 0)
		s.Add("x", Due{Taint: deadline.Taint{Key: "a"}})
		s.SetLeading(true)
		s.Forget("x")
		if s.Enabled() || len(s.tally.nodes) != 0 || len(s.known) != 0 {
			t.Errorf("enabled %v, and %d nodes are kept", s.Enabled(), len(s.tally.nodes))
		}
	})
}
