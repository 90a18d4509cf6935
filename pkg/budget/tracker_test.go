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

package budget

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
)

// pod is a pod in the namespace "ns".
type pod struct {
	name           string
	labels         labels.Set
	ready, guarded bool
}

func (p pod) GetNamespace() string  { return "ns" }
func (p pod) GetName() string       { return p.name }
func (p pod) GetUID() types.UID     { return types.UID(p.name) }
func (p pod) Labels() labels.Labels { return p.labels }
func (p pod) Ready() bool           { return p.ready }
func (p pod) Guarded() bool         { return p.guarded }

func web(name string) pod { return pod{name, labels.Set{"app": "web"}, true, true} }

func unready(name string) pod { return pod{name, labels.Set{"app": "web"}, false, true} }

// fixture is a tracker, and the queue that it wakes pods of.
type fixture struct {
	*testing.T
	*Tracker
	version int
	// woken are the pods that were woken, in this order. absent are those that cannot be.
	woken  []string
	absent map[types.UID]bool
}

// Wake implements Queue.
func (f *fixture) Wake(uid types.UID) bool {
	if f.absent[uid] {
		return false
	}
	f.woken = append(f.woken, string(uid))
	return true
}

func bubble(t *testing.T, test func(f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{T: t, absent: map[types.UID]bool{}}
		f.Tracker = newTracker(clock.RealClock{}, f)
		test(f)
	})
}

// show has the watch show a new version of the budget "web", by its status: how many disruptions are allowed, and which pods go.
func (f *fixture) show(allowed int32, disrupted ...string) {
	f.showBudget("web", allowed, nil, disrupted...)
}

func (f *fixture) showBudget(name string, allowed int32, change func(*policyv1.PodDisruptionBudget), disrupted ...string) {
	f.version++
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, ResourceVersion: fmt.Sprint(f.version)},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
		Status:     policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: allowed, DesiredHealthy: 2, CurrentHealthy: 2 + allowed},
	}
	for _, name := range disrupted {
		if budget.Status.DisruptedPods == nil {
			budget.Status.DisruptedPods = map[string]metav1.Time{}
		}
		budget.Status.DisruptedPods[name] = metav1.Time{}
	}
	if change != nil {
		change(budget)
	}
	f.observe(budget)
}

// begins fails the test unless a pod gets a turn.
func (f *fixture) begins(p pod) *Turn {
	f.Helper()
	turn, refusal := f.Begin(p)
	if turn == nil {
		f.Fatalf("%s gets no turn: %+v", p.name, refusal)
	}
	return turn
}

// waits fails the test unless a pod has to wait for the budget "web", and has it wait.
func (f *fixture) waits(pods ...pod) {
	f.Helper()
	for _, p := range pods {
		turn, refusal := f.Begin(p)
		if turn != nil || refusal.Budget != "web" {
			f.Fatalf("%s gets a turn, or waits for another budget: %+v", p.name, refusal)
		}
		if !f.Wait(p, *refusal) {
			f.Errorf("%s does not wait", p.name)
		}
	}
}

// wakes fails the test unless these pods were woken since the last call.
func (f *fixture) wakes(names ...string) {
	f.Helper()
	if !slices.Equal(f.woken, names) {
		f.Errorf("woke %q, want %q", f.woken, names)
	}
	f.woken = nil
}

// nextWoken lets time pass until a pod is woken, and returns its name.
func (f *fixture) nextWoken(within time.Duration) string {
	f.Helper()
	for began := time.Now(); time.Since(began) < within; f.ticks(tickInterval) {
		if len(f.woken) == 1 {
			name := f.woken[0]
			f.woken = nil
			return name
		}
	}
	f.Fatalf("woke %q within %v", f.woken, within)
	return ""
}

// ticks lets time pass.
func (f *fixture) ticks(d time.Duration) {
	for ; d > 0; d -= tickInterval {
		time.Sleep(tickInterval)
		f.tick()
	}
}

var accepted, blocked = Answer{Accepted: true}, Answer{Refused: true}

// TestOneEvictionAtATime has three pods of a budget that leaves two places, and then another.
func TestOneEvictionAtATime(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(2)
		a := f.begins(web("a"))
		f.waits(web("b"), web("c"))
		f.wakes()
		f.show(1, "a") // before the answer, as the API server does it
		f.wakes()
		f.End(a, accepted)
		f.wakes("b")
		b := f.begins(web("b"))
		f.End(b, accepted)
		f.wakes() // the status does not show it yet
		f.show(0, "a", "b")
		f.wakes()
		f.show(0) // the disruption controller has seen both
		f.wakes()
		f.show(1)
		f.wakes("c")
		if c := f.begins(web("c")); !c.Waited || a.Waited {
			t.Errorf("c waited: %v; a waited: %v", c.Waited, a.Waited)
		}
	})
}

// TestNoEvictionWithoutAPlace has pods wait without a turn as long as there is no place, but for probes.
func TestNoEvictionWithoutAPlace(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(0)
		f.waits(web("a"), web("b"))
		f.waits(web("a")) // it asks again, and is the last now
		f.show(0)
		f.wakes()
		f.show(1)
		f.wakes("b")
		f.show(1) // it has been woken
		f.wakes()
	})
}

func TestStatusThatDoesNotShowAnEviction(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(5)
		a := f.begins(web("a"))
		f.waits(web("b"))
		f.End(a, accepted)
		f.show(5) // a version from before
		f.ticks(time.Second)
		f.wakes()
		f.ticks(time.Second)
		f.wakes("b")
	})
}

// TestRefusedByTheAPIServer has the API server know that there is no place, while the watch is behind.
func TestRefusedByTheAPIServer(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(1)
		a := f.begins(web("a"))
		f.waits(web("b"))
		f.End(a, blocked)
		f.Wait(web("a"), Refusal{Budget: "web"})
		f.wakes()
		f.ticks(20 * time.Second)
		f.wakes()
		f.show(1)
		f.wakes("b") // a was refused, and is the last now
	})
	bubble(t, func(f *fixture) {
		f.show(1)
		a := f.begins(web("a"))
		f.show(1) // the watch has caught up before the answer is here
		f.End(a, blocked)
		f.Wait(web("a"), Refusal{Budget: "web"})
		f.wakes("a")
	})
}

func TestNotReconciled(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(1)
		a := f.begins(web("a"))
		f.End(a, Answer{Refused: true, RetryAfter: 10 * time.Second})
		f.Wait(web("a"), Refusal{Budget: "web"})
		f.ticks(9 * time.Second)
		f.wakes()
		f.ticks(time.Second)
		f.wakes("a")
		f.begins(web("a"))
	})
}

func TestConflictsAboutTheStatus(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(5)
		a := f.begins(web("a"))
		f.waits(web("b"))
		f.End(a, Answer{Conflict: true, RetryAfter: 10 * time.Second})
		f.Wait(web("a"), Refusal{Budget: "web"})
		f.show(5) // whoever was faster goes on
		f.ticks(9 * time.Second)
		f.wakes()
		f.waits(web("c"))
		f.ticks(6 * time.Second)
		f.wakes("b")
	})
}

// TestNotReadyPodsGoFirst has them need no place, or one.
func TestNotReadyPodsGoFirst(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.showBudget("web", 0, func(b *policyv1.PodDisruptionBudget) { b.Status.CurrentHealthy = 1 })
		f.waits(web("a"), unready("b"), web("c"), unready("d"))
		f.show(0) // enough are healthy: those that are not ready need no place
		f.wakes("b")
		f.End(f.begins(unready("b")), accepted)
		f.wakes("d") // the status does not change for b
		f.End(f.begins(unready("d")), accepted)
		f.wakes()
		f.show(1)
		f.wakes("a")
	})
	bubble(t, func(f *fixture) {
		f.showBudget("web", 0, func(b *policyv1.PodDisruptionBudget) { b.Status.CurrentHealthy = 1 })
		f.waits(web("a"), unready("b"))
		f.showBudget("web", 1, func(b *policyv1.PodDisruptionBudget) { b.Status.CurrentHealthy, b.Status.DesiredHealthy = 1, 0 })
		f.wakes("b")
		f.End(f.begins(unready("b")), accepted)
		f.wakes() // it took the place
	})
	bubble(t, func(f *fixture) {
		f.showBudget("web", 0, func(b *policyv1.PodDisruptionBudget) {
			b.Status.CurrentHealthy, b.Spec.UnhealthyPodEvictionPolicy = 1, ptr.To(policyv1.AlwaysAllow)
		})
		f.begins(unready("a"))
	})
}

// TestNotReadyPodThatIsRefused has the API server see that a pod is ready: it is not tried again and again.
func TestNotReadyPodThatIsRefused(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(0)
		a := f.begins(unready("a"))
		f.End(a, blocked)
		f.Wait(unready("a"), Refusal{Budget: "web"})
		f.ticks(20 * time.Second)
		f.wakes()
	})
}

func TestPodsThatChange(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(0)
		f.waits(web("a"), web("b"), web("c"))
		f.PodChanged(web("b"))
		f.wakes()
		f.PodChanged(unready("b")) // goes without a place
		f.wakes("b")
		f.PodChanged(web("b")) // it has been woken
		f.PodChanged(pod{"c", labels.Set{"app": "other"}, true, true})
		f.wakes("c")
		f.PodChanged(pod{"a", labels.Set{"app": "web"}, true, false})
		f.wakes("a")
		f.PodChanged(web("unknown"))
		f.wakes()
		f.End(f.begins(pod{"a", labels.Set{"app": "web"}, false, false}), accepted)
		f.End(f.begins(pod{"c", labels.Set{"app": "other"}, true, true}), accepted)
		if n := f.Waiting(); n != 1 {
			t.Errorf("%d pods wait", n) // b was woken
		}
	})
}

func TestPodsWithoutABudget(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(0)
		f.begins(pod{"a", labels.Set{"app": "other"}, true, true})
		f.begins(pod{"b", labels.Set{"app": "web"}, false, false}) // pending
		if f.Wait(pod{"c", nil, true, true}, Refusal{}) {
			t.Error("waits for no budget")
		}
	})
}

func TestBudgetsThatChange(t *testing.T) {
	other := func(b *policyv1.PodDisruptionBudget) { b.Spec.Selector.MatchLabels["app"] = "other" }
	invalid := func(b *policyv1.PodDisruptionBudget) {
		b.Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Around"}}
	}
	none := func(b *policyv1.PodDisruptionBudget) { b.Spec.Selector = nil }
	for name, change := range map[string]func(f *fixture){
		"deleted":          func(f *fixture) { f.remove("ns", "web") },
		"another selector": func(f *fixture) { f.showBudget("web", 0, other) },
		"invalid selector": func(f *fixture) { f.showBudget("web", 0, invalid) },
		"no selector":      func(f *fixture) { f.showBudget("web", 0, none) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				f.show(0)
				f.waits(web("a"), web("b"))
				change(f)
				if slices.Sort(f.woken); !slices.Equal(f.woken, []string{"a", "b"}) {
					t.Errorf("woke %q", f.woken)
				}
				a, b := f.begins(web("a")), f.begins(web("b"))
				f.End(a, accepted)
				f.End(b, accepted)
				if f.remove("ns", "web"); f.Waiting() != 0 || len(f.budgets) != 0 {
					t.Errorf("%d pods wait, %d namespaces", f.Waiting(), len(f.budgets))
				}
			})
		})
	}
}

// TestBudgetDeletedDuringATurn has the budget go while an eviction is in flight, and a pod that was woken has not begun.
func TestBudgetDeletedDuringATurn(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(1)
		a := f.begins(web("a"))
		f.waits(web("b"))
		f.remove("ns", "web")
		f.wakes("b")
		f.End(a, blocked)
		if f.begins(web("b")); f.Waiting() != 0 || len(f.budgets) != 0 {
			t.Errorf("%d pods wait, %d namespaces", f.Waiting(), len(f.budgets))
		}
	})
	bubble(t, func(f *fixture) {
		f.show(0)
		_, refusal := f.Begin(web("a"))
		f.remove("ns", "web") // before the pod is parked
		if f.Wait(web("a"), *refusal) {
			t.Error("waits for a budget that is gone")
		}
	})
}

// TestSeveralBudgets has the API server refuse a pod of two budgets. It is woken when there is one.
func TestSeveralBudgets(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(1)
		f.showBudget("web2", 1, nil)
		turn := f.begins(web("a"))
		if names := f.Covering(web("a")); !slices.Equal(names, []string{"web", "web2"}) {
			t.Errorf("covered by %q", names)
		}
		f.End(turn, blocked)
		if !f.Wait(web("a"), Refusal{}) {
			t.Error("does not wait")
		}
		f.show(2)
		f.ticks(time.Hour)
		f.wakes()
		f.remove("ns", "web2")
		f.wakes("a")
		if turn := f.begins(web("a")); turn.state == nil {
			t.Error("is not covered")
		}
	})
}

// TestProbes has the watch show nothing: the first pod is woken now and then, and less and less often while that is in vain.
func TestProbes(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(0)
		f.waits(web("a"), web("b"))
		began, probes, names := time.Now(), []time.Duration{}, []string{}
		probe := func(answer Answer) {
			name := f.nextWoken(2 * maxProbe)
			probes, names = append(probes, time.Since(began)), append(names, name)
			f.End(f.begins(web(name)), answer)
			if answer == blocked {
				f.Wait(web(name), Refusal{Budget: "web"})
			}
		}
		for time.Since(began) < 2*time.Hour {
			probe(blocked)
		}
		if len(probes) < 8 || len(probes) > 12 || probes[0] < minProbe || probes[0] > 2*minProbe || names[0] != "a" || names[1] != "b" {
			t.Errorf("probes at %v of %q", probes, names)
		}
		if last := probes[len(probes)-1] - probes[len(probes)-2]; last < maxProbe {
			t.Errorf("last probes within %v", last)
		}
		probe(accepted)
		f.nextWoken(2*minProbe + settleTimeout) // that probe found a place that the watch did not show
	})
}

// TestNoProbesWhileTheWatchWorks has the budget show something new every ten seconds.
func TestNoProbesWhileTheWatchWorks(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(0)
		f.waits(web("a"))
		for range 100 {
			f.ticks(10 * time.Second)
			f.show(0)
		}
		f.wakes()
	})
}

// TestBudgetThatOnlyAnswersName has no watch.
func TestBudgetThatOnlyAnswersName(t *testing.T) {
	bubble(t, func(f *fixture) {
		for _, p := range []pod{web("a"), web("b"), web("c")} {
			turn := f.begins(p)
			f.End(turn, blocked)
			if !f.Wait(p, Refusal{Budget: "web"}) {
				t.Error("does not wait")
			}
		}
		f.wakes()
		f.waits(web("a")) // it asks again
		if name := f.nextWoken(2 * minProbe); name != "b" {
			t.Errorf("probes by %s", name)
		}
		f.End(f.begins(web("b")), accepted)
		f.wakes("c") // there may be another place
		f.End(f.begins(web("c")), blocked)
		f.Wait(web("c"), Refusal{Budget: "web"})
		f.wakes()
		f.show(0)
		f.wakes()
		f.show(1)
		f.wakes("a")
		f.Forget("a")
		f.wakes("c")
		f.Forget("c")
		f.remove("ns", "web")
		if f.Waiting() != 0 || len(f.budgets) != 0 {
			t.Errorf("%d pods wait, %d namespaces", f.Waiting(), len(f.budgets))
		}
	})
	bubble(t, func(f *fixture) {
		f.End(f.begins(web("a")), blocked)
		f.Wait(web("a"), Refusal{Budget: "web"})
		if f.Forget("a"); len(f.budgets) != 0 {
			t.Error("remembers the budget")
		}
	})
}

// TestPodsThatDoNotBegin has a pod that was woken be cancelled, wait for something else, or be gone.
func TestPodsThatDoNotBegin(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(0)
		f.waits(web("a"), web("b"), web("c"), web("d"))
		f.absent["a"] = true
		f.show(1)
		f.wakes("b")
		f.Forget("b")
		f.wakes("c")
		f.ticks(callTimeout - time.Second)
		f.wakes()
		f.ticks(time.Second)
		f.wakes("d")
		f.waits(web("c")) // d goes first
		if n := f.Waiting(); n != 2 {
			t.Errorf("%d pods wait", n)
		}
	})
}

// TestFailedAttemptLetsTheNextGo has an attempt end without an answer.
func TestFailedAttemptLetsTheNextGo(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(1)
		a := f.begins(web("a"))
		f.waits(web("b"))
		f.End(a, Answer{})
		f.wakes("b")
		f.End(a, accepted) // once too often
		f.begins(web("b"))
	})
}

// TestInLine tells a pod that its budget holds from one that others go before.
func TestInLine(t *testing.T) {
	bubble(t, func(f *fixture) {
		is := func(name string, want bool) {
			t.Helper()
			if _, refusal := f.Begin(web(name)); refusal == nil || refusal.InLine != want {
				t.Errorf("%s: %+v, want in line: %t", name, refusal, want)
			}
		}
		f.show(2)
		first := f.begins(web("a"))
		is("b", true)
		f.show(0, "a")
		is("b", false)
		f.End(first, Answer{Accepted: true})
		is("b", false)
		f.show(1)
		f.End(f.begins(web("b")), Answer{Conflict: true})
		is("c", false) // the API server asks to wait
	})
}
