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
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
)

// swallowedBound is how late an eviction may be, at most, where connections have been swallowed.
const swallowedBound = 20 * time.Second

// TestFaultConnectionsSwallowed has nothing more pass on the open connections of the only replica, while new ones work.
func TestFaultConnectionsSwallowed(t *testing.T) {
	suite.OursOnly(t, "it starts all countdowns anew")
	s := suite.Alone(t)
	relay := s.Relay()
	controller := s.Start(harness.Options{Name: "swallowed", LeaderElect: true, Relay: relay})
	s.Eventually("leadership", 30*time.Second, func(context.Context) error { return leads(controller) })
	stream := s.Stream("swallowed", 2, 24)
	stream.Begin()
	stream.At(2.6)
	n := relay.Swallow()
	stream.Second() // by when it is seen, the watch of nodes is back
	f := stream.Ends(swallowedBound+5*time.Second, time.Now())
	s.Saw("%d connections were swallowed, evictions up to %.2f s late", n, f.Late.Seconds())
	if f.Late > swallowedBound || n < 2 {
		t.Errorf("evictions up to %s late, expected at most %s; %d connections were swallowed", f.Late, swallowedBound, n)
	}
	s.Must(controller.Stop())
}

// TestFaultStandbySwallowed has nothing more pass on the open connections of the only standby, and then the leader dies.
func TestFaultStandbySwallowed(t *testing.T) {
	suite.OursOnly(t, "it starts all countdowns anew")
	s := suite.Alone(t)
	relay := s.Relay()
	leader, _ := leaderAndStandbys(s, "cut-off", 0)
	standby := s.Start(harness.Options{Name: "cut-off-standby", LeaderElect: true, Relay: relay})
	stream := s.Stream("standby", 2, 28)
	stream.Begin()
	stream.At(2.6)
	n := relay.Swallow()
	stream.At(3.6)
	s.Must(leader.Kill())
	f := stream.Ends(swallowedBound+10*time.Second, time.Now())
	s.Saw("%d connections were swallowed, evictions up to %.2f s late", n, f.Late.Seconds())
	if f.Late > swallowedBound || n < 2 {
		t.Errorf("evictions up to %s late, expected at most %s; %d connections were swallowed", f.Late, swallowedBound, n)
	}
	s.Must(standby.Stop())
}

// TestFaultListWithoutEnd has a proxy swallow what ends a streaming list, from the start.
func TestFaultListWithoutEnd(t *testing.T) {
	suite.OursOnly(t, "it is about our reading")
	s := suite.Alone(t)
	s.NeedsStreamingLists()
	proxy := s.Proxy(0)
	proxy.SwallowBookmarks(true)
	node := s.Node()
	pod := s.Pod(node)
	s.Taint(node, builders.NoExecute("ill"))
	began := time.Now()
	controller := s.Start(harness.Options{Name: "without-end", LeaderElect: true, Proxy: proxy, Unready: true})
	s.Eventually("unreadiness", 30*time.Second, func(context.Context) error {
		return unready(s, "[-]caches failed")
	})
	outcome := s.AwaitAll([]*corev1.Pod{pod}, began.Add(time.Minute))[0]
	if !outcome.Evicted {
		t.Error("nobody is evicted within a minute")
	}
	s.Saw("evicted %.1f s after the start", outcome.At.Sub(began).Seconds())
	if status, body := s.Ask("/readyz", ""); status != http.StatusOK {
		t.Errorf("readyz: %d: %s", status, body)
	}
	if log, err := controller.Log(); err != nil || !strings.Contains(log, "swallows bookmarks") {
		t.Errorf("the log does not say why: %v", err)
	}
	s.Must(controller.Stop())
}

// TestFaultRelistWithoutEnd has a leader have to list again, behind a proxy that swallows what ends a streaming list. It is blind, and
// makes way for a standby that sees.
func TestFaultRelistWithoutEnd(t *testing.T) {
	suite.OursOnly(t, "it is about our reading")
	s := suite.Alone(t)
	s.NeedsStreamingLists()
	proxy := s.Proxy(0)
	leader := s.Start(harness.Options{Name: "blind", LeaderElect: true, Proxy: proxy})
	s.Eventually("leadership", 30*time.Second, func(context.Context) error { return leads(leader) })
	standby := s.Start(harness.Options{Name: "sees", LeaderElect: true})
	node := s.Node()
	pod := s.Pod(node)
	s.Running(pod)
	proxy.SwallowBookmarks(true)
	proxy.Expire()
	time.Sleep(time.Second)
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Eventually("unreadiness", 20*time.Second, func(context.Context) error { return unready(s, "[-]caches failed") })
	outcome := s.AwaitAll([]*corev1.Pod{pod}, tainted.After.Add(25*time.Second))[0]
	if !outcome.Evicted || leads(standby) != nil {
		t.Errorf("evicted: %v; the standby: %v", outcome.Evicted, leads(standby))
	}
	s.Saw("evicted by the standby %.1f s after the taint", outcome.At.Sub(tainted.After).Seconds())
	s.Eventually("readiness of the one that was blind", time.Minute, func(context.Context) error {
		if status, body := s.Ask("/readyz", ""); status != http.StatusOK {
			return errors.New(body)
		}
		return nil
	})
	s.Must(leader.Stop())
}

// unready is nil where a check of the controller's readiness fails.
func unready(s *harness.Scene, check string) error {
	status, body, err := harness.Get(s.Context(), s.Controller.URL()+"/readyz?verbose", "")
	if err == nil && (status == http.StatusOK || !strings.Contains(body, check)) {
		err = errors.New(body)
	}
	return err
}
