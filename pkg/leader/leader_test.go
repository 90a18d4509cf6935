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

package leader

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/ptr"
)

var leaseName = types.NamespacedName{Namespace: "kube-system", Name: "taint-manager"}

// elector returns one with the default durations.
func elector(t *testing.T, identity string, client kubernetes.Interface, lead func(context.Context)) *Elector {
	t.Helper()
	e, err := New(Config{
		Client: client, Watch: client, Lease: leaseName, Identity: identity,
		LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second,
		Lead: lead,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// holder is who holds the Lease.
func holder(t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	lease, err := client.CoordinationV1().Leases(leaseName.Namespace).Get(context.Background(), leaseName.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}

func run(t *testing.T, l *Elector, ctx context.Context) {
	t.Helper()
	if err := l.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestLeaseIsHeldUntilEvictionsHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		var leading atomic.Bool
		l := elector(t, "self", client, func(ctx context.Context) {
			leading.Store(true)
			<-ctx.Done()
			time.Sleep(3 * time.Second) // evictions in flight
			leading.Store(false)
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); run(t, l, ctx) }()
		time.Sleep(time.Minute)
		if !leading.Load() || holder(t, client) == "" {
			t.Fatal("does not lead")
		}
		stop()
		time.Sleep(2 * time.Second)
		if holder(t, client) == "" {
			t.Error("the Lease is released while evictions are in flight")
		}
		<-ended
		if leading.Load() || holder(t, client) != "" {
			t.Error("the Lease is not released at the end")
		}
	})
}

// cutOff stops the election in the middle of its first write. As on a network, that takes effect, and its answer is lost if
// the request is cancelled.
type cutOff struct {
	resourcelock.Interface
	stop func()
}

func (l cutOff) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Create(ctx, record)
	l.stop()
	synctest.Wait()
	return errors.Join(err, ctx.Err())
}

func TestStoppingWhileTheLeaseIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		l := elector(t, "self", client, func(context.Context) {})
		ctx, stop := context.WithCancel(t.Context())
		taken := l.config.Lock.(*lock)
		taken.Interface = cutOff{taken.Interface, stop}
		run(t, l, ctx)
		if h := holder(t, client); h != "" {
			t.Errorf("the Lease is still held by %s", h)
		}
	})
}

func TestALeaseThatIsLostIsSoughtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		var broken atomic.Bool
		client.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			return broken.Load(), nil, errors.New("connection refused")
		})
		var terms, leading atomic.Int32
		l := elector(t, "self", client, func(ctx context.Context) {
			terms.Add(1)
			leading.Add(1)
			<-ctx.Done()
			leading.Add(-1)
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); run(t, l, ctx) }()
		time.Sleep(time.Minute)
		broken.Store(true)
		time.Sleep(time.Minute)
		if leading.Load() != 0 {
			t.Error("leads without a Lease")
		}
		broken.Store(false)
		time.Sleep(time.Minute)
		if terms.Load() != 2 || leading.Load() != 1 {
			t.Errorf("%d terms, %d leading", terms.Load(), leading.Load())
		}
		stop()
		<-ended
	})
}

func TestStoppingWhileAnotherLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := metav1.NewMicroTime(time.Now().Add(time.Hour))
		client := fake.NewClientset(&coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: leaseName.Namespace, Name: leaseName.Name},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity: ptr.To("other"), RenewTime: &now, AcquireTime: &now, LeaseDurationSeconds: ptr.To[int32](3600),
			},
		})
		l := elector(t, "self", client, func(context.Context) { t.Error("leads") })
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); run(t, l, ctx) }()
		time.Sleep(time.Minute)
		stop()
		<-ended
		if holder(t, client) != "other" {
			t.Error("took the Lease of another")
		}
	})
}

// TestLeaderThatDies has a leader that renews its Lease for a while and then stops. A standby takes the Lease when it expires,
// counted from the last renewal, and not at the standby's next retry.
func TestLeaderThatDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lasts = 20 * time.Second
		lease := &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: leaseName.Namespace, Name: leaseName.Name},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: ptr.To("other"), LeaseDurationSeconds: ptr.To[int32](20)},
		}
		renew := func() {
			now := metav1.NewMicroTime(time.Now().Add(-time.Hour)) // the clock of another machine
			lease.Spec.RenewTime, lease.Spec.AcquireTime = &now, &now
		}
		renew()
		client := fake.NewClientset(lease)
		led := make(chan time.Time, 1)
		l, err := New(Config{
			Client: client, Watch: client, Lease: leaseName, Identity: "self",
			LeaseDuration: lasts, RenewDeadline: 15 * time.Second, RetryPeriod: 5 * time.Second,
			Lead: func(ctx context.Context) {
				led <- time.Now()
				<-ctx.Done()
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); run(t, l, ctx) }()
		for range 12 {
			time.Sleep(5300 * time.Millisecond)
			renew()
			if _, err := client.CoordinationV1().Leases(leaseName.Namespace).Update(t.Context(), lease, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		died := time.Now()
		if took := (<-led).Sub(died); took != lasts {
			t.Errorf("leads %s after the last renewal", took)
		}
		stop()
		<-ended
	})
}

func TestWithoutLeaderElection(t *testing.T) {
	led := false
	l := Alone(func(context.Context) { led = true })
	run(t, l, t.Context())
	if !led || l.Check(nil) != nil {
		t.Error("does not lead, or is not well")
	}
}

// versioned is a client that rejects an update of a Lease that has changed since it was read, as the API server does.
func versioned() *fake.Clientset {
	client := fake.NewClientset()
	var mu sync.Mutex
	version := 0
	client.PrependReactor("update", "leases", func(action clienttesting.Action) (bool, runtime.Object, error) {
		mu.Lock()
		defer mu.Unlock()
		lease := action.(clienttesting.UpdateAction).GetObject().(*coordinationv1.Lease)
		if lease.ResourceVersion != "" && lease.ResourceVersion != strconv.Itoa(version) {
			return true, nil, apierrors.NewConflict(coordinationv1.Resource("leases"), lease.Name, errors.New("changed"))
		}
		version++
		lease.ResourceVersion = strconv.Itoa(version)
		return true, lease, client.Tracker().Update(coordinationv1.SchemeGroupVersion.WithResource("leases"), lease, lease.Namespace)
	})
	return client
}

// replicas starts n replicas that stand for election. It returns how to stop each, who leads, and since when.
func replicas(t *testing.T, n int) (stop []func(), leading *atomic.Int32, since *atomic.Pointer[time.Time]) {
	t.Helper()
	client := versioned()
	leading, since = &atomic.Int32{}, &atomic.Pointer[time.Time]{}
	leading.Store(-1)
	for i := range n {
		l := elector(t, fmt.Sprint("replica-", i), client, func(ctx context.Context) {
			now := time.Now()
			since.Store(&now)
			if !leading.CompareAndSwap(-1, int32(i)) {
				t.Error("two lead")
			}
			<-ctx.Done()
			leading.Store(-1)
		})
		ctx, cancel := context.WithCancel(t.Context())
		go run(t, l, ctx)
		stop = append(stop, cancel)
	}
	return stop, leading, since
}

func TestAStandbyFollowsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop, leading, since := replicas(t, 3)
		time.Sleep(10 * time.Second)
		// The second comes so soon that the standby that was slower has not looked again since.
		for _, pause := range []time.Duration{0, 100 * time.Millisecond} {
			time.Sleep(pause)
			first, stopped := leading.Load(), time.Now()
			if first < 0 {
				t.Fatal("nobody leads")
			}
			stop[first]()
			time.Sleep(100 * time.Millisecond)
			if next := leading.Load(); next < 0 || next == first {
				t.Fatalf("%d leads after %d", next, first)
			}
			if took := since.Load().Sub(stopped); took > 10*time.Millisecond {
				t.Errorf("the next one leads after %s", took)
			}
		}
		for _, stop := range stop {
			stop()
		}
	})
}

func TestALeaseThatCannotBeReadIsNotSoughtAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := versioned()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		var calls atomic.Int32
		client.PrependReactor("get", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			if calls.Add(1) > 1000 {
				stop()
			}
			return true, nil, apierrors.NewNotFound(coordinationv1.Resource("leases"), leaseName.Name)
		})
		client.PrependReactor("create", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewAlreadyExists(coordinationv1.Resource("leases"), leaseName.Name)
		})
		run(t, elector(t, "self", client, func(context.Context) { t.Error("leads") }), ctx)
		if n := calls.Load(); n < 10 || n > 40 {
			t.Errorf("%d reads of the Lease in a minute, want one about each 2 s", n)
		}
	})
}
