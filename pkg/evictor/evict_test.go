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

package evictor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/policy"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// evicts has pods be evicted by the eviction API, by a policy that a test may change.
func evicts(e *Evictor, change ...func(*deadline.Policy)) {
	maintenance := deadline.Policy{
		Name: "maintenance", Mode: deadline.ModeEvict, Taints: []deadline.TaintPattern{{Key: "a", Effect: v1.TaintEffectNoExecute}},
	}
	for _, c := range change {
		c(&maintenance)
	}
	e.rules = policy.NewRules(deadline.Rules{Policies: []deadline.Policy{maintenance}}, nil, nil)
}

func deleteAfter(seconds int64) func(*deadline.Policy) {
	return func(p *deadline.Policy) { p.DeleteAfter = &seconds }
}

// isEviction reports whether a request is an eviction.
func isEviction(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/pods/p/eviction")
}

// TestEvictsByTheEvictionAPI sees what is sent, and that it is two calls besides the read of the node.
func TestEvictsByTheEvictionAPI(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		evicts(e)
		api.Linger = true
		version := api.Pod("p").ResourceVersion
		eviction := policyv1.Eviction{}
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			if isEviction(req) {
				if err := json.Unmarshal([]byte(body(req)), &eviction); err != nil {
					t.Error(err)
				}
			}
			return nil, nil
		}
		wants(t, e, pod, Evicted)
		want := []string{"GET /api/v1/nodes/n", "GET " + podPath, "POST " + podPath + "/eviction"}
		if got := api.Requests(); !slices.Equal(got, want) {
			t.Errorf("requests %q", got)
		}
		if eviction.APIVersion != "policy/v1" || eviction.Kind != "Eviction" || eviction.Namespace != "default" || eviction.Name != "p" {
			t.Errorf("eviction %+v", eviction)
		}
		options := eviction.DeleteOptions
		if p := options.Preconditions; *p.UID != pod.UID || *p.ResourceVersion != version {
			t.Errorf("preconditions %+v", p)
		}
		if options.GracePeriodSeconds != nil {
			t.Errorf("grace period %d", *options.GracePeriodSeconds)
		}
		if a := eviction.Annotations; len(a) != 2 || a["taint-manager.io/requested-by"] != "taint-manager" ||
			a["taint-manager.io/reason"] != "taint a:NoExecute, policy maintenance" {
			t.Errorf("annotations %v", a)
		}
		evicted := api.Pod("p")
		i := slices.IndexFunc(evicted.Status.Conditions, func(c v1.PodCondition) bool { return c.Type == v1.DisruptionTarget })
		if evicted.DeletionTimestamp == nil || i < 0 || evicted.Status.Conditions[i].Reason != "EvictionByEvictionAPI" {
			t.Errorf("pod %+v", evicted)
		}
	})
}

// TestOutcomesOfEvictions is TestOutcomes by the eviction API.
func TestOutcomesOfEvictions(t *testing.T) {
	for name, test := range map[string]struct {
		before func(api *apitest.Server)
		want   Outcome
	}{
		"evicted":     {func(*apitest.Server) {}, Evicted},
		"gone":        {func(api *apitest.Server) { api.RemovePod("p") }, Gone},
		"terminating": {terminate, Terminating},
		"name reused": {func(api *apitest.Server) { api.RemovePod("p"); api.AddPod("p", "n") }, NameReused},
		"not due":     {func(api *apitest.Server) { api.Taint("n") }, NotDue},
		"marked already": {func(api *apitest.Server) {
			setCondition(api, ourCondition(v1.ConditionTrue))
		}, Evicted},
		"blocked":               {func(api *apitest.Server) { budget(api, 1) }, Blocked},
		"allowed":               {func(api *apitest.Server) { budget(api, 0) }, Evicted},
		"terminating namespace": {func(api *apitest.Server) { api.TerminateNamespace("default") }, NamespaceTerminating},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				evicts(e)
				test.before(api)
				wants(t, e, pod, test.want)
				if api.Count("PATCH")+api.Count("DELETE") != 0 {
					t.Errorf("requests %v", api.Requests())
				}
			})
		})
	}
}

// budget covers the pod "p", which gets ready, by a budget that wants so many pods.
func budget(api *apitest.Server, minAvailable int) {
	api.UpdatePod("p", func(pod *v1.Pod) {
		pod.Labels = map[string]string{"app": "web"}
		pod.Status.Conditions = append(pod.Status.Conditions, v1.PodCondition{Type: v1.PodReady, Status: v1.ConditionTrue})
	})
	api.AddBudget("web", "web", minAvailable)
	api.ReconcileBudgets()
}

// TestEvictionIsDecidedOnAFreshRead has all calls but the eviction be slow.
func TestEvictionIsDecidedOnAFreshRead(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		evicts(e)
		var answered time.Time
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			switch {
			case req.URL.Path == nodePath:
				_, err := slow(req, 3*time.Second)
				answered = time.Now()
				return nil, err
			case isEviction(req):
				if age := time.Since(answered); age > maxAge {
					t.Errorf("decided on an answer of %v ago", age)
				}
				return nil, nil
			default:
				return slow(req, 5*time.Second)
			}
		}
		wants(t, e, pod, Evicted)
		if n := api.Count("GET " + nodePath); n != 2 {
			t.Errorf("read the node %d times", n)
		}
	})
}

// TestEvictionWaitsForTheRateLimitBefore has a rate limit of one call in two seconds.
func TestEvictionWaitsForTheRateLimitBefore(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		evicts(e)
		limiter := flowcontrol.NewTokenBucketRateLimiter(0.5, 1)
		e.limiter, e.nodes.admit = limiter, limiter.Wait
		var calls []time.Time
		read := 0
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			calls = append(calls, time.Now())
			switch {
			case req.URL.Path == nodePath:
				read = len(calls) - 1
			case isEviction(req) && time.Since(calls[read]) > maxAge:
				t.Errorf("decided on a read of %v ago", time.Since(calls[read]))
			}
			return nil, nil
		}
		wants(t, e, pod, Evicted)
		if took := calls[len(calls)-1].Sub(calls[0]); took < 4*time.Second || len(calls) != 4 {
			t.Errorf("%d calls in %v", len(calls), took) // node, pod, node, eviction; the last read of the node and the eviction follow each other
		}
	})
}

// TestGracePeriodOfAPolicy has policies and pods with several grace periods.
func TestGracePeriodOfAPolicy(t *testing.T) {
	for _, test := range []struct {
		mode        deadline.Mode
		policy, own int64
		want        *int64
	}{
		{deadline.ModeEvict, 30, 60, ptr.To[int64](30)},
		{deadline.ModeEvict, 30, 31, ptr.To[int64](30)},
		{deadline.ModeEvict, 30, 30, nil},
		{deadline.ModeEvict, 30, 10, nil},
		{deadline.ModeEvict, 30, 0, nil},
		{deadline.ModeEvict, 0, 60, nil},
		{deadline.ModeDelete, 5, 60, ptr.To[int64](5)},
		{deadline.ModeDelete, 60, 30, nil},
		{deadline.ModeDelete, 0, 30, nil},
	} {
		t.Run(fmt.Sprint(test.mode, test.policy, test.own), func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, _ *podcache.Pod) {
				evicts(e, func(p *deadline.Policy) { p.Mode, p.GracePeriod = test.mode, test.policy })
				api.UpdatePod("p", func(pod *v1.Pod) { pod.Spec.TerminationGracePeriodSeconds = ptr.To(test.own) })
				pod := podcache.NewPod(api.Pod("p"), time.Now())
				sent := false
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					options := &metav1.DeleteOptions{}
					switch {
					case isEviction(req):
						eviction := policyv1.Eviction{DeleteOptions: options}
						sent = json.Unmarshal([]byte(body(req)), &eviction) == nil
					case req.Method == http.MethodDelete:
						sent = json.Unmarshal([]byte(body(req)), options) == nil
					default:
						return nil, nil
					}
					if !ptr.Equal(options.GracePeriodSeconds, test.want) {
						t.Errorf("grace period %v", options.GracePeriodSeconds)
					}
					return nil, nil
				}
				result, err := e.Evict(t.Context(), pod)
				if err != nil || !result.Outcome.Accepted() || !sent {
					t.Errorf("result %+v, error %v", result, err)
				}
			})
		})
	}
}

// TestPodThatKeepsChangingIsEvicted has another writer change the pod before each of the first evictions, or before all of them.
func TestPodThatKeepsChangingIsEvicted(t *testing.T) {
	for _, changes := range []int{1, versionedDeletes - 1, versionedDeletes, 1000} {
		t.Run(fmt.Sprint(changes), func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				evicts(e)
				left := changes
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					if isEviction(req) && left > 0 {
						left--
						change(api)
					}
					return nil, nil
				}
				result, err := e.Evict(t.Context(), pod)
				if err != nil || result.Outcome != Evicted || result.Unversioned != (changes >= versionedDeletes) {
					t.Errorf("result %+v, error %v", result, err)
				}
				evictions := min(changes, versionedDeletes) + 1
				if n := api.Count("POST"); n != evictions || api.Count("GET "+podPath) != evictions || api.Count("PATCH")+api.Count("DELETE") != 0 {
					t.Errorf("requests %v", api.Requests())
				}
			})
		})
	}
}

// TestPodThatChangesToStayIsNotEvicted has the pod replaced, or the taint removed, while the eviction is on its way.
func TestPodThatChangesToStayIsNotEvicted(t *testing.T) {
	for name, test := range map[string]struct {
		change func(api *apitest.Server)
		want   Outcome
	}{
		"replaced":     {func(api *apitest.Server) { api.RemovePod("p"); api.AddPod("p", "n") }, NameReused},
		"gone":         {func(api *apitest.Server) { api.RemovePod("p") }, Gone},
		"deleted":      {terminate, Terminating},
		"taint is off": {func(api *apitest.Server) { api.Taint("n"); time.Sleep(2 * time.Second); relabel(api) }, NotDue},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				evicts(e)
				first := true
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					if isEviction(req) && first {
						first = false
						test.change(api)
					}
					return nil, nil
				}
				wants(t, e, pod, test.want)
				if api.Count("POST") != 1 {
					t.Errorf("requests %v", api.Requests())
				}
			})
		})
	}
}

// TestDeletedWhenEvictionsEnd has a budget block the pod until deleteAfter.
func TestDeletedWhenEvictionsEnd(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, _ *podcache.Pod) {
		evicts(e, deleteAfter(60))
		budget(api, 1)
		pod := podcache.NewPod(api.Pod("p"), time.Now())
		result, err := e.Evict(t.Context(), pod)
		if err != nil || result.Outcome != Blocked || result.Budget != "web" || result.Step.Mode != deadline.ModeEvict {
			t.Fatalf("result %+v, error %v", result, err)
		}
		last, changes := result.Decision.NextChange(time.Now())
		if !changes {
			t.Fatalf("decision %+v", result.Decision)
		}
		time.Sleep(time.Until(last) - 10*time.Millisecond)
		wants(t, e, pod, Blocked)
		time.Sleep(time.Until(last))
		wants(t, e, pod, Deleted) // on a read of the node that began since, not on that of the last attempt
		if evicted := api.Count("POST"); evicted != 2 || api.Count("PATCH") != 1 || api.Count("DELETE") != 1 {
			t.Errorf("requests %v", api.Requests())
		}
	})
}

// TestModeChangesDuringAnAttempt has the time come for the DELETE while the eviction is prepared.
func TestModeChangesDuringAnAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		evicts(e, deleteAfter(60))
		first, changed := true, time.Time{}
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == podPath && req.Method == http.MethodGet && first {
				first = false
				_, err := slow(req, time.Minute+5*time.Second)
				changed = time.Now()
				return nil, err
			}
			if req.Method == http.MethodDelete && time.Since(changed) > time.Minute {
				t.Error("deleted late")
			}
			return nil, nil
		}
		wants(t, e, pod, Deleted)
		want := []string{
			"GET " + nodePath, "GET " + podPath, "GET " + nodePath, // it was to be evicted
			"GET " + podPath, "PATCH " + podPath + "/status", "DELETE " + podPath, // it is to be deleted
		}
		if got := api.Requests(); !slices.Equal(got, want) {
			t.Errorf("requests %q", got)
		}
	})
}

// TestLostAnswerOfAnEviction has the answer lost, after the eviction has taken effect or before.
func TestLostAnswerOfAnEviction(t *testing.T) {
	for _, takesEffect := range []bool{true, false} {
		bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
			evicts(e)
			api.Linger = true
			lost := false
			api.Intercept = func(req *http.Request) (*http.Response, error) {
				if !isEviction(req) || lost {
					return nil, nil
				}
				lost = true
				if takesEffect {
					terminate(api)
				}
				return nil, errors.New("connection reset by peer")
			}
			if result, err := e.Evict(t.Context(), pod); err == nil || !result.Unreachable {
				t.Errorf("result %+v, error %v", result, err)
			}
			wants(t, e, pod, map[bool]Outcome{true: Terminating, false: Evicted}[takesEffect])
		})
	}
}

// TestStepAt has the way in which a pod goes change between the read of the node and now.
func TestStepAt(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	evict := deadline.Decision{Evict: true, Deadline: at(10), Mode: deadline.ModeEvict, Then: []deadline.Step{
		{From: at(20), Mode: deadline.ModeDelete}, {From: at(30), Mode: deadline.ModeKeep}, {From: at(40), Mode: deadline.ModeDelete},
		{From: at(50), Mode: deadline.ModeEvict},
	}}
	for _, test := range []struct {
		began, now int
		mode       deadline.Mode
		due        bool
		changed    time.Time
	}{
		{11, 12, deadline.ModeEvict, true, time.Time{}},
		{19, 20, deadline.ModeEvict, true, at(20)}, // the read does not show whether the taint was there when it was to be deleted
		{20, 21, deadline.ModeDelete, true, time.Time{}},
		{29, 30, deadline.ModeKeep, false, at(30)},
		{49, 50, deadline.ModeEvict, true, at(50)},
		{9, 11, deadline.ModeEvict, true, time.Time{}}, // not due when the read began: decide says so
	} {
		step, due := stepAt(evict, at(test.began), at(test.now))
		changed := changedAt(evict, at(test.began), at(test.now))
		if step.Mode != test.mode || due != test.due || !changed.Equal(test.changed) {
			t.Errorf("%d to %d: %s, due %v, changed at %v", test.began, test.now, step.Mode, due, changed)
		}
	}
}
