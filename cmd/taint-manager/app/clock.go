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
	// maxSkew is the difference of the clocks from which it is reported. skewLogInterval is the shortest time between two
	// log messages about it.
	maxSkew, skewLogInterval = 2 * time.Second, 10 * time.Minute
	skewInterval             = 5 * time.Second
	probeTimeout             = 5 * time.Second
)

// clockWatch reports how far the API server's clock is ahead of this machine's. The difference makes no pod go early or
// late, but whoever compares our log with API objects must know it.
type clockWatch struct {
	server *serverclock.Clock
	offset *metrics.Gauge
	probe  rest.Interface
	// difference describes the difference of the clocks at the last check. It is nil if there is none, and before run.
	difference atomic.Pointer[string]
}

// run measures the difference until ctx is done.
func (w *clockWatch) run(ctx context.Context) {
	var narrowing sync.WaitGroup
	defer narrowing.Wait()
	narrowing.Go(func() { w.server.Narrow(ctx, w.ask) })
	errorLog := &rate.Sometimes{Interval: skewLogInterval}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(skewInterval):
		}
		if ahead, _, known := w.server.Skew(); known {
			w.offset.Set(ahead.Seconds())
		}
		if text := w.check(); text != "" {
			errorLog.Do(func() {
				klog.FromContext(ctx).Error(nil, "Clocks differ, which does not affect evictions; check the time synchronization of both machines", "apiServer", text)
			})
		}
	}
}

// check measures the difference, and stores it for Name.
func (w *clockWatch) check() string {
	text := w.differs()
	if text == "" {
		w.difference.Store(nil)
	} else {
		w.difference.Store(&text)
	}
	return text
}

// ask makes a request whose response has a Date.
func (w *clockWatch) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return w.probe.Get().AbsPath("/version").MaxRetries(0).Do(ctx).Error()
}

// differs describes the difference if it certainly exceeds maxSkew. Otherwise it returns an empty string.
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

// Name makes this a readiness check that never fails, and whose name reports a difference in /readyz?verbose. Before run it
// is a constant, because the path of the check is made of it.
func (w *clockWatch) Name() string {
	if text := w.difference.Load(); text != nil {
		return fmt.Sprintf("clock (the API server's is %s)", *text)
	}
	return "clock"
}

// Check never fails.
func (w *clockWatch) Check(*http.Request) error { return nil }
