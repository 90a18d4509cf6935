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

package events

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
	"k8s.io/utils/lru"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

func node(name string) v1.ObjectReference {
	return v1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: name, UID: "u"}
}

// flap records an occurrence every two seconds.
func flap(r *Recorder, times int) {
	for i := range times {
		r.RecordSeries(node("n"), "Reason", "kind", fmt.Sprint("time ", i+1))
		time.Sleep(2 * time.Second)
	}
}

// only returns the one Event about the node.
func only(t *testing.T, api *apitest.Server) *v1.Event {
	t.Helper()
	events := api.Events("Node", "n")
	if len(events) != 1 {
		t.Fatalf("%d Events", len(events))
	}
	return events[0]
}

func TestWhatOccursAgainIsCounted(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
		began := time.Now()
		r.RecordSeries(node("n"), "Reason", "kind", "time 0")
		time.Sleep(time.Millisecond)
		if e := only(t, api); e.Count != 1 || e.Message != "time 0" {
			t.Errorf("the first is not written at once: %v", e)
		}
		flap(r, 100)
		last := time.Now().Add(-2 * time.Second)
		time.Sleep(updateInterval)
		e := only(t, api)
		if e.Count != 101 || e.Message != "time 100" || !e.FirstTimestamp.Time.Equal(began.Truncate(time.Second)) || !e.LastTimestamp.Time.Equal(last.Truncate(time.Second)) {
			t.Errorf("%+v", e)
		}
		if n := len(api.Requests()); n > 200/10+2 {
			t.Errorf("%d requests", n)
		}
		if n := r.waiting.Load(); n != 0 || r.unwritten.Len() != 0 {
			t.Errorf("%d wait", n)
		}
		time.Sleep(seriesInterval + time.Second)
		r.RecordSeries(node("n"), "Reason", "kind", "much later")
		time.Sleep(time.Second)
		if events := api.Events("Node", "n"); len(events) != 2 {
			t.Errorf("what occurs much later: %d Events", len(events))
		}
	})
}

func TestWarningsAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
		for range 3 {
			r.RecordWarningSeries(node("n"), "Reason", "kind", "message")
		}
		time.Sleep(2 * updateInterval)
		if e := only(t, api); e.Count != 3 || e.Type != v1.EventTypeWarning {
			t.Errorf("%+v", e)
		}
	})
}

func TestOneObjectHasFewEvents(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
		for i := range 500 {
			r.RecordSeries(node("n"), "Reason", fmt.Sprint("kind ", i%100), fmt.Sprint("message ", i))
			r.RecordSeries(node("n"), "Other", "", fmt.Sprint("message ", i))
			time.Sleep(time.Second)
		}
		time.Sleep(updateInterval)
		count, combined := int32(0), 0
		events := api.Events("Node", "n")
		for _, e := range events {
			count += e.Count
			if strings.HasPrefix(e.Message, "(combined from similar events): message 4") {
				combined++
			}
		}
		if len(events) != maxKinds+2 || count != 1000 || combined != 1 {
			t.Errorf("%d Events, which count %d, of which %d for all other kinds", len(events), count, combined)
		}
	})
}

func TestObjectsHaveTheirOwn(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
		const topics = 100
		r.topics = lru.New(topics)
		again := node("n")
		again.UID = "v"
		r.RecordSeries(node("n"), "Reason", "", "message")
		r.RecordSeries(again, "Reason", "", "message")
		r.RecordSeries(node("m"), "Reason", "", "message")
		time.Sleep(time.Second)
		if n, m := len(api.Events("Node", "n")), len(api.Events("Node", "m")); n != 2 || m != 1 {
			t.Errorf("%d and %d", n, m)
		}
		for i := range 2 * topics {
			r.RecordSeries(node(fmt.Sprint("n", i)), "Reason", "", "message")
		}
		time.Sleep(time.Minute)
		if n := r.topics.Len(); n > topics {
			t.Errorf("%d are remembered", n)
		}
		if n := api.Count("POST"); n != 2*topics+3 {
			t.Errorf("%d arrived", n)
		}
	})
}

// Whatever fails meanwhile, the count is right in the end, and no Event is duplicated.
func TestSeriesSurviveFailures(t *testing.T) {
	lostAnswer := func(api *apitest.Server, req *http.Request) (*http.Response, error) {
		_, _ = api.RoundTrip(req)
		return nil, errors.New("connection reset")
	}
	refused := func(*apitest.Server, *http.Request) (*http.Response, error) {
		return apitest.Failure(apierrors.NewInternalError(errors.New("etcd"))), nil
	}
	proxy := func(*apitest.Server, *http.Request) (*http.Response, error) {
		return apitest.Failure(apierrors.NewGenericServerResponse(http.StatusNotFound, "patch", v1.Resource("events"), "", "404 page not found", 0, true)), nil
	}
	for name, fails := range map[string]func(*apitest.Server, *http.Request) (*http.Response, error){
		"answers are lost": lostAnswer, "refused": refused, "a proxy says 404": proxy,
	} {
		for _, method := range []string{http.MethodPost, http.MethodPatch} {
			t.Run(name+", "+method, func(t *testing.T) {
				bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
					var inner atomic.Bool
					end := time.Now().Add(35 * time.Second)
					api.Intercept = func(req *http.Request) (*http.Response, error) {
						if req.Method != method || time.Now().After(end) || !inner.CompareAndSwap(false, true) {
							return nil, nil
						}
						defer inner.Store(false)
						return fails(api, req)
					}
					flap(r, 50)
					time.Sleep(time.Minute)
					if e := only(t, api); e.Count != 50 {
						t.Errorf("%+v", e)
					}
					if n := r.waiting.Load(); n != 0 {
						t.Errorf("%d wait", n)
					}
				})
			})
		}
	}
}

func TestAnExpiredEventIsMadeAgain(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
		flap(r, 20)
		api.RemoveEvents()
		flap(r, 20)
		time.Sleep(updateInterval)
		if e := only(t, api); e.Count != 40 {
			t.Errorf("%+v", e)
		}
	})
}

// Without the permission to patch Events there is one now and then, and others do not wait for it.
func TestWithoutPermissionToCount(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPatch {
				return apitest.Failure(apierrors.NewForbidden(v1.Resource("events"), "e", errors.New("no permission"))), nil
			}
			return nil, nil
		}
		flap(r, 30*60)
		if n := len(api.Events("Node", "n")); n < 5 || n > 7 {
			t.Errorf("%d Events in an hour", n)
		}
		if n := api.Count("PATCH"); n > 7 {
			t.Errorf("%d tries to patch in an hour", n)
		}
		last := int32(0)
		for _, e := range api.Events("Node", "n") {
			last = max(last, e.Count)
		}
		if last < 1400 {
			t.Errorf("%d of 1800 are counted", last)
		}
		r.Record(about("p"), "Reason", "message")
		time.Sleep(time.Second)
		if n := len(api.Events("Pod", "p")); n != 1 {
			t.Errorf("%d Events about a pod", n)
		}
		time.Sleep(2 * seriesInterval)
		if n := r.waiting.Load(); n != 0 {
			t.Errorf("%d wait", n)
		}
	})
}

func TestStoppingWritesTheCount(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, stop func()) {
		flap(r, 3)
		stop()
		if e := only(t, api); e.Count != 3 {
			t.Errorf("%+v", e)
		}
		r.counts(t, "dropped", 0)
	})
}

func TestSeriesThatDoNotFitAreDropped(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
		r.capacity = 0
		flap(r, 10)
		r.counts(t, "dropped", 10)
		r.capacity = 1
		flap(r, 1)
		if e := only(t, api); e.Count != 11 {
			t.Errorf("%+v", e)
		}
	})
}
