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
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestRestartForgetsNoCountdown(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("p", "n", tolerating("a", 60))
		f.start()
		f.wait(0.5)
		f.api.Taint("n", taintOf("a"))
		tainted := time.Now()
		f.wait(40)
		f.stop()
		f.wait(10)
		f.start()
		f.wait(time.Until(tainted.Add(60*time.Second)).Seconds() - 0.01)
		f.exists(true, "p")
		f.wait(1.02) // the API tells the time of the taint to the second, and the end of that second counts
		f.exists(false, "p")
	})
}

func TestRelistKeepsWhatIsProven(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("p", "n", tolerating("a", 60))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(20)
		f.api.CutWatches("nodes", true)
		f.wait(39.9)
		f.exists(true, "p")
		f.wait(1.2)
		f.exists(false, "p")
	})
}

func TestDeletionsDuringAGapAreNoticed(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("gone", "n", tolerating("a", 60))
		f.api.AddPod("again", "n", tolerating("a", 60))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(20)
		f.api.CutWatches("pods", true)
		f.api.RemovePod("gone")
		f.api.RemovePod("again")
		f.api.AddPod("again", "n", tolerating("a", 60))
		f.wait(10)
		if n := f.c.taintEvictionQueue.Len(); n != 1 {
			t.Errorf("%d pods are scheduled", n)
		}
		f.wait(45)
		f.exists(true, "again")
		f.wait(10)
		f.exists(false, "again")
	})
}

func TestDeletedNodeMakesNoPodDue(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("p", "n", tolerating("a", 60))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(20)
		f.api.RemoveNode("n")
		f.wait(100)
		f.exists(true, "p")
	})
}

func TestNotReadyPeriodHasOneStart(t *testing.T) {
	stamped := func(key string) v1.Taint {
		taint := taintOf(key)
		taint.TimeAdded = ptr.To(metav1.Now().Rfc3339Copy())
		return taint
	}
	tolerant := func(pod *v1.Pod) {
		tolerating(v1.TaintNodeNotReady, 60)(pod)
		tolerating(v1.TaintNodeUnreachable, 60)(pod)
	}
	bubble(t, func(f *fixture) {
		f.api.AddPod("p", "n", tolerant)
		f.start()
		notReady := stamped(v1.TaintNodeNotReady)
		f.api.Taint("n", notReady)
		f.wait(20)
		f.api.Taint("n", notReady, stamped(v1.TaintNodeUnreachable))
		f.api.Taint("n", stamped(v1.TaintNodeUnreachable))
		f.wait(20)
		f.api.Taint("n", stamped(v1.TaintNodeUnreachable)) // stamped again, by a controller that restarted
		f.wait(19.9)
		f.exists(true, "p")
		f.wait(0.2)
		f.exists(false, "p")
	})
}

func TestFollowerTakesOverWithItsDeadlines(t *testing.T) {
	bubble(t, func(f *fixture) {
		for i := range 5 {
			f.api.AddPod(fmt.Sprint("p", i), "n", tolerating("a", int64(i)))
		}
		f.startFollower()
		f.api.Taint("n", taintOf("a"))
		f.wait(3.5)
		if n := f.api.Pods(); n != 5 {
			t.Fatalf("a follower evicted: %d pods are left", n)
		}
		ctx, cancel := context.WithCancel(f.context())
		ended := make(chan struct{})
		go func() { defer close(ended); f.c.Lead(ctx) }()
		f.wait(0.15)
		if n := f.api.Pods(); n != 1 {
			t.Errorf("%d pods are left at once", n)
		}
		cancel()
		<-ended
		f.wait(10)
		if n := f.api.Pods(); n != 1 {
			t.Errorf("evicts after it stopped leading: %d pods are left", n)
		}
	})
}

func TestStoppingFinishesWhatIsInFlight(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		bubble(t, func(f *fixture) {
			f.api.Intercept = func(req *http.Request) (*http.Response, error) {
				if req.Method == http.MethodPatch {
					if hangs {
						<-req.Context().Done()
						return nil, req.Context().Err()
					}
					time.Sleep(3 * time.Second)
				}
				return nil, nil
			}
			for i := range 10 {
				f.api.AddPod(fmt.Sprint("p", i), "n")
			}
			f.start()
			f.api.Taint("n", taintOf("a"))
			f.wait(1)
			stopped := time.Now()
			f.stop()
			f.stop = nil
			if took := time.Since(stopped); took > drainTimeout+time.Second {
				t.Errorf("stopping took %v", took)
			}
			want := 8 // half of the limit of 4, for one namespace
			if hangs {
				want = 10
			}
			if n := f.api.Pods(); n != want {
				t.Errorf("%d pods are left, want %d", n, want)
			}
		})
	}
}
