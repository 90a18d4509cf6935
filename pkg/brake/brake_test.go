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
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

const day = 24 * time.Hour

func number(n int32) intstr.IntOrString { return intstr.FromInt32(n) }

func share(percent string) intstr.IntOrString { return intstr.FromString(percent) }

// configured returns the configuration of the scenarios: the defaults, with a maximum of nodes.
func configured(maxNodes intstr.IntOrString) Config {
	return Config{
		MaxNodes: maxNodes, MinNodes: 10, Window: 600 * time.Second, Cooldown: 60 * time.Second,
		IgnoreTaints: []string{v1.TaintNodeNotReady, v1.TaintNodeUnreachable, v1.TaintNodeOutOfService},
		Clock:        clock.RealClock{},
	}
}

// scene is a brake, and the nodes that it was told of.
type scene struct {
	*Brake
	t      *testing.T
	began  time.Time
	taints map[int]deadline.Taint
}

// play calls a function in a bubble of virtual time.
func play(t *testing.T, config Config, nodes int, do func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, began: time.Now(), taints: map[int]deadline.Taint{}}
		s.start(config, nodes)
		do(s)
	})
}

// start begins a process.
func (s *scene) start(config Config, nodes int) {
	s.t.Helper()
	b, err := New(config)
	if err != nil {
		s.t.Fatal(err)
	}
	b.SetTotal(nodes)
	s.Brake = b
}

// at waits until so many seconds have passed since the beginning.
func (s *scene) at(seconds float64) {
	time.Sleep(time.Until(s.began.Add(time.Duration(seconds * float64(time.Second)))))
}

func nameOf(i int) string { return fmt.Sprintf("node-%d", i) }

// each calls a function with the numbers of nodes, first and last included.
func each(first, last int, do func(i int)) {
	for i := first; i <= last; i++ {
		do(i)
	}
}

// taint puts a taint on nodes that have pods which are due after some time, and so long ago that it is of an age.
func (s *scene) taint(first, last int, key string, age, tolerated time.Duration) {
	each(first, last, func(i int) {
		taint := deadline.Taint{Key: key, Start: time.Now().Add(-age)}
		s.taints[i] = taint
		s.Set(nameOf(i), Node{Taints: []deadline.Taint{taint}, Due: []Due{{Taint: taint, From: taint.Start.Add(tolerated)}}})
	})
}

// empty tells that nodes have no due pods, and were created so long before their taint.
func (s *scene) empty(first, last int, created time.Duration) {
	each(first, last, func(i int) {
		s.Set(nameOf(i), Node{Taints: []deadline.Taint{s.taints[i]}, Created: s.taints[i].Start.Add(-created)})
	})
}

// again tells what is so of the first nodes, which have due pods, once more, to another process.
func (s *scene) again(nodes int) {
	each(0, nodes-1, func(i int) {
		s.Set(nameOf(i), Node{Taints: []deadline.Taint{s.taints[i]}, Due: []Due{{Taint: s.taints[i], From: s.taints[i].Start}}})
	})
}

func (s *scene) untaint(first, last int) {
	each(first, last, func(i int) {
		delete(s.taints, i)
		s.Set(nameOf(i), Node{})
	})
}

// changed tells that pods are due for a permanent taint because a policy changed.
func (s *scene) changed(first, last int) {
	each(first, last, func(i int) {
		s.Add(nameOf(i), Due{Taint: s.taints[i], From: s.taints[i].Start, Changed: time.Now()})
	})
}

// want checks whether the brake is on, and how many nodes count.
func (s *scene) want(on bool, counting int) {
	s.t.Helper()
	if got := s.Status(); got.On != on || got.Counting != counting {
		s.t.Errorf("after %s: on %v and %d nodes count, want %v and %d", time.Since(s.began), got.On, got.Counting, on, counting)
	}
}

// ask returns on how many of some nodes an eviction may begin now.
func (s *scene) ask(first, last int, key string) (allowed int) {
	each(first, last, func(i int) {
		taint := s.taints[i]
		taint.Key = key
		if s.May(nameOf(i), Due{Taint: taint, From: taint.Start}).Allowed {
			allowed++
		}
	})
	return allowed
}

func TestScenarios(t *testing.T) {
	for _, test := range []struct {
		name   string
		config Config
		nodes  int
		play   func(s *scene)
	}{
		{"50 nodes tainted by mistake, and untainted after 3 s", configured(share("20%")), 50, func(s *scene) {
			s.taint(0, 9, "mistake", 0, 0)
			s.want(false, 10)
			s.at(0.1)
			s.taint(10, 10, "mistake", 0, 0)
			s.want(true, 11)
			s.at(0.5)
			s.taint(11, 49, "mistake", 0, 0)
			s.want(true, 50)
			if got := s.ask(0, 49, "mistake"); got != 0 {
				s.t.Errorf("evictions began on %d nodes", got)
			}
			s.at(3)
			s.untaint(0, 49)
			s.want(true, 0)
			s.at(62.9)
			s.want(true, 0)
			s.at(63)
			s.want(false, 0)
			s.taint(0, 0, "on purpose", 0, 0)
			if got := s.ask(0, 0, "on purpose"); got != 1 {
				s.t.Error("the brake holds one node after the mistake is over")
			}
		}},
		{"a mistake that stays", configured(share("20%")), 50, func(s *scene) {
			s.taint(0, 49, "mistake", 0, 0)
			s.at(599)
			s.want(true, 50)
			s.at(600)
			s.want(true, 0)
			s.at(659)
			s.want(true, 0)
			s.at(660)
			s.want(false, 0)
		}},
		{"a zone that has failed goes on while the brake is off", configured(share("20%")), 50, func(s *scene) {
			s.taint(0, 29, v1.TaintNodeUnreachable, 0, 0)
			s.want(false, 0)
			if got := s.ask(0, 29, v1.TaintNodeUnreachable); got != 30 {
				s.t.Errorf("evictions began on %d nodes, want 30", got)
			}
			s.want(false, 0)
		}},
		{"a zone that has failed goes on while the brake is on", configured(share("20%")), 50, func(s *scene) {
			s.taint(0, 49, "mistake", 0, 0)
			s.want(true, 50)
			if got := s.ask(0, 29, v1.TaintNodeNotReady); got != 30 {
				s.t.Errorf("evictions began on %d nodes that are not ready, want 30", got)
			}
			if got := s.ask(0, 49, "mistake"); got != 0 {
				s.t.Errorf("evictions began on %d nodes for the other taint", got)
			}
		}},
		{"a dedicated pool with a permanent taint", configured(share("20%")), 50, func(s *scene) {
			s.taint(0, 39, "dedicated", day, 0)
			s.want(false, 0)
			if got := s.ask(0, 39, "dedicated"); got != 40 {
				s.t.Errorf("evictions began on %d nodes, want 40", got)
			}
			s.want(false, 0)
			s.start(configured(share("20%")), 50) // a restart
			s.again(20)
			s.empty(20, 39, day)
			s.want(false, 0)
		}},
		{"a pool that comes up with a start-up taint", configured(share("20%")), 50, func(s *scene) {
			each(10, 49, func(i int) { s.taints[i] = deadline.Taint{Key: "starting", Start: time.Now()} })
			s.empty(10, 49, 0)
			s.taint(0, 9, "maintenance", 0, 0)
			s.want(false, 10)
			s.at(30)
			s.start(configured(share("20%")), 50) // a restart
			s.empty(10, 49, 5*time.Second)
			s.again(10)
			s.want(false, 10)
			s.untaint(10, 49)
			s.want(false, 10)
		}},
		{"cooldown", configured(number(2)), 50, func(s *scene) {
			s.taint(0, 2, "a", 0, 0)
			s.want(true, 3)
			s.at(10)
			s.untaint(0, 0)
			s.want(true, 2)
			s.at(69)
			s.taint(3, 3, "a", 0, 0) // one more, just before the end
			s.want(true, 3)
			s.at(80)
			s.untaint(1, 3)
			s.want(true, 0)
			s.at(139)
			s.want(true, 0)
			s.at(140)
			s.want(false, 0)
		}},
		{"no cooldown", Config{MaxNodes: number(2), Window: 600 * time.Second, Clock: clock.RealClock{}}, 50, func(s *scene) {
			s.taint(0, 2, "a", 0, 0)
			s.want(true, 3)
			s.untaint(0, 0)
			s.want(false, 2)
		}},
		{"a number, which takes no minimum", configured(number(5)), 50, func(s *scene) {
			s.taint(0, 4, "a", 0, 0)
			s.want(false, 5)
			s.taint(5, 5, "a", 0, 0)
			s.want(true, 6)
		}},
		{"a share is rounded down", configured(share("20%")), 59, func(s *scene) { // 11.8
			s.taint(0, 10, "a", 0, 0)
			s.want(false, 11)
			s.taint(11, 11, "a", 0, 0)
			s.want(true, 12)
		}},
		{"a share of a small cluster is few, so the minimum counts", configured(share("20%")), 20, func(s *scene) { // 4
			s.taint(0, 8, "a", 0, 0)
			s.want(false, 9)
			s.taint(9, 9, "a", 0, 0)
			s.want(true, 10)
		}},
		{"all nodes", configured(share("100%")), 50, func(s *scene) {
			s.taint(0, 49, "a", 0, 0)
			s.want(false, 50)
		}},
		{"nodes come and go", configured(share("20%")), 100, func(s *scene) {
			s.taint(0, 14, "a", 0, 0)
			s.want(false, 15)
			s.SetTotal(50)
			s.want(true, 15)
			each(0, 4, func(i int) { s.Forget(nameOf(i)) })
			s.want(true, 10)
			s.at(60)
			s.want(false, 10)
		}},
		{"switched off", configured(number(0)), 50, func(s *scene) {
			s.taint(0, 49, "a", 0, 0)
			s.want(false, 0)
			if got := s.ask(0, 49, "a"); got != 50 {
				s.t.Errorf("evictions began on %d nodes, want 50", got)
			}
		}},
		{"switched off as a share", configured(share("0%")), 50, func(s *scene) {
			s.taint(0, 49, "a", 0, 0)
			s.want(false, 0)
		}},
		{"tolerated for a time", configured(number(5)), 50, func(s *scene) {
			s.taint(0, 9, "a", 0, 300*time.Second)
			s.at(299)
			s.want(false, 0)
			s.at(300)
			s.want(true, 10)
			s.at(600)
			s.want(true, 0)
		}},
		{"tolerated for longer than the window", configured(number(5)), 50, func(s *scene) {
			s.taint(0, 9, "a", 0, 700*time.Second)
			s.at(600)
			s.want(false, 0)
			s.at(800)
			s.want(false, 0)
		}},
		{"tolerated for a time, and gone before", configured(number(5)), 50, func(s *scene) {
			s.taint(0, 9, "a", 0, 300*time.Second)
			s.at(200)
			s.empty(0, 9, day)
			s.at(300)
			s.want(false, 0)
		}},
		{"nodes that were emptied count until their taint goes", configured(number(5)), 50, func(s *scene) {
			s.taint(0, 4, "a", 0, 0)
			if got := s.ask(0, 4, "a"); got != 5 {
				s.t.Errorf("evictions began on %d nodes, want 5", got)
			}
			s.at(20)
			s.empty(0, 4, day)
			s.want(false, 5)
			s.taint(5, 5, "a", 0, 0)
			s.want(true, 6)
			s.untaint(0, 0)
			s.want(true, 5)
		}},
		{"another value is another taint", configured(number(5)), 50, func(s *scene) {
			s.taint(0, 4, "a", 0, 0)
			s.at(20)
			each(0, 4, func(i int) {
				s.Set(nameOf(i), Node{Taints: []deadline.Taint{{Key: "a", Value: "other", Start: time.Now()}}})
			})
			s.want(false, 0)
		}},
		{"a policy is deleted that kept the pods of a permanent taint", configured(number(5)), 50, func(s *scene) {
			s.taint(0, 9, "edge", day, 0)
			s.want(false, 0)
			s.at(100)
			s.changed(0, 5)
			s.want(true, 6)
			s.empty(0, 0, day) // what is told of a node later does not say so again
			s.at(699)
			s.want(true, 6)
			s.at(700)
			s.want(true, 0)
			s.at(760)
			s.want(false, 0)
		}},
		{"a policy expires", configured(number(5)), 50, func(s *scene) {
			expires := time.Now().Add(100 * time.Second)
			each(0, 5, func(i int) {
				taint := deadline.Taint{Key: "edge", Start: time.Now().Add(-day)}
				s.Set(nameOf(i), Node{Taints: []deadline.Taint{taint}, Due: []Due{{Taint: taint, From: expires, Changed: expires}}})
			})
			s.at(99)
			s.want(false, 0)
			s.at(100)
			s.want(true, 6)
			s.at(700)
			s.want(true, 0)
		}},
		{"two taints on a node", configured(number(1)), 50, func(s *scene) {
			young, old := deadline.Taint{Key: "a", Start: time.Now()}, deadline.Taint{Key: "b", Start: time.Now().Add(-500 * time.Second)}
			s.Set("x", Node{Taints: []deadline.Taint{young, old}, Due: []Due{{Taint: old, From: old.Start}, {Taint: young, From: time.Now().Add(200 * time.Second)}}})
			s.want(false, 1)
			s.at(100)
			s.want(false, 0) // the old one is too old, and nobody is due for the young one
			s.at(200)
			s.want(false, 1)
			s.at(600)
			s.want(false, 0)
		}},
		{"a NoSchedule taint that evicts counts apart from a NoExecute taint", configured(number(5)), 50, func(s *scene) {
			taint := deadline.Taint{Key: "a", Effect: v1.TaintEffectNoSchedule, Start: time.Now()}
			s.Set("x", Node{Taints: []deadline.Taint{taint}, Due: []Due{{Taint: taint, From: time.Now()}}})
			s.want(false, 1)
			s.Set("x", Node{Taints: []deadline.Taint{{Key: "a", Start: time.Now()}}})
			s.want(false, 0)
		}},
	} {
		t.Run(test.name, func(t *testing.T) { play(t, test.config, test.nodes, test.play) })
	}
}

// Whoever asks without telling begins on no more nodes than may count.
func TestAskingTells(t *testing.T) {
	play(t, configured(number(10)), 50, func(s *scene) {
		taint, begun := deadline.Taint{Key: "a", Start: time.Now()}, sets.New[string]()
		for pod := range 5 {
			for i := range 50 {
				name := nameOf((i*7 + pod) % 50)
				if s.May(name, Due{Taint: taint, From: taint.Start}).Allowed {
					begun.Insert(name)
				}
			}
		}
		if len(begun) != 10 {
			t.Errorf("evictions began on %d nodes, want 10", len(begun))
		}
		s.want(true, 50)
		if v := s.May("another", Due{Taint: deadline.Taint{Key: "b", Start: time.Now().Add(-day)}}); v.Allowed {
			t.Error("a node begins that does not count, while the brake is on")
		}
	})
}

func TestVerdictWhileTheBrakeIsOn(t *testing.T) {
	play(t, configured(number(1)), 50, func(s *scene) {
		s.taint(0, 1, "a", 0, 0)
		s.at(5)
		want := func(at float64) {
			t.Helper()
			v := s.May(nameOf(0), Due{Taint: s.taints[0], From: s.taints[0].Start})
			if v != (Verdict{Held: HeldByBrake, RetryAt: s.began.Add(time.Duration(at * float64(time.Second)))}) {
				t.Errorf("got %+v, want one of the brake, to be asked for again after %v s", v, at)
			}
		}
		want(65) // not before a cooldown, whatever happens
		s.at(10)
		s.untaint(1, 1)
		s.at(20)
		want(70)
		s.at(69.5)
		want(70.5) // a second at least
	})
}

// report has Run report into a list, until the end of the test.
func (s *scene) report() *[]string {
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	var got []string
	go s.Run(ctx, func(c Change) {
		line := fmt.Sprintf("%v:", time.Since(s.began).Round(100*time.Millisecond))
		if c.WentOn {
			line += " on"
		}
		if c.WentOff {
			line += " off"
		}
		got = append(got, line+strings.TrimSuffix(" "+strings.Join(c.Begun, " "), " "))
	})
	synctest.Wait()
	return &got
}

func TestRun(t *testing.T) {
	play(t, configured(number(1)), 50, func(s *scene) {
		got := s.report()
		s.at(1)
		s.taint(0, 1, "a", 0, 20*time.Second) // which nobody tells or asks any more
		s.at(300)
		s.untaint(0, 1)
		s.at(1000)
		s.taint(0, 1, "a", 0, 0)
		s.at(2000)
		synctest.Wait()
		if want := []string{"21s: on", "6m0s: off", "16m40s: on", "27m40s: off"}; !slices.Equal(*got, want) {
			t.Errorf("got %q, want %q", *got, want)
		}
	})
}

func TestStatus(t *testing.T) {
	show := func(at time.Time) time.Time { return at.AddDate(26, 0, 0) }
	play(t, configured(share("20%")), 50, func(s *scene) {
		want := func(want Status, text string) {
			t.Helper()
			want.Enabled, want.Limit, want.Total, want.Window, want.Cooldown = true, 10, 50, 600*time.Second, 60*time.Second
			got := s.Status()
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if got.Text(show) != text {
				t.Errorf("got  %s\nwant %s", got.Text(show), text)
			}
		}
		after := func(seconds int) time.Time { return s.began.Add(time.Duration(seconds) * time.Second) }
		want(Status{}, "0 of 50 nodes have pods due for a taint younger than 10m0s or because of a policy; 10 may")
		s.taint(0, 9, "a", 0, 0)
		want(Status{Counting: 10, Taint: "a:NoExecute", OfTaint: 10},
			"10 of 50 nodes have pods due for a taint younger than 10m0s or because of a policy; 10 may; most for a:NoExecute (10)")
		s.at(3)
		s.taint(10, 12, "b", 0, 0)
		want(Status{On: true, Since: after(3), Counting: 13, Taint: "a:NoExecute", OfTaint: 10, ReleaseAt: after(660)},
			"Holding evictions since 2026-01-01T00:00:03Z: 13 of 50 nodes have pods due for a taint younger than 10m0s or because of a policy; 10 may; "+
				"most for a:NoExecute (10). Evictions go on 1m0s after it is 10 or fewer: remove the taint from 3, or wait until 2026-01-01T00:11:00Z")
		s.at(10)
		s.untaint(0, 7)
		want(Status{On: true, Since: after(3), Counting: 5, Taint: "b:NoExecute", OfTaint: 3, Falling: true, ReleaseAt: after(70)},
			"Holding evictions since 2026-01-01T00:00:03Z: 5 of 50 nodes have pods due for a taint younger than 10m0s or because of a policy; 10 may; "+
				"most for b:NoExecute (3). Evictions go on at 2026-01-01T00:01:10Z if it stays so for 1m0s")
	})
	play(t, configured(number(0)), 50, func(s *scene) {
		if got := s.Status().Text(show); got != "" {
			t.Errorf("a brake that is switched off says %q", got)
		}
	})
}

// What would release the brake is what releases it.
func TestReleaseAt(t *testing.T) {
	play(t, configured(number(2)), 50, func(s *scene) {
		for i, age := range []time.Duration{100, 400, 0, 250, 50} {
			s.taint(i, i, "a", age*time.Second, 0)
		}
		s.taint(5, 9, "a", day, 0) // these do not count
		// Three of the five have to cease: at 200 s, 350 s and 500 s.
		if got, want := s.Status().ReleaseAt.Sub(s.began), 560*time.Second; got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
		s.at(559)
		s.want(true, 1)
		s.at(560)
		s.want(false, 1)
	})
}

func TestWrongConfigurations(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"maximum of nodes": func(c *Config) { c.MaxNodes = share("many") },
		"window":           func(c *Config) { c.Window = 0 },
		"minimum of nodes": func(c *Config) { c.MinNodes = -1 },
		"cooldown":         func(c *Config) { c.Cooldown = -1 },
		"nodes per minute": func(c *Config) { c.NodesPerMinute = -1 },
		"burst":            func(c *Config) { c.Burst = -1 },
		"no clock":         func(c *Config) { c.Clock = nil },
	} {
		config := configured(number(1))
		change(&config)
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
}
