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
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	basemetrics "k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
	"k8s.io/klog/v2/ktesting"

	"github.com/taint-manager/taint-manager/pkg/apis/audit/v1alpha1"
)

// counted returns metrics, and a function that compares them; -1 is any value.
func counted(t *testing.T) (m Metrics, expect func(written, dropped, failed float64)) {
	t.Helper()
	registry := basemetrics.NewKubeRegistry()
	m = Metrics{
		Lines:  basemetrics.NewCounterVec(&basemetrics.CounterOpts{Name: "lines"}, []string{"result"}),
		Errors: basemetrics.NewCounter(&basemetrics.CounterOpts{Name: "errors"}),
	}
	registry.MustRegister(m.Lines, m.Errors)
	return m, func(written, dropped, failed float64) {
		t.Helper()
		got := [3]float64{}
		for i, counter := range []basemetrics.CounterMetric{m.Lines.WithLabelValues("written"), m.Lines.WithLabelValues("dropped"), m.Errors} {
			value, err := testutil.GetCounterMetricValue(counter)
			if err != nil {
				t.Fatal(err)
			}
			got[i] = value
		}
		for i, want := range [3]float64{written, dropped, failed} {
			if want >= 0 && got[i] != want {
				t.Errorf("written, dropped and failed: got %v, want %v, %v and %v", got, written, dropped, failed)
				return
			}
		}
	}
}

// sink is a writer that can be made to hang or fail.
type sink struct {
	lock   sync.Mutex
	data   bytes.Buffer
	hang   chan struct{} // nil: it does not
	failed func(data []byte) (n int, err error)
	closed bool
}

func (s *sink) Write(data []byte) (int, error) {
	s.lock.Lock()
	hang, failed := s.hang, s.failed
	s.lock.Unlock()
	if hang != nil {
		<-hang
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if failed != nil {
		if n, err := failed(data); err != nil {
			s.data.Write(data[:n])
			return n, err
		}
	}
	return s.data.Write(data)
}

func (s *sink) Close() error {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.closed = true
	return nil
}

func (s *sink) set(change func()) {
	s.lock.Lock()
	defer s.lock.Unlock()
	change()
}

// names returns the names of the pods of all lines, each of which has to be whole.
func names(t *testing.T, data []byte) (names []string) {
	t.Helper()
	for line := range strings.Lines(string(data)) {
		var record struct{ Pod v1alpha1.PodReference }
		if err := json.Unmarshal([]byte(line), &record); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%q is no line: %v", line, err)
		}
		names = append(names, record.Pod.Name)
	}
	return names
}

func record(i int) *v1alpha1.EvictionRecord {
	return &v1alpha1.EvictionRecord{Pod: v1alpha1.PodReference{Name: fmt.Sprint("pod-", i)}}
}

// running runs a log until the function that is returned is called, which waits for its end.
func running(t *testing.T, l *Log) (end func()) {
	_, ctx := ktesting.NewTestContext(t)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); l.Run(ctx, 5*time.Second) }()
	return func() { cancel(); <-ended }
}

func TestLinesAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, expect := counted(t)
		to := &sink{}
		l := New(to, m)
		expect(0, 0, 0) // they are there from the start
		l.Record(record(0))
		end := running(t, l)
		for i := range 2 * capacity {
			l.Record(record(i + 1))
		}
		end()
		got := names(t, to.data.Bytes())
		for i, name := range got {
			if name != fmt.Sprint("pod-", i) {
				t.Fatalf("line %d is about %s", i, name)
			}
		}
		if len(got) != 2*capacity+1 || !to.closed {
			t.Errorf("%d lines, closed %v", len(got), to.closed)
		}
		expect(2*capacity+1, 0, 0)
	})
}

// TestAWriterThatHangs delays one line by 100 ms, and drops those for which there is no room. When it goes on, so does the log.
func TestAWriterThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, expect := counted(t)
		to := &sink{hang: make(chan struct{})}
		l := New(to, m)
		end := running(t, l)
		began := time.Now()
		l.Record(record(0))
		synctest.Wait() // it is being written
		for i := range capacity + 1000 {
			l.Record(record(i + 1))
		}
		if took := time.Since(began); took != patience {
			t.Errorf("the callers waited for %s, want %s", took, patience)
		}
		expect(0, 1000, 0)
		time.Sleep(time.Hour)
		l.Record(record(-1))
		if took := time.Since(began); took != time.Hour+patience {
			t.Errorf("the callers waited for %s in all", took-time.Hour)
		}
		expect(0, 1001, 0)
		close(to.hang)
		to.set(func() { to.hang = nil })
		synctest.Wait()
		expect(capacity+1, 1001, 0)
		for i := range 2 * capacity { // a burst is not dropped where the writer is slow only
			l.Record(record(capacity + 1 + i))
		}
		end()
		expect(3*capacity+1, 1001, 0)
		if got := names(t, to.data.Bytes()); len(got) != 3*capacity+1 || got[len(got)-1] != fmt.Sprint("pod-", 3*capacity) {
			t.Errorf("%d lines, the last of which is about %s", len(got), got[len(got)-1])
		}
	})
}

// TestAWriterThatIsSlow writes 50 lines a second: it does not slow down those who record.
func TestAWriterThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, expect := counted(t)
		slow := 20 * time.Millisecond
		to := &sink{failed: func([]byte) (int, error) { time.Sleep(slow); return 0, nil }}
		l := New(to, m)
		end := running(t, l)
		began := time.Now()
		for i := range capacity + 1000 {
			l.Record(record(i))
		}
		if took := time.Since(began); took > patience+slow {
			t.Errorf("the callers waited for %s", took)
		}
		time.Sleep(time.Minute) // 3,000 lines
		began = time.Now()
		for i := range capacity {
			l.Record(record(i))
		}
		if took := time.Since(began); took > patience+slow {
			t.Errorf("the callers waited for %s once there was room again", took)
		}
		time.Sleep(time.Hour)
		expect(-1, -1, 0)
		end()
	})
}

// TestABurstWaitsForADisk has a disk write 50,000 lines a second, and ten times as many lines come as the buffer takes.
func TestABurstWaitsForADisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, expect := counted(t)
		to := &sink{failed: func([]byte) (int, error) { time.Sleep(20 * time.Microsecond); return 0, nil }}
		l := New(to, m)
		end := running(t, l)
		for i := range 10 * capacity {
			l.Record(record(i))
		}
		end()
		expect(10*capacity, 0, 0)
	})
}

// TestWritesThatFail are tried again from the byte on that was not written.
func TestWritesThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, expect := counted(t)
		to := &sink{}
		full := 0
		to.failed = func(data []byte) (int, error) {
			if full++; full > 5 {
				return 0, nil
			}
			return min(3, len(data)), syscall.ENOSPC
		}
		l := New(to, m)
		end := running(t, l)
		for i := range 10 {
			l.Record(record(i))
		}
		time.Sleep(4500 * time.Millisecond)
		expect(0, 0, 5)
		time.Sleep(time.Second)
		synctest.Wait()
		expect(10, 0, 5)
		end()
		if got := names(t, to.data.Bytes()); len(got) != 10 || got[9] != "pod-9" {
			t.Errorf("got %v", got)
		}
	})
}

// TestEndWithAWriterThatHangs takes no longer than the grace, and says what is lost.
func TestEndWithAWriterThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, expect := counted(t)
		to := &sink{hang: make(chan struct{})}
		l := New(to, m)
		end := running(t, l)
		for i := range 11 {
			l.Record(record(i))
		}
		synctest.Wait()
		began := time.Now()
		end()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %s", took)
		}
		expect(0, 10, 0)
		close(to.hang)
	})
}

// TestEndWithAFullDisk ends the tries.
func TestEndWithAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, expect := counted(t)
		to := &sink{failed: func([]byte) (int, error) { return 0, syscall.ENOSPC }}
		l := New(to, m)
		end := running(t, l)
		for i := range 3 {
			l.Record(record(i))
		}
		end()
		synctest.Wait()
		expect(0, 3, -1)
		if !to.closed {
			t.Error("the file is not closed")
		}
	})
}

// TestARealPipeThatNobodyReads has the buffer of a pipe and that of the log be full. Then somebody reads.
func TestARealPipeThatNobodyReads(t *testing.T) {
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	m, _ := counted(t)
	l := New(to, m)
	end := running(t, l)
	const lines = 20_000
	began := time.Now()
	for i := range lines {
		l.Record(record(i))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the callers waited for %s", took)
	}
	dropped := func() int {
		value, err := testutil.GetCounterMetricValue(m.Lines.WithLabelValues("dropped"))
		if err != nil {
			t.Fatal(err)
		}
		return int(value)
	}
	lost := dropped()
	if lost < lines/2 {
		t.Errorf("%d lines were dropped", lost)
	}
	var read bytes.Buffer
	done := make(chan error, 1)
	go func() {
		_, err := read.ReadFrom(from)
		done <- err
	}()
	end()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := len(names(t, read.Bytes())); got != lines-lost || dropped() != lost {
		t.Errorf("%d lines were read and %d dropped, of %d", got, dropped(), lines)
	}
}

// TestADiskThatIsFull writes to a device that has no room.
func TestADiskThatIsFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("there is no /dev/full here")
	}
	if err != nil {
		t.Fatal(err)
	}
	m, expect := counted(t)
	l := New(full, m)
	l.Record(record(0))
	_, ctx := ktesting.NewTestContext(t)
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	l.Run(ctx, 100*time.Millisecond)
	expect(0, 1, 1)
}
