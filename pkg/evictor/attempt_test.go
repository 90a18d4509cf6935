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
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

const (
	podPath  = "/api/v1/namespaces/default/pods/p"
	nodePath = "/api/v1/nodes/n"
)

func ourCondition(status v1.ConditionStatus) v1.PodCondition {
	return v1.PodCondition{Type: v1.DisruptionTarget, Status: status, Reason: "DeletionByTaintManager"}
}

func setCondition(api *apitest.Server, condition v1.PodCondition) {
	api.UpdatePod("p", func(pod *v1.Pod) { pod.Status.Conditions = append(pod.Status.Conditions, condition) })
}

// slow delays a request, as a webhook may. It returns early if the client gives up.
func slow(req *http.Request, by time.Duration) (*http.Response, error) {
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case <-time.After(by):
		return nil, nil
	}
}

func refuses(code int32) (*http.Response, error) {
	return apitest.Failure(&apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Message: "no"}}), nil
}

// retried makes attempts, a second apart, until one does not fail, and returns how many failed.
func retried(t *testing.T, e *Evictor, pod *podcache.Pod) (result Result, failed int) {
	t.Helper()
	for ; failed < 100; failed++ {
		var err error
		if result, err = e.Evict(t.Context(), pod); err == nil {
			return result, failed
		}
		time.Sleep(time.Second)
	}
	t.Error("never evicted")
	return result, failed
}

// TestCallsWaitForTheServer has each verb take nearly as long as the API server lets it.
func TestCallsWaitForTheServer(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
		for _, takes := range []time.Duration{10 * time.Second, 12 * time.Second, time.Minute} {
			t.Run(fmt.Sprint(method, takes), func(t *testing.T) {
				bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
					api.Intercept = func(req *http.Request) (*http.Response, error) {
						if req.Method != method {
							return nil, nil
						}
						return slow(req, takes)
					}
					wants(t, e, pod, Deleted)
					if api.Count("PATCH") != 1 || api.Count("DELETE") != 1 {
						t.Errorf("requests %v", api.Requests())
					}
				})
			})
		}
	}
}

// TestCallsEndWithTheAttempt has a call hang when the attempt is cancelled, as at a shut-down.
func TestCallsEndWithTheAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.Method != http.MethodPatch {
				return nil, nil
			}
			return slow(req, time.Hour)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if result, err := e.Evict(ctx, pod); err == nil || time.Since(began) > 5*time.Second {
			t.Errorf("result %+v, error %v after %v", result, err, time.Since(began))
		}
	})
}

// TestConditionThatCannotBeWritten has the PATCH fail for ever in several ways: the pod is deleted without the condition, at once or later.
func TestConditionThatCannotBeWritten(t *testing.T) {
	atOnce, afterThree, afterAMinute := 0, 2, 60
	for code, failed := range map[int32]int{
		400: atOnce, 403: atOnce, 404: atOnce, 413: atOnce, 418: atOnce, 422: atOnce,
		500: afterThree, 502: afterThree, 504: afterThree,
		0: afterAMinute, 401: afterAMinute, 408: afterAMinute, 409: afterAMinute, 429: afterAMinute, 503: afterAMinute,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					switch {
					case req.Method != http.MethodPatch:
						return nil, nil
					case code == 0:
						return nil, errors.New("no answer")
					default:
						return refuses(code)
					}
				}
				result, n := retried(t, e, pod)
				if n != failed || result.Outcome != Deleted || !result.ConditionRefused || api.Pod("p") != nil {
					t.Errorf("result %+v after %d failures, want %d", result, n, failed)
				}
				if api.Count("PATCH") != failed+1 || api.Count("DELETE") != 1 {
					t.Errorf("%d PATCH, %d DELETE", api.Count("PATCH"), api.Count("DELETE"))
				}
				if len(e.refusals.pods) != 0 {
					t.Errorf("remembers %d pods", len(e.refusals.pods))
				}
			})
		})
	}
}

// TestConditionThatIsWrittenLate has the PATCH fail for a while: the pod has the condition when it is deleted.
func TestConditionThatIsWrittenLate(t *testing.T) {
	for name, answer := range map[string]func(n int) int32{
		"429 for 59 s":  func(n int) int32 { return map[bool]int32{true: 429, false: 0}[n < 59] },
		"500 twice":     func(n int) int32 { return map[bool]int32{true: 500, false: 0}[n < 2] },
		"409 and 500":   func(n int) int32 { return []int32{409, 500, 409, 500, 0}[n] },
		"one bad start": func(n int) int32 { return []int32{401, 503, 408, 429, 0}[n] },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				patches := 0
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					if req.Method != http.MethodPatch {
						return nil, nil
					}
					code := answer(patches)
					patches++
					if code == 0 {
						return nil, nil
					}
					return refuses(code)
				}
				if result, _ := retried(t, e, pod); result.Outcome != Deleted || result.ConditionRefused {
					t.Errorf("result %+v", result)
				}
			})
		})
	}
}

// TestOutageCostsNoCondition has the API server away for longer than our patience, and overloaded when it is back.
func TestOutageCostsNoCondition(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		began := time.Now()
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			switch since := time.Since(began); {
			case since < 5*time.Minute && (req.Method == http.MethodPatch || req.URL.Path == podPath):
				return nil, errors.New("connection refused")
			case since < 5*time.Minute+30*time.Second && req.Method == http.MethodPatch:
				return refuses(429)
			}
			return nil, nil
		}
		for api.Pod("p") != nil && time.Since(began) < time.Hour {
			result, err := e.Evict(t.Context(), pod)
			if err == nil && result.ConditionRefused {
				t.Errorf("deleted without the condition %v after the server came back", time.Since(began)-5*time.Minute)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// TestRefusalThatIsAboutAnotherPod has the name reused while the condition cannot be written.
func TestRefusalThatIsAboutAnotherPod(t *testing.T) {
	for _, code := range []int32{404, 422, 500} {
		bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
			api.RemovePod("p")
			api.AddPod("p", "n")
			api.Intercept = func(req *http.Request) (*http.Response, error) {
				if req.Method != http.MethodPatch {
					return nil, nil
				}
				return refuses(code)
			}
			if result, _ := retried(t, e, pod); result.Outcome != NameReused || api.Count("DELETE") != 0 {
				t.Errorf("%d: result %+v", code, result)
			}
		})
	}
}

func TestRefusalsAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, _ *apitest.Server, e *Evictor, _ *podcache.Pod) {
		for i := range 100 {
			e.refusals.add(types.UID(fmt.Sprint("gone by itself ", i)), apierrors.NewTooManyRequests("busy", 1))
			time.Sleep(time.Minute)
			if n := len(e.refusals.pods); n > 13 {
				t.Fatalf("remembers %d pods", n)
			}
		}
	})
}

// TestSlowReadsOfTheNode has the read of the node take as long as an API server may take: the pod is deleted late, on a fresh answer.
func TestSlowReadsOfTheNode(t *testing.T) {
	for _, takes := range []time.Duration{900 * time.Millisecond, time.Second, 5 * time.Second, time.Minute} {
		t.Run(takes.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				var lock sync.Mutex
				var answered time.Time
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					switch {
					case req.URL.Path == nodePath:
						_, err := slow(req, takes)
						lock.Lock()
						defer lock.Unlock()
						answered = time.Now()
						return nil, err
					case req.Method == http.MethodPatch:
						return slow(req, 2*time.Second)
					case req.Method == http.MethodDelete && time.Since(answered) > time.Second:
						t.Errorf("decided on an answer of %v ago", time.Since(answered))
					}
					return nil, nil
				}
				result, err := e.Evict(t.Context(), pod)
				if err != nil || result.Outcome != Deleted || result.NodeRead != takes || result.SlowNodeRead() != (takes >= time.Second) || result.Overloaded != result.SlowNodeRead() {
					t.Errorf("result %+v, error %v", result, err)
				}
			})
		})
	}
}

// TestSlowReadIsShared has the pods of a node fall due one after another while its reads take long.
func TestSlowReadIsShared(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, _ *podcache.Pod) {
		const takes = 5 * time.Second
		api.Intercept = func(req *http.Request) (*http.Response, error) { return slow(req, takes) }
		var lock sync.Mutex
		var readers sync.WaitGroup
		slowest := 0
		for i := range 100 {
			readers.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond) // over 10 s
				due := time.Now()
				reading, took, err := e.nodes.read(t.Context(), "n", due)
				if err != nil || reading.Began.Before(due) || time.Since(due) > 2*takes {
					t.Errorf("reading %+v, error %v", reading, err)
				}
				lock.Lock()
				defer lock.Unlock()
				if took > 0 {
					slowest++
				}
			})
		}
		readers.Wait()
		if n := api.Count("GET"); n > 4 || slowest != n {
			t.Errorf("%d reads, of which %d counted as slow", n, slowest)
		}
	})
}

func TestFailedReadEvictsNoPod(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.URL.Path != nodePath {
				return nil, nil
			}
			if _, err := slow(req, time.Minute); err != nil {
				return nil, err
			}
			return refuses(504)
		}
		result, err := e.Evict(t.Context(), pod)
		if err == nil || !result.SlowNodeRead() || !result.Overloaded || api.Count("PATCH")+api.Count("DELETE") > 0 {
			t.Errorf("result %+v, error %v", result, err)
		}
	})
}

// TestPodThatKeepsChanging has another writer change the pod before each of the first DELETEs, or before all of them.
func TestPodThatKeepsChanging(t *testing.T) {
	const always = 1000
	for _, changes := range []int{1, versionedDeletes - 1, versionedDeletes, always} {
		t.Run(fmt.Sprint(changes), func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				left := changes
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					if req.Method == http.MethodDelete && left > 0 {
						left--
						change(api)
					}
					return nil, nil
				}
				result, err := e.Evict(t.Context(), pod)
				if err != nil || result.Outcome != Deleted || result.Unversioned != (changes >= versionedDeletes) {
					t.Errorf("result %+v, error %v", result, err)
				}
				if n := api.Count("DELETE"); n != min(changes, versionedDeletes)+1 {
					t.Errorf("%d DELETEs", n)
				}
			})
		})
	}
}

func change(api *apitest.Server) {
	api.UpdatePod("p", func(pod *v1.Pod) { pod.Labels = map[string]string{"at": time.Now().String()} })
}

// TestPodThatKeepsChangingOfASlowServer has the reads of pod and node take times that differ by more than an answer may be old.
func TestPodThatKeepsChangingOfASlowServer(t *testing.T) {
	for _, takes := range [][2]time.Duration{{0, 0}, {3 * time.Second, 0}, {0, 3 * time.Second}, {20 * time.Second, 3 * time.Second}, {2 * time.Second, time.Minute}} {
		t.Run(fmt.Sprint(takes), func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				var lock sync.Mutex
				answered := map[string]time.Time{}
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					if req.Method == http.MethodDelete {
						if !strings.Contains(body(req), "resourceVersion") {
							for path, at := range answered {
								if time.Since(at) > maxAge {
									t.Errorf("%s was read %v before", path, time.Since(at))
								}
							}
						}
						change(api)
						return nil, nil
					}
					if req.Method == http.MethodGet {
						_, err := slow(req, takes[map[string]int{podPath: 0, nodePath: 1}[req.URL.Path]])
						lock.Lock()
						defer lock.Unlock()
						answered[req.URL.Path] = time.Now()
						return nil, err
					}
					return nil, nil
				}
				result, err := e.Evict(t.Context(), pod)
				if err != nil || result.Outcome != Deleted || !result.Unversioned {
					t.Errorf("result %+v, error %v", result, err)
				}
			})
		})
	}
}

// body returns the body of a request, which can be read again.
func body(req *http.Request) string {
	data, err := io.ReadAll(req.Body)
	if err != nil {
		return err.Error()
	}
	req.Body = io.NopCloser(bytes.NewReader(data))
	return string(data)
}

// TestPodThatKeepsChangingToStay has the pod replaced, or its taint removed, after the last DELETE of one version.
func TestPodThatKeepsChangingToStay(t *testing.T) {
	for name, test := range map[string]struct {
		change func(api *apitest.Server)
		want   Outcome
	}{
		"replaced":     {func(api *apitest.Server) { api.RemovePod("p"); api.AddPod("p", "n") }, NameReused},
		"gone":         {func(api *apitest.Server) { api.RemovePod("p") }, Gone},
		"deleted":      {terminate, Terminating},
		"taint is off": {func(api *apitest.Server) { api.Taint("n"); time.Sleep(2 * time.Second); change(api) }, NotDue},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				tries := 0
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					if req.Method == http.MethodDelete {
						change(api)
						if tries++; tries == versionedDeletes {
							test.change(api)
						}
					}
					return nil, nil
				}
				wants(t, e, pod, test.want)
				if tries != versionedDeletes {
					t.Errorf("%d DELETEs", tries)
				}
			})
		})
	}
}

// TestDisruptionTarget has the condition in the cache and live, in several ways.
func TestDisruptionTarget(t *testing.T) {
	foreign := v1.PodCondition{Type: v1.DisruptionTarget, Status: v1.ConditionTrue, Reason: "PreemptionByScheduler"}
	for name, test := range map[string]struct {
		cached, live v1.PodCondition
		written      bool
	}{
		"ours":                     {ourCondition(v1.ConditionTrue), ourCondition(v1.ConditionTrue), false},
		"another reason":           {foreign, foreign, true},
		"taken back meanwhile":     {ourCondition(v1.ConditionTrue), ourCondition(v1.ConditionFalse), true},
		"another reason meanwhile": {ourCondition(v1.ConditionTrue), foreign, true},
		"none any more":            {ourCondition(v1.ConditionTrue), v1.PodCondition{}, true},
		"another, then none":       {foreign, v1.PodCondition{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, _ *podcache.Pod) {
				setCondition(api, test.cached)
				pod := podcache.NewPod(api.Pod("p"), time.Now())
				api.UpdatePod("p", func(pod *v1.Pod) {
					pod.Status.Conditions[len(pod.Status.Conditions)-1] = test.live
				})
				written := false
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					if req.Method == http.MethodPatch {
						var patch conditionPatch
						err := json.Unmarshal([]byte(body(req)), &patch)
						c := patch.Status.Conditions[0]
						written = err == nil && c.Status == v1.ConditionTrue && c.Reason == "DeletionByTaintManager" && !c.LastTransitionTime.IsZero()
					}
					return nil, nil
				}
				wants(t, e, pod, Deleted)
				if written != test.written {
					t.Errorf("written: %v", written)
				}
			})
		})
	}
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		pod.DisruptionTarget = true
		api.RemovePod("p")
		api.AddPod("p", "n")
		wants(t, e, pod, NameReused)
	})
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		pod.DisruptionTarget = true // by the cache
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.URL.Path != podPath {
				return nil, nil
			}
			defer api.Taint("n") // the taint is off when the pod has been read
			return slow(req, 5*time.Second)
		}
		if wants(t, e, pod, NotDue); api.Count("PATCH") != 0 {
			t.Error("marked a pod that is not due")
		}
	})
}
