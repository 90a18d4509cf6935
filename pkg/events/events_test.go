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
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/serverclock"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// bubble runs a test in virtual time with a recorder that writes to a model of the API server, until stop.
func bubble(t *testing.T, test func(t *testing.T, api *apitest.Server, r *Recorder, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		api := apitest.New()
		client, err := api.Client()
		if err != nil {
			t.Fatal(err)
		}
		counter := metrics.NewCounterVec(&metrics.CounterOpts{Name: "events", Help: "x"}, []string{"result"})
		if err := metrics.NewKubeRegistry().Register(counter); err != nil {
			t.Fatal(err)
		}
		r := NewRecorder(client, clock.RealClock{}, nil, counter)
		_, ctx := ktesting.NewTestContext(t)
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx, 5*time.Second) })
		stop := func() {
			cancel()
			running.Wait()
		}
		test(t, api, r, stop)
		stop()
	})
}

func (r *Recorder) counts(t *testing.T, result string, want float64) {
	t.Helper()
	if got, err := testutil.GetCounterMetricValue(r.counter.WithLabelValues(result)); err != nil || got != want {
		t.Errorf("%s %v, want %v (error %v)", result, got, want, err)
	}
}

func about(name string) v1.ObjectReference {
	return v1.ObjectReference{Kind: "Pod", Namespace: "default", Name: name, UID: "u"}
}

func TestAStormArrives(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
		for i := range 5000 {
			r.Record(about(fmt.Sprint("p", i)), "Reason", "message")
		}
		time.Sleep(time.Second)
		if n := api.Count("POST"); n != 5000 {
			t.Errorf("%d arrived", n)
		}
		r.counts(t, "written", 5000)
	})
}

func TestEventsSurviveAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
		end := time.Now().Add(3 * time.Minute)
		api.Intercept = func(*http.Request) (*http.Response, error) {
			if time.Now().Before(end) {
				return nil, errors.New("connection refused")
			}
			return nil, nil
		}
		r.Record(about("p"), "Reason", "message")
		time.Sleep(4 * time.Minute)
		if n := len(api.Events("Pod", "p")); n != 1 {
			t.Errorf("%d arrived", n)
		}
		r.counts(t, "written", 1)
	})
}

func TestEventsAreDroppedInTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
		api.Intercept = func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }
		r.Record(about("p"), "Reason", "message")
		time.Sleep(time.Hour)
		r.counts(t, "dropped", 1)
		if n := api.Count("POST"); n != tries+1 {
			t.Errorf("%d tries", n)
		}
	})
}

func TestAWriteWhoseAnswerIsLostIsNotDoneTwice(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
		lost := true
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			if !lost {
				return nil, nil
			}
			lost = false
			_, _ = api.RoundTrip(req) // it takes effect, but the response is lost
			return nil, errors.New("connection reset")
		}
		r.Record(about("p"), "Reason", "message")
		time.Sleep(time.Minute)
		if n := len(api.Events("Pod", "p")); n != 1 {
			t.Errorf("%d arrived", n)
		}
		r.counts(t, "written", 1)
	})
}

func TestWhatWaitsIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, stop func()) {
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		r.capacity = 1000
		for range r.capacity + 100 {
			r.Record(about("p"), "Reason", "message")
		}
		r.counts(t, "dropped", 100)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("stopping took %v", took)
		}
		r.counts(t, "dropped", 1100)
	})
}

func TestStoppingWritesWhatWaits(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, stop func()) {
		api.Intercept = func(*http.Request) (*http.Response, error) {
			time.Sleep(10 * time.Millisecond)
			return nil, nil
		}
		for i := range 100 {
			r.Record(about(fmt.Sprint("p", i)), "Reason", "message")
		}
		stop()
		if n := api.Count("POST"); n != 100 {
			t.Errorf("%d arrived", n)
		}
	})
}

func TestNames(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
		long := strings.Repeat("n", 253)
		r.Record(about(long), "Reason", "message")
		r.Record(v1.ObjectReference{Kind: "Node", Name: "n"}, "Reason", "message")
		time.Sleep(time.Second)
		if events := api.Events("Pod", long); len(events) != 1 || len(events[0].Name) > 253 {
			t.Errorf("of a long name: %v", events)
		}
		if events := api.Events("Node", "n"); len(events) != 1 || events[0].Namespace != "default" {
			t.Errorf("of an object without namespace: %v", events)
		}
	})
}

// Only the end of its namespace drops an Event at once. Proxies also return 404.
func TestOnlyTheEndOfTheNamespaceDropsAnEvent(t *testing.T) {
	terminating := apierrors.NewForbidden(v1.Resource("events"), "e", errors.New("namespace is being terminated"))
	terminating.ErrStatus.Details.Causes = append(terminating.ErrStatus.Details.Causes, metav1.StatusCause{Type: v1.NamespaceTerminatingCause})
	for name, test := range map[string]struct {
		err   *apierrors.StatusError
		drops bool
	}{
		"no such namespace":         {apierrors.NewNotFound(v1.Resource("namespaces"), "default"), true},
		"the namespace ends":        {terminating, true},
		"no such path":              {apierrors.NewGenericServerResponse(http.StatusNotFound, "post", v1.Resource("events"), "", "404 page not found", 0, true), false},
		"no such resource":          {apierrors.NewNotFound(v1.Resource("events"), ""), false},
		"no such path, no details":  {&apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound}}, false},
		"forbidden, but not by end": {apierrors.NewForbidden(v1.Resource("events"), "e", errors.New("no")), false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, _ func()) {
				end := time.Now().Add(time.Minute)
				api.Intercept = func(*http.Request) (*http.Response, error) {
					if time.Now().Before(end) {
						return apitest.Failure(test.err), nil
					}
					return nil, nil
				}
				r.Record(about("p"), "Reason", "message")
				time.Sleep(2 * time.Minute)
				if test.drops {
					r.counts(t, "dropped", 1)
					if n := api.Count("POST"); n != 1 {
						t.Errorf("%d tries", n)
					}
					return
				}
				r.counts(t, "written", 1)
			})
		})
	}
}

// The API server accepts the Event's name, however long the object's name is and wherever it is truncated.
func TestNamesAreValid(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const letters = "a0-."
	cut := 0
	for range 20_000 {
		name := make([]byte, 230+random.IntN(24))
		for i := range name {
			name[i] = letters[random.IntN(len(letters))]
		}
		if len(validation.IsDNS1123Subdomain(string(name))) > 0 {
			// Most have two signs beside each other: a letter for one of them.
			for i := range name {
				if i == 0 || i == len(name)-1 || name[i-1] == '.' || name[i-1] == '-' {
					name[i] = 'a'
				}
			}
		}
		if errs := validation.IsDNS1123Subdomain(string(name)); len(errs) > 0 {
			t.Fatalf("the test makes a bad name %s: %v", name, errs)
		}
		record := &record{about: about(string(name)), at: time.Unix(0, random.Int64())}
		got := record.event().Name
		if errs := validation.IsDNS1123Subdomain(got); len(errs) > 0 {
			t.Fatalf("of %s comes %s: %v", name, got, errs)
		}
		prefix, suffix := got[:strings.LastIndex(got, ".")], got[strings.LastIndex(got, "."):]
		if !strings.HasPrefix(string(name), prefix) || suffix != fmt.Sprintf(".%x", record.at.UnixNano()) {
			t.Fatalf("of %s comes %s", name, got)
		}
		if prefix != string(name) {
			cut++
		}
	}
	if cut < 1000 {
		t.Errorf("%d names were cut", cut)
	}
}

// Our own clock may be wrong. Times of Events are API times, so that they compare with those of other objects.
func TestEventsHaveTheServersTime(t *testing.T) {
	local := serverclock.NewSteady()
	server := serverclock.New(local)
	now := local.Now()
	server.Observe(now, now, now.Add(time.Hour))
	r := &Recorder{server: server}
	event := r.event(&record{at: now})
	for _, at := range []time.Time{event.FirstTimestamp.Time, event.LastTimestamp.Time} {
		if ahead := at.Sub(now); ahead < time.Hour || ahead > time.Hour+time.Second {
			t.Errorf("the Event is %s ahead of our clock", ahead)
		}
	}
}
