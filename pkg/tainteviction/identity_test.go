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
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

func TestAnotherPodOfTheNameIsNotEvicted(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("p", "n", tolerating("a", 30))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(20)
		f.api.RemovePod("p")
		f.api.AddPod("p", "n", tolerating("a", 30))
		f.wait(29)
		f.exists(true, "p")
		f.wait(2.1)
		f.exists(false, "p")
	})
}

func TestNameReusedBehindTheCache(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("p", "n", tolerating("a", 30))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(20)
		f.api.Lag("pods", 60*time.Second)
		f.api.RemovePod("p")
		uid := f.api.AddPod("p", "elsewhere")
		f.wait(30)
		if pod := f.api.Pod("p"); pod == nil || pod.UID != uid {
			t.Errorf("evicted another pod of the name")
		}
		if n := f.api.Count("DELETE"); n != 0 {
			t.Errorf("%d deletes", n)
		}
	})
}

func TestStaleNodeCacheEvictsNoPod(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(10)
		f.api.Lag("nodes", 5*time.Second)
		f.api.Taint("n")
		f.api.AddPod("p", "n")
		f.wait(60)
		f.exists(true, "p")
		if n := f.api.Count("DELETE"); n != 0 {
			t.Errorf("%d deletes", n)
		}
		if n := f.api.Count("GET /api/v1/nodes/n"); n == 0 || n > 6 {
			t.Errorf("%d reads of the node in 5 s", n)
		}
	})
}

// TestAReadProvesNothingOfLater has the node read for one pod while it is tainted, the taint go, and another pod fall due, or
// come, while that read is fresh and the caches are behind.
func TestAReadProvesNothingOfLater(t *testing.T) {
	for name, then := range map[string]func(f *fixture){
		"due later": func(*fixture) {},
		"bound later": func(f *fixture) {
			f.api.AddPod("bound", "n")
		},
		"tolerates no more": func(f *fixture) {
			f.api.UpdatePod("tolerant", func(pod *v1.Pod) { pod.Spec.Tolerations = nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				f.api.AddPod("first", "n", tolerating("a", 10))
				f.api.AddPod("second", "n", tolerating("a", 1000))
				f.api.AddPod("tolerant", "n", toleratingForever("a"))
				f.start()
				f.api.Taint("n", taintOf("a"))
				f.wait(1.5)
				f.api.Lag("nodes", 5*time.Second)
				f.api.UpdatePod("first", func(pod *v1.Pod) { pod.Spec.Tolerations = nil }) // has the node read at 1.5
				if name == "due later" {
					f.api.UpdatePod("second", func(pod *v1.Pod) { pod.Spec.Tolerations[0].TolerationSeconds = ptr.To[int64](2) })
				}
				f.wait(0.1)
				f.exists(false, "first")
				f.api.Taint("n")
				f.wait(0.1)
				then(f)
				f.wait(30)
				f.exists(true, "second", "tolerant")
				if name == "bound later" {
					f.exists(true, "bound")
				}
			})
		})
	}
}

func TestNotFoundThatIsNotOfThePodLosesNothing(t *testing.T) {
	bubble(t, func(f *fixture) {
		var broken atomic.Bool
		broken.Store(true)
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if broken.Load() && req.Method == http.MethodDelete {
				return apitest.Failure(notOfThePod()), nil
			}
			return nil, nil
		}
		f.api.AddPod("p", "n")
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(60)
		f.exists(true, "p")
		broken.Store(false)
		f.wait(31)
		f.exists(false, "p")
	})
}

func notOfThePod() *apierrors.StatusError {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: 404, Message: "a proxy"}}
}
