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
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
	"github.com/taint-manager/taint-manager/pkg/taintstart"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// bubble runs a test in virtual time, with the pod "p" due on the tainted node "n".
func bubble(t *testing.T, test func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		api := apitest.New()
		client, err := api.Client()
		if err != nil {
			t.Fatal(err)
		}
		api.AddNode("n", v1.Taint{Key: "a", Effect: v1.TaintEffectNoExecute})
		api.AddPod("p", "n")
		pod := podcache.NewPod(api.Pod("p"), time.Now())
		queue := evictionqueue.New(clock.RealClock{}, 1, &gauge{})
		queue.Set(evictionqueue.Pod{UID: pod.UID, Namespace: pod.Namespace(), Name: pod.Name, Node: "n"}, time.Now())
		server := serverclock.New(clock.RealClock{})
		starts := taintstart.NewTracker(server)
		nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		starts.Observe("n", taintstart.Observe(&nodes.Items[0], time.Now(), 1))
		e := New(Config{
			Client: client.CoreV1(), Limiter: flowcontrol.NewFakeAlwaysRateLimiter(), Clock: clock.RealClock{}, ServerClock: server,
			Starts: starts, Schedule: queue,
		})
		test(t, api, e, pod)
	})
}

func wants(t *testing.T, e *Evictor, pod *podcache.Pod, want Outcome) {
	t.Helper()
	result, err := e.Evict(t.Context(), pod)
	if err != nil || result.Outcome != want {
		t.Errorf("outcome %q, error %v, want %s", result.Outcome, err, want)
	}
}

func TestOutcomes(t *testing.T) {
	for name, test := range map[string]struct {
		before func(api *apitest.Server)
		want   Outcome
	}{
		"deleted":     {func(*apitest.Server) {}, Deleted},
		"gone":        {func(api *apitest.Server) { api.RemovePod("p") }, Gone},
		"terminating": {func(api *apitest.Server) { terminate(api) }, Terminating},
		"name reused": {func(api *apitest.Server) { api.RemovePod("p"); api.AddPod("p", "n") }, NameReused},
		"not due":     {func(api *apitest.Server) { api.Taint("n") }, NotDue},
		"no node":     {func(api *apitest.Server) { api.RemoveNode("n") }, NotDue},
		"marked already": {func(api *apitest.Server) {
			api.UpdatePod("p", func(pod *v1.Pod) {
				pod.Status.Conditions = append(pod.Status.Conditions, ourCondition(v1.ConditionTrue))
			})
		}, Deleted},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				test.before(api)
				wants(t, e, pod, test.want)
				if deleted := api.Count("DELETE") > 0; deleted != (test.want == Deleted) {
					t.Errorf("sent a DELETE: %v", deleted)
				}
			})
		})
	}
}

func terminate(api *apitest.Server) {
	api.UpdatePod("p", func(pod *v1.Pod) {
		now := pod.CreationTimestamp
		pod.DeletionTimestamp = &now
	})
}

// TestPodThatChangesToStay has the pod replaced, or the taint removed, between the PATCH and the DELETE.
func TestPodThatChangesToStay(t *testing.T) {
	for name, test := range map[string]struct {
		change func(api *apitest.Server)
		want   Outcome
	}{
		"replaced":     {func(api *apitest.Server) { api.RemovePod("p"); api.AddPod("p", "n") }, NameReused},
		"gone":         {func(api *apitest.Server) { api.RemovePod("p") }, Gone},
		"deleted":      {func(api *apitest.Server) { terminate(api) }, Terminating},
		"taint is off": {func(api *apitest.Server) { api.Taint("n"); time.Sleep(2 * time.Second); relabel(api) }, NotDue},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				first := true
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					if req.Method == http.MethodDelete && first {
						first = false
						test.change(api)
					}
					return nil, nil
				}
				wants(t, e, pod, test.want)
			})
		})
	}
}

func relabel(api *apitest.Server) {
	api.UpdatePod("p", func(pod *v1.Pod) { pod.Labels = map[string]string{"a": "b"} })
}

func TestEveryDeleteIsDecidedOnAFreshRead(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		var read time.Time
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			switch {
			case strings.HasSuffix(req.URL.Path, "/nodes/n"):
				read = time.Now()
			case req.Method == http.MethodPatch:
				time.Sleep(5 * time.Second) // slow, so that the read gets old
			case req.Method == http.MethodDelete:
				if age := time.Since(read); age > time.Second {
					t.Errorf("decided on a read of %v ago", age)
				}
			}
			return nil, nil
		}
		wants(t, e, pod, Deleted)
		if n := api.Count("GET /api/v1/nodes/n"); n != 2 {
			t.Errorf("read the node %d times", n)
		}
	})
}

func TestReadsOfANodeAreSharedAndBounded(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, _ *podcache.Pod) {
		var lock sync.Mutex
		var reads []time.Time
		api.Intercept = func(*http.Request) (*http.Response, error) {
			lock.Lock()
			reads = append(reads, time.Now())
			lock.Unlock()
			time.Sleep(100 * time.Millisecond)
			return nil, nil
		}
		var readers sync.WaitGroup
		for i := range 200 {
			readers.Go(func() {
				time.Sleep(time.Duration(i) * 50 * time.Millisecond) // over 10 s
				reading, _, err := e.nodes.read(t.Context(), "n", time.Time{})
				if err != nil || !reading.Exists || time.Since(reading.Answered) >= freshFor {
					t.Errorf("reading %+v, error %v", reading, err)
				}
			})
		}
		readers.Wait()
		for i := 1; i < len(reads); i++ {
			if gap := reads[i].Sub(reads[i-1]); gap < freshFor {
				t.Errorf("two reads within %v", gap)
			}
		}
		if len(reads) < 9 || len(reads) > 11 {
			t.Errorf("%d reads in 10 s", len(reads))
		}
	})
}

// TestReadsForPodsThatFallDueOneAfterAnother has pods wait for less than a second each, while the burst of reads lasts.
func TestReadsForPodsThatFallDueOneAfterAnother(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, _ *podcache.Pod) {
		waits := func(howLong time.Duration) (worst time.Duration) {
			var lock sync.Mutex
			var readers sync.WaitGroup
			for i := range int(howLong / (50 * time.Millisecond)) {
				readers.Go(func() {
					time.Sleep(time.Duration(i) * 50 * time.Millisecond)
					due := time.Now()
					reading, _, err := e.nodes.read(t.Context(), "n", due)
					if err != nil || reading.Began.Before(due) {
						t.Errorf("reading began %v before, error %v", due.Sub(reading.Began), err)
					}
					lock.Lock()
					defer lock.Unlock()
					worst = max(worst, time.Since(due))
				})
			}
			readers.Wait()
			return worst
		}
		if worst := waits(15 * time.Second); worst > minReadInterval {
			t.Errorf("waited for %v", worst)
		}
		if worst := waits(5 * time.Minute); worst > readInterval {
			t.Errorf("waited for %v after the burst of reads", worst)
		}
		if n := api.Count("GET /api/v1/nodes/n"); n > 15+5*60+readBurst+1 {
			t.Errorf("read the node %d times in 5 minutes and 15 s", n)
		}
	})
}

func TestReadsAreNotBehindTheCaches(t *testing.T) {
	bubble(t, func(t *testing.T, _ *apitest.Server, e *Evictor, _ *podcache.Pod) {
		if _, _, err := e.nodes.read(t.Context(), "n", time.Time{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		known := time.Now()
		reading, _, err := e.nodes.read(t.Context(), "n", known)
		if err != nil || reading.Began.Before(known) {
			t.Errorf("reading began %v before, error %v", known.Sub(reading.Began), err)
		}
	})
}

func TestOldReadsAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, _ *apitest.Server, e *Evictor, _ *podcache.Pod) {
		for _, name := range []string{"a", "b", "c"} {
			if reading, _, err := e.nodes.read(t.Context(), name, time.Time{}); err != nil || reading.Exists {
				t.Errorf("reading %+v, error %v", reading, err)
			}
			time.Sleep(time.Minute)
		}
		if n := len(e.nodes.nodes); n != 1 {
			t.Errorf("remembers %d nodes", n)
		}
	})
}

func TestFailuresAreErrors(t *testing.T) {
	for _, verb := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
		bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
			tries := 0
			api.Intercept = func(req *http.Request) (*http.Response, error) {
				if req.Method != verb {
					return nil, nil
				}
				tries++
				failure := apitest.Failure(apierrors.NewTooManyRequests("busy", 5))
				failure.Header.Set("Retry-After", "5")
				return failure, nil
			}
			result, err := e.Evict(t.Context(), pod)
			if err == nil || !apierrors.IsTooManyRequests(err) {
				t.Errorf("%s: result %+v, error %v", verb, result, err)
			}
			if tries != 1 {
				t.Errorf("%s: the client tried %d times by itself", verb, tries)
			}
		})
	}
}

func TestRateLimitIsWaitedForBeforeTheDecision(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		slow := flowcontrol.NewTokenBucketRateLimiter(0.5, 1) // a request each 2 s
		e.limiter, e.nodes.admit = slow, slow.Wait
		var read time.Time
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/nodes/n") {
				read = time.Now()
			}
			if req.Method == http.MethodDelete && time.Since(read) > time.Second {
				t.Errorf("decided on a read of %v ago", time.Since(read))
			}
			return nil, nil
		}
		wants(t, e, pod, Deleted)
	})
	bubble(t, func(t *testing.T, _ *apitest.Server, e *Evictor, pod *podcache.Pod) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		stuck := flowcontrol.NewTokenBucketRateLimiter(0.001, 1)
		e.limiter, e.nodes.admit = stuck, stuck.Wait
		if _, err := e.Evict(ctx, pod); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}
