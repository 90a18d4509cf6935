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

// leaseWatch tells as soon as nobody holds the Lease: because its holder released it, or has not renewed it for as long as it
// lasts; and before that, when its holder is silent. client-go's elector only looks at it now and again, so that a standby would
// learn late that it was released, late that it was renewed for the last time, and late that this is too long ago.
type leaseWatch struct {
	informer cache.SharedIndexInformer
	// patience is how long after a renewal its holder is silent.
	patience time.Duration
	// free has a value when it is time to look at the Lease, because it became free or somebody else has just taken it.
	free chan struct{}
	// silent has a value when the last renewal that was seen is as old as patience.
	silent chan struct{}
	// trying is set while the elector tries to take the Lease, and must not be disturbed.
	trying atomic.Bool

	lock sync.Mutex
	// version is that of the latest Lease that was looked at.
	version string
	// seen is the last renewal that was seen, by whomever; nil where nobody holds the Lease.
	seen *renewal
}

// newLeaseWatch needs a client that does not cut watches off by a timeout.
func newLeaseWatch(client kubernetes.Interface, lease types.NamespacedName, patience time.Duration) (*leaseWatch, error) {
	w := &leaseWatch{patience: patience, free: make(chan struct{}, 1), silent: make(chan struct{}, 1)}
	w.informer = v1.NewFilteredLeaseInformer(client, lease.Namespace, 0, cache.Indexers{}, func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, lease.Name).String()
	})
	_, err := w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    w.handle,
		UpdateFunc: func(_, lease any) { w.handle(lease) },
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
	// over is closed when another renewal has been seen, or the Lease was released.
	over        chan struct{}
	silent, end *time.Timer
}

// is reports whether a record is of that renewal; none is of nil.
func (r *renewal) is(record *resourcelock.LeaderElectionRecord) bool {
	return r != nil && r.holder == record.HolderIdentity && r.renewed.Equal(record.RenewTime.Time)
}

func (w *leaseWatch) handle(object any) {
	if lease, ok := object.(*coordinationv1.Lease); ok {
		w.look(lease)
	}
}

// look takes a Lease in, unless a later version of it has been looked at.
func (w *leaseWatch) look(lease *coordinationv1.Lease) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if order, err := resourceversion.CompareResourceVersion(lease.ResourceVersion, w.version); err == nil && order < 0 {
		return // a watch that is behind a read
	}
	w.version = lease.ResourceVersion
	record := resourcelock.LeaseSpecToLeaderElectionRecord(&lease.Spec)
	if w.seen.is(record) {
		return // a relist, or something else of the Lease has changed
	}
	if w.seen != nil {
		w.seen.silent.Stop()
		w.seen.end.Stop()
		close(w.seen.over)
		w.seen = nil
	}
	if record.HolderIdentity == "" {
		w.tell()
		return
	}
	lasts := time.Duration(record.LeaseDurationSeconds) * time.Second
	w.seen = &renewal{
		holder: record.HolderIdentity, renewed: record.RenewTime.Time, seen: time.Now(), lasts: lasts,
		over: make(chan struct{}), end: time.AfterFunc(lasts, w.tell),
		silent: time.AfterFunc(w.patience, func() { notify(w.silent) }),
	}
}

// last returns the last renewal that was seen, or nil where nobody holds the Lease.
func (w *leaseWatch) last() *renewal {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.seen
}

// over reports whether a Lease that is held has lasted as long as it may, by the watch.
func (w *leaseWatch) over(record *resourcelock.LeaderElectionRecord) bool {
	last := w.last()
	return last.is(record) && time.Since(last.seen) >= last.lasts
}

func (w *leaseWatch) tell() { notify(w.free) }

// notify puts a value into a channel, unless one is there.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
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
