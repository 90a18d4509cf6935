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

package startstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// tracker holds the records that a test gives it.
type tracker struct {
	records  atomic.Pointer[taintstart.Records]
	restored atomic.Pointer[taintstart.Records]
}

func (m *tracker) Records() taintstart.Records {
	if r := m.records.Load(); r != nil {
		return *r
	}
	return taintstart.Records{}
}

func (m *tracker) Restore(records taintstart.Records) { m.restored.Store(&records) }

func (m *tracker) keep(records map[string]taintstart.Record) {
	m.records.Store(&taintstart.Records{Nodes: records})
}

func record(uid types.UID, seconds int64) taintstart.Record {
	at := time.Unix(seconds, 500).UTC()
	return taintstart.Record{UID: uid, Changed: time.Unix(seconds, 0).UTC(), Starts: []taintstart.RecordedStart{{Key: "a", Time: at}}}
}

// bubble runs a test in virtual time with a store in a ConfigMap that exists and is empty.
func bubble(t *testing.T, test func(ctx context.Context, client *fake.Clientset, s *Store, m *tracker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		name := types.NamespacedName{Namespace: "kube-system", Name: "starts"}
		client := fake.NewClientset(&v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}})
		m := &tracker{}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		test(ctx, client, New(client.CoreV1(), name, clock.RealClock{}, m), m)
	})
}

func (s *Store) data(t *testing.T) map[string]string {
	t.Helper()
	config, err := s.client.ConfigMaps(s.name.Namespace).Get(context.Background(), s.name.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return config.Data
}

func writes(client *fake.Clientset) (n int) {
	for _, action := range client.Actions() {
		if action.GetVerb() == "update" {
			n++
		}
	}
	return n
}

func TestWhatIsKeptComesBack(t *testing.T) {
	bubble(t, func(ctx context.Context, client *fake.Clientset, s *Store, m *tracker) {
		records := map[string]taintstart.Record{"n": record("u", 100), "m": record("v", 200)}
		m.keep(records)
		go s.Run(ctx)
		time.Sleep(time.Hour)
		if n := writes(client); n != 1 {
			t.Errorf("written %d times", n)
		}
		s.Load(ctx)
		back := m.restored.Load()
		if back == nil || fmt.Sprint(back.Nodes) != fmt.Sprint(records) {
			t.Errorf("came back as %v, was %v", back, records)
		}
		m.keep(map[string]taintstart.Record{"n": record("u", 100)})
		time.Sleep(2 * time.Second)
		if data := s.data(t); len(data) != 1 || data["n"] == "" {
			t.Errorf("holds %v", data)
		}
	})
}

func TestGarbageIsIgnored(t *testing.T) {
	bubble(t, func(ctx context.Context, client *fake.Clientset, s *Store, m *tracker) {
		garbage := map[string]string{
			"a": "", "b": "null", "c": "[1]", "d": `{"uid": 7}`, "e": `{"starts": [{"start": "yesterday"}]}`, "f": "\x00\xff", "g": `{"uid":""}`,
			"good": `{"uid":"u","starts":[{"start":"2026-01-01T00:00:00Z"}], "unknown": true}`,
		}
		config := &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.name.Namespace, Name: s.name.Name}, Data: garbage}
		if _, err := client.CoreV1().ConfigMaps(s.name.Namespace).Update(ctx, config, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		s.Load(ctx)
		if back := m.restored.Load().Nodes; len(back) != 1 || back["good"].UID != "u" {
			t.Errorf("came back as %v", back)
		}
		go s.Run(ctx)
		time.Sleep(2 * time.Second)
		if data := s.data(t); len(data) != 0 {
			t.Errorf("garbage stays: %v", data)
		}
	})
}

func TestWhatCannotBeReadIsAsIfItWereNotThere(t *testing.T) {
	for name, test := range map[string]struct {
		err     error
		returns time.Duration
	}{
		"not found":    {apierrors.NewNotFound(v1.Resource("configmaps"), "starts"), 0},
		"forbidden":    {apierrors.NewForbidden(v1.Resource("configmaps"), "starts", errors.New("no")), 0},
		"server error": {apierrors.NewInternalError(errors.New("x")), loadTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(ctx context.Context, client *fake.Clientset, s *Store, m *tracker) {
				client.PrependReactor("get", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, test.err })
				began := time.Now()
				s.Load(ctx)
				if took := time.Since(began); took != test.returns || m.restored.Load() != nil {
					t.Errorf("took %s, restored %v", took, m.restored.Load())
				}
			})
		})
	}
}

func TestAServerThatIsAwayIsWaitedFor(t *testing.T) {
	bubble(t, func(ctx context.Context, client *fake.Clientset, s *Store, m *tracker) {
		back := time.Now().Add(time.Hour)
		client.PrependReactor("get", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
			if time.Now().Before(back) {
				return true, nil, &url.Error{Op: "Get", URL: "https://x", Err: errors.New("connection refused")}
			}
			return false, nil, nil
		})
		s.Load(ctx)
		if m.restored.Load() == nil || time.Since(back) > interval {
			t.Errorf("restored %v, %s after its return", m.restored.Load(), time.Since(back))
		}
	})
}

func TestWritesGoOnAfterFailures(t *testing.T) {
	bubble(t, func(ctx context.Context, client *fake.Clientset, s *Store, m *tracker) {
		var failure atomic.Pointer[error]
		fail := func(err error) { failure.Store(&err) }
		client.PrependReactor("update", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
			if err := failure.Load(); err != nil && *err != nil {
				return true, nil, *err
			}
			return false, nil, nil
		})
		m.keep(map[string]taintstart.Record{"n": record("u", 100)})
		for _, err := range []error{
			apierrors.NewConflict(v1.Resource("configmaps"), "starts", errors.New("changed")),
			apierrors.NewInternalError(errors.New("x")),
		} {
			fail(err)
			ctx, cancel := context.WithCancel(ctx)
			go s.Run(ctx)
			time.Sleep(time.Minute)
			fail(nil)
			time.Sleep(retryInterval + interval)
			if data := s.data(t); len(data) != 1 {
				t.Errorf("after %v it holds %v", err, data)
			}
			cancel()
			synctest.Wait()
			m.keep(map[string]taintstart.Record{"n": record("u", 100), "m": record("v", 300)})
			delete(m.records.Load().Nodes, "n")
		}
		if n := writes(client); n > 60+6+4 {
			t.Errorf("%d tries", n)
		}
	})
}

// The confirmation is updated while there is a not-ready period, and not otherwise.
func TestConfirmedUntilIsKeptFresh(t *testing.T) {
	for name, test := range map[string]struct {
		record taintstart.Record
		writes int
		within time.Duration
	}{
		"not ready":     {taintstart.Record{UID: "u", Periods: []taintstart.RecordedPeriod{{Time: time.Unix(1, 0).UTC()}}}, 4*60 + 1, 30 * time.Second},
		"another taint": {record("u", 100), 2, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(ctx context.Context, client *fake.Clientset, s *Store, m *tracker) {
				test.record.Changed = time.Now().UTC().Truncate(time.Second)
				set := func() {
					m.records.Store(&taintstart.Records{ConfirmedUntil: time.Now().UTC(), Nodes: map[string]taintstart.Record{"n": test.record}})
				}
				set()
				go s.Run(ctx)
				for end := time.Now().Add(time.Hour); time.Now().Before(end); time.Sleep(time.Second) {
					set()
				}
				s.Load(ctx)
				back := m.restored.Load()
				if age := time.Since(back.ConfirmedUntil); back.ConfirmedUntil.IsZero() || age > test.within {
					t.Errorf("confirmed until %s ago", age)
				}
				if back.Unconfirmed() > 0 {
					t.Error("a change is not settled")
				}
				if n := writes(client); n > test.writes {
					t.Errorf("%d writes in an hour", n)
				}
			})
		})
	}
}

// The ConfigMap stays below the API's limit, and the oldest starts are kept.
func TestThereIsABound(t *testing.T) {
	records := map[string]taintstart.Record{}
	for i := range 20_000 {
		records[fmt.Sprintf("node-%s-%d", strings.Repeat("x", 100), i)] = record("u", 1_000_000-int64(i))
	}
	data := encode(klog.Background(), records)
	size := 0
	for name, entry := range data {
		size += len(name) + len(entry)
	}
	if size > 1<<20 || size < maxSize*9/10 {
		t.Errorf("%d bytes for %d nodes", size, len(data))
	}
	if _, kept := data[fmt.Sprintf("node-%s-%d", strings.Repeat("x", 100), 19_999)]; !kept {
		t.Error("the oldest is left out")
	}
}

// notes are annotations of a component.
type notes struct {
	lock     sync.Mutex
	all      map[string]string
	restored map[string]string
}

func (n *notes) Annotations() map[string]string {
	n.lock.Lock()
	defer n.lock.Unlock()
	return maps.Clone(n.all)
}

func (n *notes) RestoreAnnotations(_ context.Context, annotations map[string]string) {
	n.restored = annotations
}

func (n *notes) set(name, value string) {
	n.lock.Lock()
	defer n.lock.Unlock()
	n.all[name] = value
}

func TestFurtherAnnotations(t *testing.T) {
	bubble(t, func(ctx context.Context, client *fake.Clientset, s *Store, m *tracker) {
		n := &notes{all: map[string]string{"a": "1", "b": ""}}
		s.Annotate(n)
		expect := func(want map[string]string, written int) {
			t.Helper()
			time.Sleep(time.Minute)
			config, err := client.CoreV1().ConfigMaps(s.name.Namespace).Get(ctx, s.name.Name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(config.Annotations, want) || writes(client) != written {
				t.Errorf("annotations %v after %d writes, want %v after %d", config.Annotations, writes(client), want, written)
			}
		}
		go s.Run(ctx)
		expect(map[string]string{"a": "1"}, 1)
		n.set("b", "2")
		n.set("a", "3")
		expect(map[string]string{"a": "3", "b": "2"}, 2)
		n.set("a", "")
		expect(map[string]string{"b": "2"}, 3)
		m.keep(map[string]taintstart.Record{"n": record("u", 100)})
		expect(map[string]string{"b": "2"}, 4)
		s.Load(ctx)
		if !maps.Equal(n.restored, map[string]string{"b": "2"}) {
			t.Errorf("restored %v", n.restored)
		}
	})
}
