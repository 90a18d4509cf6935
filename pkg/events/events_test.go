package events

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/apitest"
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
		r := NewRecorder(client, clock.RealClock{}, counter, func() bool { return false })
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
			_, _ = api.RoundTrip(req) // it takes effect, and nobody hears of it
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

func TestEventsWaitForOthers(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, r *Recorder, stop func()) {
		var busy atomic.Bool
		r.busy = busy.Load
		busy.Store(true)
		r.Record(about("first"), "reason", "message")
		time.Sleep(patience - time.Second)
		r.Record(about("second"), "reason", "message")
		if n := len(api.Requests()); n != 0 {
			t.Errorf("%d requests while others are busy", n)
		}
		time.Sleep(2 * time.Second)
		if n := len(api.Requests()); n != 1 {
			t.Errorf("%d requests, want that of the first Event, which is old", n)
		}
		busy.Store(false)
		time.Sleep(look)
		synctest.Wait()
		if n := len(api.Requests()); n != 2 {
			t.Errorf("%d requests after that", n)
		}
		busy.Store(true)
		r.Record(about("third"), "reason", "message")
		time.Sleep(time.Second)
		stop()
		r.counts(t, "dropped", 1)
	})
}
