package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/taint-manager/taint-manager/e2e/harness"
)

// TestFaultLeaderKilled has the leader killed beside a standby that has seen all, while evictions fall due. The standby waits
// for the end of the Lease, and then goes on where the leader was.
func TestFaultLeaderKilled(t *testing.T) {
	suite.OursOnly(t, "it starts all countdowns anew")
	s := suite.Alone(t)
	const lease, renew, retry = 6 * time.Second, 4 * time.Second, time.Second
	// The standby knows by its watch when the Lease ends. Without that watch it would look each retry period, made longer by up
	// to 1.2 times itself.
	const bound = lease + 22*retry/10
	args := []string{
		fmt.Sprintf("--leader-elect-lease-duration=%s", lease), fmt.Sprintf("--leader-elect-renew-deadline=%s", renew),
		fmt.Sprintf("--leader-elect-retry-period=%s", retry),
	}
	leader := s.Start(harness.Options{Name: "leader", LeaderElect: true, Args: args})
	s.Eventually("leadership", 30*time.Second, func(context.Context) error { return leads(leader) })
	standby := s.Start(harness.Options{Name: "standby", LeaderElect: true, Args: args})
	stream := s.Stream("killed", 2, 13)
	stream.Begin()
	stream.At(2.6)
	killed := time.Now()
	s.Must(leader.Kill())
	stream.Second() // only the standby knows now since when the first taint is there
	s.Eventually("a leader", 2*bound, func(context.Context) error { return leads(standby) })
	led := time.Now()
	f := stream.Ends(bound, led.Add(2*time.Second)) // what has gathered takes a moment
	s.Saw("without a leader for %.1f s (at most %.1f s are allowed), which made evictions up to %.2f s late; afterwards up to %.2f s",
		led.Sub(killed).Seconds(), bound.Seconds(), f.Late.Seconds(), f.LateFrom.Seconds())
	if led.Sub(killed) > bound {
		t.Errorf("without a leader for %s, expected at most %s", led.Sub(killed), bound)
	}
	if f.Late > bound {
		t.Errorf("evictions up to %s late, expected at most %s", f.Late, bound)
	}
	// What the standby believed is in the Events of its own. Had it forgotten, all would be due for as much later as the second
	// taint came after the first.
	events := s.EventsUntilQuiet(evictionReason, 260, 3*time.Second)
	misdated := stream.Misdated(events)
	s.Saw("%d Events say that pods were due at most %.1f s later than they were", len(events), misdated.Seconds())
	if misdated > time.Second || len(events) < 100 {
		t.Errorf("%d Events, by which pods were due up to %s later than they were", len(events), misdated)
	}
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
