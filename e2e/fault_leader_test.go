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
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/harness"
)

// standInBound is how late an eviction may be, at most, that falls due while a leader has vanished without a word.
const standInBound = 5 * time.Second

// TestFaultLeaderKilled has the leader killed beside two standbys that have seen all, while evictions fall due. One of them sees
// that renewals of the Lease are missing, and acts before the Lease ends.
func TestFaultLeaderKilled(t *testing.T) {
	suite.OursOnly(t, "it starts all countdowns anew")
	s := suite.Alone(t)
	leader, standbys := leaderAndStandbys(s, "killed", 2)
	stream := s.Stream("killed", 2, 24)
	stream.Begin()
	stream.At(2.6)
	s.Must(leader.Kill())
	stream.Second() // only the standbys know now since when the first taint is there
	stream.At(24)   // the Lease has ended, and one of the standbys leads
	f := stream.Ends(standInBound, time.Now())
	s.Saw("evictions up to %.2f s late, after the end of the Lease up to %.2f s", f.Late.Seconds(), f.LateFrom.Seconds())
	if f.Late > standInBound {
		t.Errorf("evictions up to %s late, expected at most %s", f.Late, standInBound)
	}
	if f.LateFrom > time.Second {
		t.Errorf("evictions up to %s late under the next leader", f.LateFrom)
	}
	if len(actingFor(t, standbys)) == 0 || (leads(standbys[0]) == nil) == (leads(standbys[1]) == nil) {
		t.Errorf("no standby acted, or not one of them leads: %v, %v", leads(standbys[0]), leads(standbys[1]))
	}
	// What the standby believed is in the Events of its own. Had it forgotten, all would be due for as much later as the second
	// taint came after the first.
	events := s.EventsUntilQuiet(evictionReason, 480, 3*time.Second)
	misdated := stream.Misdated(events)
	s.Saw("%d Events say that pods were due at most %.1f s later than they were", len(events), misdated.Seconds())
	if misdated > time.Second || len(events) < 300 {
		t.Errorf("%d Events, by which pods were due up to %s later than they were", len(events), misdated)
	}
}

// TestFaultLeaderPaused has the leader stand still for longer than its Lease lasts, and then go on, not knowing that it leads no
// more: two replicas evict for a moment.
func TestFaultLeaderPaused(t *testing.T) {
	suite.OursOnly(t, "it starts all countdowns anew")
	s := suite.Alone(t)
	leader, standbys := leaderAndStandbys(s, "paused", 2)
	stream := s.Stream("paused", 2, 28)
	stream.Begin()
	stream.At(2.6)
	s.Must(leader.Pause())
	stream.At(22.6)
	s.Must(leader.Resume())
	resumed := time.Now()
	f := stream.Ends(standInBound, resumed)
	s.Saw("evictions up to %.2f s late, after the leader went on up to %.2f s", f.Late.Seconds(), f.LateFrom.Seconds())
	if f.Late > standInBound {
		t.Errorf("evictions up to %s late, expected at most %s", f.Late, standInBound)
	}
	if f.LateFrom > time.Second {
		t.Errorf("evictions up to %s late after the leader went on", f.LateFrom)
	}
	if len(actingFor(t, standbys)) == 0 {
		t.Error("no standby acted before the end of the Lease")
	}
}

// leaderAndStandbys starts a leader, and then so many standbys, with the default settings of the Lease. No other test may use the name:
// controllers of one name write to one log.
func leaderAndStandbys(s *harness.Scene, name string, n int) (leader *harness.Controller, standbys []*harness.Controller) {
	leader = s.Start(harness.Options{Name: name + "-leader", LeaderElect: true})
	s.Eventually("leadership", 30*time.Second, func(context.Context) error { return leads(leader) })
	for i := range n {
		standbys = append(standbys, s.Start(harness.Options{Name: fmt.Sprintf("%s-standby-%d", name, i), LeaderElect: true}))
	}
	return leader, standbys
}

// actingFor are the renewals of the Lease after which standbys acted, by the first of them. It fails the test where two did after the same.
func actingFor(t *testing.T, standbys []*harness.Controller) (renewals map[string]string) {
	t.Helper()
	renewals = map[string]string{}
	for _, c := range standbys {
		log, err := c.Log()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(log) {
			if !strings.Contains(line, "evicting in its place") {
				continue
			}
			t.Logf("%s: %s", c.Name(), line)
			_, rest, _ := strings.Cut(line, `renewed="`)
			renewal, _, found := strings.Cut(rest, `"`)
			if other, taken := renewals[renewal]; !found || taken && other != c.Name() {
				t.Errorf("%s acts, and so does %s", c.Name(), other)
			}
			renewals[renewal] = c.Name()
		}
	}
	return renewals
}

// TestFaultLeaderStopped has leaders stop in good order, one after another, each beside a standby that has seen all.
func TestFaultLeaderStopped(t *testing.T) {
	suite.OursOnly(t, "it starts all countdowns anew")
	s := suite.Alone(t)
	const handOvers = 3
	var streams []*harness.Stream
	for i := range handOvers {
		streams = append(streams, s.Stream(fmt.Sprint("stopped-", i), 2, 3))
	}
	leader := s.Start(harness.Options{Name: "leader-0", LeaderElect: true})
	s.Eventually("leadership", 30*time.Second, func(context.Context) error { return leads(leader) })
	worst := time.Duration(0)
	for i, stream := range streams {
		standby := s.Start(harness.Options{Name: fmt.Sprint("leader-", i+1), LeaderElect: true})
		stream.Begin()
		stream.At(3.5)
		s.Must(leader.Stop())
		worst = max(worst, stream.Ends(10*time.Second, time.Now()).Late)
		if leader = standby; leads(leader) != nil {
			t.Fatal(errors.New("the standby does not lead"))
		}
	}
	s.Saw("%d hand-overs, evictions up to %.2f s late", handOvers, worst.Seconds())
	if worst > time.Second {
		t.Errorf("evictions up to %s late", worst)
	}
}
