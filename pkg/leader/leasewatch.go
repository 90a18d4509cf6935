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
	"sync"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/informers/coordination/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// leaseWatch tells when nobody holds the Lease, because its holder released it or did not renew it in time, and when its
// holder is silent. client-go's elector only polls. It would learn late that the Lease was released, late that it was
// renewed for the last time, and late that it has expired.
type leaseWatch struct {
	informer cache.SharedIndexInformer
	// silentAfter is how long after a renewal its holder is silent.
	silentAfter time.Duration
	// free has a value when the elector should read the Lease: it became free, or another replica has just acquired it.
	free chan struct{}
	// silent has a value when the last renewal that was seen is older than silentAfter.
	silent chan struct{}
	// trying is set while the elector tries to acquire the Lease and must not be interrupted.
	trying atomic.Bool

	lock sync.Mutex
	// version is the resourceVersion of the latest Lease that was observed.
	version string
	// seen is the last renewal that was seen, by any holder. It is nil if nobody holds the Lease.
	seen *renewal
}

// newLeaseWatch needs a client without a timeout.
func newLeaseWatch(client kubernetes.Interface, lease types.NamespacedName, silentAfter time.Duration) (*leaseWatch, error) {
	w := &leaseWatch{silentAfter: silentAfter, free: make(chan struct{}, 1), silent: make(chan struct{}, 1)}
	w.informer = v1.NewFilteredLeaseInformer(client, lease.Namespace, 0, cache.Indexers{}, func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, lease.Name).String()
	})
	_, err := w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    w.handle,
		UpdateFunc: func(_, lease any) { w.handle(lease) },
		DeleteFunc: func(any) { w.notifyFree() },
	})
	return w, err
}

// renewal is a renewal of the Lease and when we saw it. Times of other machines are compared only with each other.
type renewal struct {
	holder  string
	renewed time.Time
	seen    time.Time
	lasts   time.Duration
	// over is closed when another renewal has been seen, or the Lease was released.
	over        chan struct{}
	silent, end *time.Timer
}

// is reports whether a record is of this renewal. It returns false for nil.
func (r *renewal) is(record *resourcelock.LeaderElectionRecord) bool {
	return r != nil && r.holder == record.HolderIdentity && r.renewed.Equal(record.RenewTime.Time)
}

func (w *leaseWatch) handle(object any) {
	if lease, ok := object.(*coordinationv1.Lease); ok {
		w.observe(lease)
	}
}

// observe takes a Lease, unless a later version has been observed.
func (w *leaseWatch) observe(lease *coordinationv1.Lease) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if order, err := resourceversion.CompareResourceVersion(lease.ResourceVersion, w.version); err == nil && order < 0 {
		return // the watch is behind a read
	}
	w.version = lease.ResourceVersion
	record := resourcelock.LeaseSpecToLeaderElectionRecord(&lease.Spec)
	if w.seen.is(record) {
		return // a relist, or another field has changed
	}
	if w.seen != nil {
		w.seen.silent.Stop()
		w.seen.end.Stop()
		close(w.seen.over)
		w.seen = nil
	}
	if record.HolderIdentity == "" {
		w.notifyFree()
		return
	}
	lasts := time.Duration(record.LeaseDurationSeconds) * time.Second
	w.seen = &renewal{
		holder: record.HolderIdentity, renewed: record.RenewTime.Time, seen: time.Now(), lasts: lasts,
		over: make(chan struct{}), end: time.AfterFunc(lasts, w.notifyFree),
		silent: time.AfterFunc(w.silentAfter, func() { notify(w.silent) }),
	}
}

// last returns the last renewal that was seen, or nil if nobody holds the Lease.
func (w *leaseWatch) last() *renewal {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.seen
}

// expired reports whether a Lease that is held has expired, by the watch.
func (w *leaseWatch) expired(record *resourcelock.LeaderElectionRecord) bool {
	last := w.last()
	return last.is(record) && time.Since(last.seen) >= last.lasts
}

func (w *leaseWatch) notifyFree() { notify(w.free) }

// notify sends to a channel, unless it has a value.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run watches until ctx is done.
func (w *leaseWatch) run(ctx context.Context) { w.informer.RunWithContext(ctx) }

// wait returns true when the elector should read the Lease, and false when this replica leads or ctx is done.
func (w *leaseWatch) wait(ctx context.Context, leading <-chan struct{}) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-leading:
			return false
		case <-w.free:
			if !w.trying.Load() { // otherwise the elector has just read it, and notifies when another replica was faster
				return true
			}
		}
	}
}

// lock is the Lease as the elector uses it.
type lock struct {
	resourcelock.Interface
	watch *leaseWatch
}

// Get reads the Lease. It begins a try to acquire it, unless another replica holds it. A holder that has not renewed it in
// time does not hold it: the elector would conclude the same, but later.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	l.watch.trying.Store(true)
	record, raw, err := l.Interface.Get(ctx)
	held := err == nil && record.HolderIdentity != "" && record.HolderIdentity != l.Identity()
	if held && l.watch.expired(record) {
		record.HolderIdentity, held = "", false
	}
	l.watch.trying.Store(!held && (err == nil || apierrors.IsNotFound(err)))
	return record, raw, err
}

// Create creates the Lease.
func (l *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Create)
}

// Update acquires, renews or releases the Lease.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Update)
}

// write completes a write of the Lease even when ctx is done. A write that is cancelled may have taken effect, and nobody
// would know that there is a Lease to release. The client's timeout bounds it.
func (l *lock) write(ctx context.Context, record resourcelock.LeaderElectionRecord,
	do func(context.Context, resourcelock.LeaderElectionRecord) error,
) error {
	err := do(context.WithoutCancel(ctx), record)
	if err != nil {
		l.watch.trying.Store(false)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		l.watch.notifyFree()
	}
	return err
}
