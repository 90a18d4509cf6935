package app

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

const (
	// maxSkew is from when on it is told that the clocks differ, and skewComplaint the time between two error messages.
	maxSkew, skewComplaint = 2 * time.Second, 10 * time.Minute
	skewInterval           = 5 * time.Second
	probeTimeout           = 5 * time.Second
)

// clockWatch tells how far the API server's clock is from this machine's. That makes no pod go early or late, but whoever
// compares times of our log with times of API objects has to know.
type clockWatch struct {
	server *serverclock.Clock
	offset *metrics.Gauge
	probe  rest.Interface
	// told is in which way the clocks differ, as of the last look; nil where they do not, and before run.
	told atomic.Pointer[string]
}

// run measures until ctx is over.
func (w *clockWatch) run(ctx context.Context) {
	var narrowing sync.WaitGroup
	defer narrowing.Wait()
	narrowing.Go(func() { w.server.Narrow(ctx, w.ask) })
	complaints := &rate.Sometimes{Interval: skewComplaint}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(skewInterval):
		}
		if ahead, _, known := w.server.Skew(); known {
			w.offset.Set(ahead.Seconds())
		}
		if text := w.look(); text != "" {
			complaints.Do(func() {
				klog.FromContext(ctx).Error(nil, "The clocks differ: check the time synchronisation of both machines; evictions are not affected", "apiServer", text)
			})
		}
	}
}

// look finds out in which way the clocks differ, and has Name tell it.
func (w *clockWatch) look() string {
	text := w.differs()
	if text == "" {
		w.told.Store(nil)
	} else {
		w.told.Store(&text)
	}
	return text
}

// ask makes a request whose answer tells the time.
func (w *clockWatch) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return w.probe.Get().AbsPath("/version").MaxRetries(0).Do(ctx).Error()
}

// differs returns in which way the clocks differ by more than maxSkew for sure, or nothing.
func (w *clockWatch) differs() string {
	switch ahead, within, known := w.server.Skew(); {
	case !known, ahead.Abs() <= maxSkew+within:
		return ""
	case ahead > 0:
		return fmt.Sprintf("%s ahead of this machine", ahead.Round(time.Second))
	default:
		return fmt.Sprintf("%s behind this machine", -ahead.Round(time.Second))
	}
}

// Name makes this a check of readiness that never fails, and tells of a difference by its name: see /readyz?verbose. Until run
// it is a plain word, of which the path of the check is made.
func (w *clockWatch) Name() string {
	if text := w.told.Load(); text != nil {
		return fmt.Sprintf("clock (the API server's is %s)", *text)
	}
	return "clock"
}

// Check never fails.
func (w *clockWatch) Check(*http.Request) error { return nil }
