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

package audit

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/component-base/metrics"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/apis/audit/v1alpha1"
)

const (
	// capacity is how many lines may wait to be written.
	capacity = 4096
	// patience is how long lines wait for room in the buffer, all together. What is used up of it comes back with each line that is written: so a
	// disk that keeps up with 20,000 lines a second is waited for as long as a burst lasts.
	patience, comesBack = 100 * time.Millisecond, 50 * time.Microsecond
	// retryInterval is the time between two tries to write.
	retryInterval = time.Second
	// errorLogInterval is the least time between two errors in the log of the process.
	errorLogInterval = time.Minute
)

// Metrics are what the log updates. All fields are required.
type Metrics struct {
	// Lines counts lines by result: written or dropped.
	Lines *metrics.CounterVec
	// Errors counts writes that failed, and are tried again.
	Errors *metrics.Counter
}

// Log is an audit log. It is safe for concurrent use.
type Log struct {
	to      io.WriteCloser
	metrics Metrics
	lines   chan *v1alpha1.EvictionRecord
	// waited is how much of the patience is used up, and stuck says that all of it was.
	waited atomic.Int64
	stuck  atomic.Bool

	failures, drops *rate.Sometimes
	// untold counts the lines that were dropped since the log of the process said so.
	untold atomic.Int64
}

// New returns a log whose lines are written while Run runs. Run closes the writer.
func New(to io.WriteCloser, m Metrics) *Log {
	for _, result := range []string{"written", "dropped"} {
		m.Lines.WithLabelValues(result).Add(0) // it is there from the start
	}
	return &Log{
		to: to, metrics: m, lines: make(chan *v1alpha1.EvictionRecord, capacity),
		failures: &rate.Sometimes{Interval: errorLogInterval}, drops: &rate.Sometimes{Interval: errorLogInterval},
	}
}

// Record has a line written. The caller must not change it any more.
func (l *Log) Record(line *v1alpha1.EvictionRecord) {
	select {
	case l.lines <- line:
		return
	default:
	}
	if l.stuck.Load() || !l.waitForRoom(line) {
		l.drop()
	}
}

// waitForRoom reports whether there was room for a line in time.
func (l *Log) waitForRoom(line *v1alpha1.EvictionRecord) bool {
	began, left := time.Now(), patience-time.Duration(l.waited.Load())
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case l.lines <- line:
		l.waited.Add(int64(time.Since(began)))
		return true
	case <-timer.C:
		l.stuck.Store(true)
		return false
	}
}

func (l *Log) drop() {
	l.metrics.Lines.WithLabelValues("dropped").Inc()
	l.untold.Add(1)
}

// Run writes lines until ctx is done. Then it writes those that still wait, for at most grace. A write that hangs is left behind.
func (l *Log) Run(ctx context.Context, grace time.Duration) {
	writing, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	written := make(chan struct{})
	go func() {
		defer close(written)
		l.write(ctx, writing)
	}()
	<-ctx.Done()
	select {
	case <-written:
	case <-time.After(grace * 19 / 20):
		giveUp()
		l.dropWaiting()
		select {
		case <-written: // it has counted the line that it tried to write
		case <-time.After(grace / 20): // it hangs
		}
	}
	l.sayDropped(ctx)
}

// dropWaiting drops the lines that wait.
func (l *Log) dropWaiting() {
	for {
		select {
		case <-l.lines:
			l.drop()
		default:
			return
		}
	}
}

// write writes lines until ctx is done and none waits, or until writing is done.
func (l *Log) write(ctx, writing context.Context) {
	defer l.to.Close()
	for {
		select {
		case line := <-l.lines:
			l.writeLine(writing, line)
		case <-ctx.Done():
			if len(l.lines) == 0 {
				return
			}
		case <-writing.Done():
			return
		}
	}
}

// writeLine writes a line, however often that takes, until ctx is done.
func (l *Log) writeLine(ctx context.Context, line *v1alpha1.EvictionRecord) {
	data, err := json.Marshal(line)
	if err != nil { // a time after the year 9999
		klog.FromContext(ctx).Error(err, "Dropped a line of the audit log that cannot be encoded")
		l.drop()
		return
	}
	for data = append(data, '\n'); ; {
		n, err := l.to.Write(data)
		if data = data[n:]; len(data) == 0 {
			break
		}
		if err == nil {
			err = io.ErrShortWrite
		}
		l.metrics.Errors.Inc()
		l.failures.Do(func() {
			klog.FromContext(ctx).Error(err, "Cannot write the audit log, retrying; check the disk, or who reads the pipe")
		})
		if !sleep(ctx, retryInterval) {
			l.drop()
			return
		}
	}
	l.metrics.Lines.WithLabelValues("written").Inc()
	if l.waited.Add(-int64(comesBack)) < 0 {
		l.waited.Store(0)
	}
	if l.stuck.Load() && len(l.lines) <= capacity/2 {
		l.waited.Store(0)
		l.stuck.Store(false)
	}
	if l.untold.Load() > 0 {
		l.drops.Do(func() { l.sayDropped(ctx) })
	}
}

// sayDropped says how many lines were dropped since it was last called.
func (l *Log) sayDropped(ctx context.Context) {
	if n := l.untold.Swap(0); n > 0 {
		klog.FromContext(ctx).Error(errors.New("the buffer was full, or the process ended"), "Dropped lines of the audit log", "lines", n)
	}
}

// sleep reports whether the time has passed before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
