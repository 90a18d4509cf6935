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
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// TestWatchOfPodsBehindAnEviction has events of a pod from before its DELETE arrive after it: they cause no calls.
func TestWatchOfPodsBehindAnEviction(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.Linger = true
		f.api.AddPod("p", "n", tolerating("a", 10))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(9)
		f.api.Lag("pods", 2*time.Second)
		for range 40 { // of which the last reach us after the eviction
			f.api.UpdatePod("p", func(pod *v1.Pod) { pod.Status.Message += "." })
			f.wait(0.05)
		}
		f.wait(30)
		for call, want := range map[string]int{"PATCH": 1, "DELETE": 1, "GET /api/v1/namespaces/default/pods/p": 0} {
			if n := f.api.Count(call); n != want {
				t.Errorf("%s: %d calls, not %d", call, n, want)
			}
		}
		f.counts("taint_manager_scheduled_evictions", 0)
	})
}

// TestRefusedOnceAfterAnOutage has an API server that has just started refuse one call. The pod does not wait for long because of that,
// though many attempts have failed before.
func TestRefusedOnceAfterAnOutage(t *testing.T) {
	bubble(t, func(f *fixture) {
		var away, starting atomic.Bool
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			switch {
			case strings.HasSuffix(req.URL.Path, "/pods") || strings.HasSuffix(req.URL.Path, "/nodes"): // lists and watches
				return nil, nil
			case away.Load():
				return nil, errors.New("connection refused")
			case starting.CompareAndSwap(true, false):
				return apitest.Failure(apierrors.NewServiceUnavailable("starting")), nil
			default:
				return nil, nil
			}
		}
		f.api.AddPod("p", "n")
		f.start()
		away.Store(true)
		f.api.Taint("n", taintOf("a"))
		f.wait(300)
		f.exists(true, "p")
		starting.Store(true)
		away.Store(false)
		f.wait(6)
		f.exists(false, "p")
	})
}

func TestRetriesForAsLongAsItTakes(t *testing.T) {
	for name, answer := range map[string]func() (*http.Response, error){
		"connection refused": func() (*http.Response, error) { return nil, errors.New("connection refused") },
		"internal error": func() (*http.Response, error) {
			return apitest.Failure(apierrors.NewInternalError(errors.New("x"))), nil
		},
		"too many requests": func() (*http.Response, error) { return apitest.Failure(apierrors.NewTooManyRequests("x", 1)), nil },
		"denied": func() (*http.Response, error) {
			return apitest.Failure(apierrors.NewForbidden(v1.Resource("pods"), "p", errors.New("x"))), nil
		},
	} {
		for _, verb := range []string{http.MethodGet, http.MethodDelete} { // a condition that cannot be written does not save the pod
			t.Run(name+" "+verb, func(t *testing.T) {
				bubble(t, func(f *fixture) {
					var broken atomic.Bool
					f.api.Intercept = func(req *http.Request) (*http.Response, error) {
						if broken.Load() && req.Method == verb {
							return answer()
						}
						return nil, nil
					}
					f.api.AddPod("p", "n")
					f.start()
					broken.Store(true)
					f.api.Taint("n", taintOf("a"))
					f.wait(600)
					f.exists(true, "p")
					// To be turned away costs nothing, and is soon over.
					requests, patience := 130, 31.0
					if name == "connection refused" {
						requests, patience = 3*600, 3
					}
					if n := len(f.api.Requests()); n > requests {
						t.Errorf("%d requests in 10 minutes", n)
					}
					broken.Store(false)
					f.wait(patience)
					f.exists(false, "p")
					if n := len(f.api.Events("Pod", "p")); n != 1 {
						t.Errorf("%d Events", n)
					}
				})
			})
		}
	}
}

func TestConditionThatMayNotBeWrittenDoesNotSave(t *testing.T) {
	for name, test := range map[string]struct {
		failure         *apierrors.StatusError
		after, atLatest float64
	}{
		"forbidden":         {apierrors.NewForbidden(v1.Resource("pods"), "p", errors.New("policy")), 0, 1},
		"invalid":           {apierrors.NewInvalid(v1.SchemeGroupVersion.WithKind("Pod").GroupKind(), "p", nil), 0, 1},
		"not found":         {notOfThePod(), 0, 1},
		"webhook is down":   {apierrors.NewInternalError(errors.New("failed calling webhook")), 0, 1},
		"too many requests": {apierrors.NewTooManyRequests("x", 1), 59, 100},
		"unavailable":       {apierrors.NewServiceUnavailable("x"), 59, 100},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				f.api.Intercept = func(req *http.Request) (*http.Response, error) {
					if req.Method == http.MethodPatch {
						return apitest.Failure(test.failure), nil
					}
					return nil, nil
				}
				f.api.AddPod("p", "n")
				f.start()
				f.api.Taint("n", taintOf("a"))
				if test.after > 0 {
					f.wait(test.after)
					f.exists(true, "p")
				}
				f.wait(test.atLatest - test.after)
				f.exists(false, "p")
				f.counts("taint_manager_disruption_condition_rejections_total", 1)
			})
		})
	}
}

func TestSlowReadsOfANodeAreCounted(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/nodes/n") {
				time.Sleep(1500 * time.Millisecond)
			}
			return nil, nil
		}
		f.api.AddPod("p", "n")
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(2)
		f.exists(false, "p")
		f.counts("taint_manager_slow_node_reads_total", 1)
	})
}

func TestPodThatAlwaysChangesIsDeletedInAnyVersion(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodDelete {
				f.api.UpdatePod("p", func(pod *v1.Pod) { pod.Labels = map[string]string{"at": time.Now().String()} })
			}
			return nil, nil
		}
		f.api.AddPod("p", "n")
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(1)
		f.exists(false, "p")
		f.counts("taint_manager_unversioned_deletions_total", 1)
	})
}

func TestBlockedNamespaceDelaysNoOther(t *testing.T) {
	bubble(t, func(f *fixture) {
		blocked := func(pod *v1.Pod) { pod.Namespace = "blocked" }
		for i := range 50 {
			f.api.AddPod(fmt.Sprint("b", i), "n", blocked)
		}
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if strings.Contains(req.URL.Path, "/namespaces/blocked/pods") {
				<-req.Context().Done() // a webhook that hangs
				return nil, req.Context().Err()
			}
			return nil, nil
		}
		f.api.AddNode("m")
		for i := range 50 {
			f.api.AddPod(fmt.Sprint("p", i), "m")
		}
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(1)
		f.api.Taint("m", taintOf("a"))
		f.wait(1)
		for i := range 50 {
			f.exists(false, fmt.Sprint("p", i))
		}
	})
}

func TestEventsOfATerminatingNamespaceAreDropped(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.Method != http.MethodPost {
				return nil, nil
			}
			err := apierrors.NewForbidden(v1.Resource("events"), "", errors.New("namespace is being terminated"))
			err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: v1.NamespaceTerminatingCause})
			return apitest.Failure(err), nil
		}
		f.api.AddPod("p", "n")
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(100)
		f.exists(false, "p")
		if n := f.api.Count("POST"); n != 2 { // on the node and on the pod, once each
			t.Errorf("%d tries", n)
		}
		f.counts("taint_manager_events_total", 2)
	})
}
