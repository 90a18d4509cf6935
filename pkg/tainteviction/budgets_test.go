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

package tainteviction

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// evicts has pods be evicted by the eviction API for the taint "a", and wait for their budgets.
func evicts(change ...func(*deadline.Policy)) func(*Config) {
	policy := deadline.Policy{
		Name: "maintenance", Mode: deadline.ModeEvict, Taints: []deadline.TaintPattern{{Key: "a", Effect: v1.TaintEffectNoExecute}},
	}
	for _, c := range change {
		c(&policy)
	}
	return func(c *Config) { c.Budgets, c.Rules.Policies = c.Events, []deadline.Policy{policy} }
}

// of gives a pod the label app, and has it be ready.
func of(app string) func(*v1.Pod) {
	return func(pod *v1.Pod) {
		pod.Labels = map[string]string{"app": app}
		pod.Status.Conditions = append(pod.Status.Conditions, v1.PodCondition{Type: v1.PodReady, Status: v1.ConditionTrue})
	}
}

func notReady(pod *v1.Pod) { pod.Status.Conditions = pod.Status.Conditions[:1] }

// evictions is the number of evictions that were sent.
func (f *fixture) evictions() (n int) {
	for _, request := range f.api.Requests() {
		if strings.HasPrefix(request, "POST ") && strings.HasSuffix(request, "/eviction") {
			n++
		}
	}
	return n
}

// workloads are Deployments, each with a budget that wants all of its pods but one, and the disruption controller.
type workloads struct {
	api  *apitest.Server
	apps []string
	// replicas are those of each app, and starts how long a new pod takes to be ready.
	replicas int
	starts   time.Duration

	lock sync.Mutex
	// made counts the pods that were made, and violated is set when an app had fewer pods that are ready than its budget wants.
	made     int
	violated bool
}

// deploy makes workloads whose pods are all on the node "n". Their replacements are on "m".
func (f *fixture) deploy(apps, replicas int, starts time.Duration) *workloads {
	f.api.AddNode("m")
	w := &workloads{api: f.api, replicas: replicas, starts: starts}
	for i := range apps {
		app := fmt.Sprintf("app-%d", i)
		w.apps = append(w.apps, app)
		for range replicas {
			w.made++
			f.api.AddPod(fmt.Sprintf("pod-%d", w.made), "n", of(app))
		}
		f.api.AddBudget(app, app, replicas-1)
	}
	f.api.ReconcileBudgets()
	return w
}

// run replaces pods, and reconciles budgets, until ctx is done.
func (w *workloads) run(ctx context.Context) {
	for ctx.Err() == nil {
		for _, app := range w.apps {
			w.reconcile(ctx, app)
		}
		w.api.ReconcileBudgets()
		time.Sleep(100 * time.Millisecond)
	}
}

func (w *workloads) reconcile(ctx context.Context, app string) {
	w.lock.Lock()
	defer w.lock.Unlock()
	pods, ready := w.api.PodsOf(app)
	if ready < w.replicas-1 {
		w.violated = true
	}
	for range w.replicas - pods {
		w.made++
		name := fmt.Sprintf("pod-%d", w.made)
		w.api.AddPod(name, "m", of(app), notReady)
		go func() {
			time.Sleep(w.starts)
			if ctx.Err() == nil {
				w.api.UpdatePod(name, func(pod *v1.Pod) { of(app)(pod) })
			}
		}()
	}
}

// during runs workloads while a test goes on.
func (f *fixture) during(w *workloads, test func()) {
	ctx, cancel := context.WithCancel(f.Context())
	var running sync.WaitGroup
	running.Go(func() { w.run(ctx) })
	test()
	cancel()
	running.Wait()
	time.Sleep(w.starts + time.Second) // pods that are starting
}

// remaining is the number of pods of workloads that are on the node "n".
func (f *fixture) remaining(w *workloads) (n int) {
	for i := range len(w.apps) * w.replicas {
		if f.api.Pod(fmt.Sprintf("pod-%d", i+1)) != nil {
			n++
		}
	}
	return n
}

// TestEvictsUnderBudgets empties a node whose pods have budgets of one place each, with one call for each pod.
func TestEvictsUnderBudgets(t *testing.T) {
	bubble(t, func(f *fixture) {
		w := f.deploy(10, 20, 5*time.Second)
		f.start(evicts())
		f.during(w, func() {
			f.api.Taint("n", taintOf("a"))
			f.wait(200)
		})
		if left, n := f.remaining(w), f.evictions(); left != 0 || n > 10*20*12/10 || w.violated {
			t.Errorf("%d pods are left, %d evictions, violated: %v", left, n, w.violated)
		}
		f.counts("taint_eviction_controller_pod_deletions_total", 200)
		if got := f.attempts(); got["first"] != 10 || got["retry"] != 0 || got["budget"] != 190 {
			t.Errorf("attempts %v", got)
		}
		if f.c.budgets.Waiting() != 0 || f.api.Count("PATCH /api/v1/namespaces/default/pods") != 0 {
			t.Errorf("%d pods wait", f.c.budgets.Waiting())
		}
	})
}

// TestNoEventWhileABudgetAllows has 40 pods go one after another, because an eviction takes a second, and their budget allows all of them.
func TestNoEventWhileABudgetAllows(t *testing.T) {
	bubble(t, func(f *fixture) {
		for i := range 40 {
			f.api.AddPod(fmt.Sprint("p", i), "n", of("web"))
		}
		f.api.AddBudget("web", "web", 0)
		f.api.ReconcileBudgets()
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/eviction") {
				time.Sleep(time.Second)
			}
			return nil, nil
		}
		f.start(evicts())
		f.api.Taint("n", taintOf("a"))
		f.wait(35)
		if pods := f.api.Pods(); pods < 4 || pods > 10 {
			t.Errorf("%d pods are left after 35 s", pods)
		}
		f.wait(25)
		for i := range 40 {
			name := fmt.Sprint("p", i)
			if events := f.api.Events("Pod", name); f.api.Pod(name) != nil || len(events) != 1 || events[0].Reason != podEventReason {
				t.Errorf("%s: Events %v", name, events)
			}
		}
	})
}

// TestBudgetThatNeverAllows has pods be deleted after a while, or wait for ever.
func TestBudgetThatNeverAllows(t *testing.T) {
	for _, last := range []*int64{ptr.To[int64](900), nil} {
		bubble(t, func(f *fixture) {
			f.api.AddPod("a", "n", of("web"))
			f.api.AddPod("b", "n", of("web"))
			f.api.AddBudget("web", "web", 2)
			f.api.ReconcileBudgets()
			f.start(evicts(func(p *deadline.Policy) { p.DeleteAfter = last }))
			f.api.Taint("n", taintOf("a"))
			f.wait(890)
			f.exists(true, "a", "b")
			f.counts("taint_manager_blocked_evictions", 2)
			if n := f.evictions(); n > 6 { // probes
				t.Errorf("%d evictions", n)
			}
			for _, name := range []string{"a", "b"} {
				events := f.api.Events("Pod", name)
				if len(events) != 1 || events[0].Reason != "TaintManagerEvictionBlocked" || events[0].Count < 2 || events[0].Count > 10 || events[0].Type != "Normal" {
					t.Fatalf("Events %v", events)
				}
				for _, part := range []string{"budget web ", "node n ", "taint a:NoExecute", map[bool]string{true: "deleted at", false: "as long as"}[last != nil]} {
					if !strings.Contains(events[0].Message, part) {
						t.Errorf("message %q lacks %q", events[0].Message, part)
					}
				}
			}
			f.wait(20)
			f.exists(last == nil, "a", "b")
			if last != nil {
				f.counts("taint_manager_blocked_evictions", 0)
				return
			}
			f.wait(6 * 3600)
			if n := f.evictions(); n > 6*4+10 {
				t.Errorf("%d evictions in six hours", n)
			}
			// One each 8 minutes, and two for each of the probes, which are 15 minutes apart and take turns: 45 + 2*13.
			if events := f.api.Events("Pod", "a"); len(events) != 1 || events[0].Count > 71 {
				t.Errorf("%d Events in six hours, the first counted %d times", len(events), events[0].Count)
			}
		})
	}
}

// TestWaitEnds has the reason to wait go, in several ways.
func TestWaitEnds(t *testing.T) {
	for name, test := range map[string]struct {
		change func(f *fixture)
		stays  bool
	}{
		"the budget goes": {func(f *fixture) {
			f.api.Remove(&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}})
		}, false},
		"the budget wants less": {func(f *fixture) {
			f.api.UpdateBudget("web", func(b *policyv1.PodDisruptionBudget) { b.Spec.MinAvailable.IntVal = 0 })
			f.wait(30) // not reconciled
			f.exists(true, "a")
			f.api.ReconcileBudgets()
		}, false},
		"the pod has another label": {func(f *fixture) { f.api.UpdatePod("a", func(pod *v1.Pod) { pod.Labels["app"] = "other" }) }, false},
		"the pod is not ready": {func(f *fixture) {
			f.api.UpdateBudget("web", func(b *policyv1.PodDisruptionBudget) {
				b.Spec.UnhealthyPodEvictionPolicy = ptr.To(policyv1.AlwaysAllow)
			})
			f.api.UpdatePod("a", notReady)
		}, false},
		"the pod is evicted by another": {func(f *fixture) { f.api.RemovePod("a") }, false},
		"the taint goes, and the budget too": {func(f *fixture) {
			f.api.Taint("n")
			f.wait(1)
			f.api.Remove(&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				f.api.AddPod("a", "n", of("web"))
				f.api.AddBudget("web", "web", 1)
				f.api.ReconcileBudgets()
				f.start(evicts())
				f.api.Taint("n", taintOf("a"))
				f.wait(20)
				f.exists(true, "a")
				f.counts("taint_manager_blocked_evictions", 1)
				before := f.evictions()
				test.change(f)
				f.wait(1)
				f.exists(test.stays, "a")
				if n := f.evictions(); n > before+1 {
					t.Errorf("%d evictions, %d before", n, before)
				}
				f.wait(11)
				f.counts("taint_manager_blocked_evictions", 0)
				if f.c.budgets.Waiting() != 0 {
					t.Errorf("%d pods wait", f.c.budgets.Waiting())
				}
			})
		})
	}
}

// TestWaitEndsInTime has a taint come, while a pod waits for its budget, for which it is to be deleted after a while; or that alone stays.
func TestWaitEndsInTime(t *testing.T) {
	for name, taints := range map[string][]v1.Taint{
		"beside the other":      {taintOf("a"), taintOf("b")},
		"in place of the other": {taintOf("b")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				f.api.AddPod("a", "n", of("web"), tolerating("b", 14))
				f.api.AddBudget("web", "web", 1)
				f.api.ReconcileBudgets()
				f.start(evicts())
				f.api.Taint("n", taintOf("a"))
				f.wait(60) // by now it is tried rarely
				f.exists(true, "a")
				f.api.Taint("n", taints...)
				f.wait(13.9)
				f.exists(true, "a")
				f.wait(2)
				f.exists(false, "a")
			})
		})
	}
}

// TestBudgetThatIsNotCounted has a budget that the disruption controller has not counted: nobody knows whether it holds a pod up.
func TestBudgetThatIsNotCounted(t *testing.T) {
	for name, change := range map[string]func(f *fixture){
		"by the watch":   func(*fixture) {},
		"by the answers": func(f *fixture) { f.refuseBudgets() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				f.api.AddPod("a", "n", of("web"))
				f.api.AddBudget("web", "web", 1)
				change(f)
				f.start(evicts())
				f.api.Taint("n", taintOf("a"))
				f.wait(60)
				f.exists(true, "a")
				f.counts("taint_manager_blocked_evictions", 0)
				f.api.ReconcileBudgets() // it needs one pod, and there is no other
				f.wait(400)
				f.exists(true, "a")
				f.counts("taint_manager_blocked_evictions", 1)
			})
		})
	}
}

// refuseBudgets has budgets not be readable.
func (f *fixture) refuseBudgets() {
	f.api.Intercept = func(req *http.Request) (*http.Response, error) {
		if strings.HasSuffix(req.URL.Path, "/poddisruptionbudgets") {
			return apitest.Failure(apierrors.NewForbidden(policyv1.Resource("poddisruptionbudgets"), "", nil)), nil
		}
		return nil, nil
	}
}

// TestSeveralBudgets has a pod be covered by two: a Warning names both.
func TestSeveralBudgets(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("a", "n", of("web"))
		f.api.AddBudget("web-1", "web", 0)
		f.api.AddBudget("web-2", "web", 0)
		f.api.ReconcileBudgets()
		f.start(evicts())
		f.api.Taint("n", taintOf("a"))
		f.wait(1)
		f.wait(3600)
		events := f.api.Events("Pod", "a")
		if len(events) == 0 || events[0].Type != "Warning" || !strings.Contains(events[0].Message, "web-1, web-2") {
			t.Fatalf("Events %v", events)
		}
		if n := f.evictions(); n < 2 || n > 12 {
			t.Errorf("%d evictions", n)
		}
		f.api.Remove(&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-2"}})
		f.wait(1)
		f.exists(false, "a")
	})
}

// TestAnswersThatAskToWait has a webhook take over, or the namespace terminate: there are few calls, and nothing has failed.
func TestAnswersThatAskToWait(t *testing.T) {
	for name, answer := range map[string]func(f *fixture) *http.Response{
		"webhook": func(*fixture) *http.Response {
			return apitest.Failure(&apierrors.StatusError{ErrStatus: metav1.Status{
				Status: metav1.StatusFailure, Code: 429, Message: `admission webhook "virt" denied the request: Eviction triggered evacuation of VMI "default/vm"`,
			}})
		},
		"namespace": func(f *fixture) *http.Response { f.api.TerminateNamespace("default"); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				ends := time.Now().Add(10 * time.Minute)
				f.api.Intercept = func(req *http.Request) (*http.Response, error) {
					if !strings.HasSuffix(req.URL.Path, "/eviction") || time.Now().After(ends) {
						return nil, nil
					}
					return answer(f), nil
				}
				f.api.AddPod("a", "n")
				f.start(evicts())
				f.api.Taint("n", taintOf("a"))
				f.wait(590)
				if n := f.evictions(); n < 4 || n > 9 {
					t.Errorf("%d evictions in ten minutes", n)
				}
				f.wait(310)
				f.exists(name == "namespace", "a")
			})
		})
	}
}

// TestBudgetsThatCannotBeRead has the list of budgets be forbidden: the answers name the budget that blocks.
func TestBudgetsThatCannotBeRead(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.refuseBudgets()
		w := f.deploy(1, 5, 5*time.Second)
		f.start(evicts())
		f.during(w, func() {
			f.api.Taint("n", taintOf("a"))
			f.wait(5)
			if n := f.evictions(); n != 0 {
				t.Errorf("%d evictions before it is known that budgets cannot be read", n)
			}
			f.wait(600)
		})
		if left, n := f.remaining(w), f.evictions(); left != 0 || n > 40 || w.violated {
			t.Errorf("%d pods are left, %d evictions, violated: %v", left, n, w.violated)
		}
	})
}

// TestBudgetsAreReadWhenNeeded has a policy that evicts, and nothing to evict by it.
func TestBudgetsAreReadWhenNeeded(t *testing.T) {
	bubble(t, func(f *fixture) {
		lists := 0
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/poddisruptionbudgets") {
				lists++
			}
			return nil, nil
		}
		f.api.AddPod("a", "n", of("web"))
		f.api.AddPod("b", "n", of("web"), tolerating("b", 1000))
		f.start(evicts())
		f.api.Taint("n", taintOf("b"))
		f.wait(10)
		f.exists(false, "a")
		if lists != 0 || f.evictions() != 0 {
			t.Errorf("%d lists of budgets, %d evictions", lists, f.evictions())
		}
		f.api.Taint("n", taintOf("b"), taintOf("a"))
		f.wait(2)
		f.exists(false, "b")
		if lists == 0 || f.evictions() != 1 {
			t.Errorf("%d lists of budgets, %d evictions", lists, f.evictions())
		}
	})
}

// TestDueAgainAfterABudgetHeldIt has a pod wait for its budget, be due later only, and be due again when the budget allows it.
func TestDueAgainAfterABudgetHeldIt(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("p", "n", of("app"), tolerating("b", 300))
		f.api.AddBudget("app", "app", 1)
		f.api.ReconcileBudgets()
		f.start(evicts())
		f.api.Taint("n", taintOf("a"), taintOf("b"))
		f.wait(30)
		f.exists(true, "p")
		f.api.Taint("n", taintOf("b"))
		f.wait(1)
		f.api.AddBudget("app", "app", 0)
		f.api.ReconcileBudgets()
		f.wait(5)
		f.exists(true, "p")
		f.api.Taint("n", taintOf("a"), taintOf("b"))
		f.wait(2)
		f.exists(false, "p")
	})
}
