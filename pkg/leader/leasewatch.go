package leader

import (
	"context"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers/coordination/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// leaseWatch tells as soon as nobody holds the Lease: because its holder released it, or has not renewed it for as long as it
// lasts. client-go's elector only looks at it now and again, so that a standby would learn late that it was released, late that
// it was renewed for the last time, and late that this is too long ago.
type leaseWatch struct {
	informer cache.SharedIndexInformer
	// free has a value when it is time to look at the Lease, because it became free or somebody else has just taken it.
	free chan struct{}
	// seen is the last renewal that was seen, by whomever.
	seen atomic.Pointer[renewal]
	// trying is set while the elector tries to take the Lease, and must not be disturbed.
	trying atomic.Bool
}

// newLeaseWatch needs a client that does not cut watches off by a timeout.
func newLeaseWatch(client kubernetes.Interface, lease types.NamespacedName) (*leaseWatch, error) {
	w := &leaseWatch{free: make(chan struct{}, 1)}
	w.informer = v1.NewFilteredLeaseInformer(client, lease.Namespace, 0, cache.Indexers{}, func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, lease.Name).String()
	})
	_, err := w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    w.look,
		UpdateFunc: func(_, lease any) { w.look(lease) },
		DeleteFunc: func(any) { w.tell() },
	})
	return w, err
}

// renewal is a Lease as it was renewed, and when we saw that. Times of other machines are only compared with each other.
type renewal struct {
	holder  string
	renewed time.Time
	seen    time.Time
	lasts   time.Duration
	end     *time.Timer
}

// is says whether a record is of that renewal; none is of nil.
func (r *renewal) is(record *resourcelock.LeaderElectionRecord) bool {
	return r != nil && r.holder == record.HolderIdentity && r.renewed.Equal(record.RenewTime.Time)
}

func (w *leaseWatch) look(object any) {
	lease, ok := object.(*coordinationv1.Lease)
	if !ok {
		return
	}
	record := resourcelock.LeaseSpecToLeaderElectionRecord(&lease.Spec)
	if record.HolderIdentity == "" {
		w.tell()
		return
	}
	now := &renewal{
		holder: record.HolderIdentity, renewed: record.RenewTime.Time,
		seen: time.Now(), lasts: time.Duration(record.LeaseDurationSeconds) * time.Second,
	}
	last := w.seen.Load()
	if last.is(record) {
		return // a relist
	}
	if last != nil {
		last.end.Stop()
	}
	now.end = time.AfterFunc(now.lasts, w.tell)
	w.seen.Store(now)
}

// over says whether a Lease that is held has lasted as long as it may, by the watch.
func (w *leaseWatch) over(record *resourcelock.LeaderElectionRecord) bool {
	last := w.seen.Load()
	return last.is(record) && time.Since(last.seen) >= last.lasts
}

func (w *leaseWatch) tell() {
	select {
	case w.free <- struct{}{}:
	default:
	}
}

// run watches until ctx is over.
func (w *leaseWatch) run(ctx context.Context) { w.informer.RunWithContext(ctx) }

// wait says whether it is time to look at the Lease anew, or it returns false when we lead or ctx is over.
func (w *leaseWatch) wait(ctx context.Context, leading <-chan struct{}) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-leading:
			return false
		case <-w.free:
			if !w.trying.Load() { // else the elector has just looked, and tells when another one was faster
				return true
			}
		}
	}
}

// lock is the Lease as the elector sees it.
type lock struct {
	resourcelock.Interface
	watch *leaseWatch
}

// Get begins a try, unless another one holds the Lease. Who has not renewed it in time holds it no more: the elector would
// find that out as well, counting from when it first saw it.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	l.watch.trying.Store(true)
	record, raw, err := l.Interface.Get(ctx)
	held := err == nil && record.HolderIdentity != "" && record.HolderIdentity != l.Identity()
	if held && l.watch.over(record) {
		record.HolderIdentity, held = "", false
	}
	l.watch.trying.Store(!held && (err == nil || apierrors.IsNotFound(err)))
	return record, raw, err
}

// Create begins the Lease.
func (l *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Create)
}

// Update takes, renews or releases the Lease.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Update)
}

// write brings a write of the Lease that has begun to its end, although we are stopping: one that is cut off may have taken
// effect all the same, and nobody would know that there is a Lease to release. The client's timeout bounds it.
func (l *lock) write(ctx context.Context, record resourcelock.LeaderElectionRecord,
	do func(context.Context, resourcelock.LeaderElectionRecord) error,
) error {
	err := do(context.WithoutCancel(ctx), record)
	if err != nil {
		l.watch.trying.Store(false)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		l.watch.tell()
	}
	return err
}
