package app

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// permissionsRecheck is how soon permissions are looked at again while one is missing, and permissionsInterval
	// otherwise.
	permissionsRecheck  = 10 * time.Second
	permissionsInterval = 5 * time.Minute
)

// permissions asks the API server whether we may do what evictions take. Without some of them nothing seems wrong until a
// pod is due, so they are a check of readiness.
type permissions struct {
	client  kubernetes.Interface
	clock   clock.Clock
	needed  []authorizationv1.ResourceAttributes
	missing atomic.Pointer[error]
}

func newPermissions(o *Options, client kubernetes.Interface, clock clock.Clock) *permissions {
	p := &permissions{client: client, clock: clock, needed: []authorizationv1.ResourceAttributes{
		{Verb: "get", Resource: "nodes"},
		{Verb: "get", Resource: "pods"},
		{Verb: "patch", Resource: "pods", Subresource: "status"},
		{Verb: "delete", Resource: "pods"},
		{Verb: "create", Resource: "events"},
	}}
	if le := o.LeaderElection; le.LeaderElect {
		for _, verb := range []string{"get", "list", "watch", "create", "update"} {
			lease := authorizationv1.ResourceAttributes{Verb: verb, Group: "coordination.k8s.io", Resource: "leases", Namespace: le.ResourceNamespace}
			if verb != "create" { // which nobody can be granted by name
				lease.Name = le.ResourceName
			}
			p.needed = append(p.needed, lease)
		}
	}
	return p
}

// run looks at the permissions, now and again, until ctx is over.
func (p *permissions) run(ctx context.Context) {
	for {
		next := permissionsInterval
		if err := p.look(ctx); err != nil {
			next = permissionsRecheck
		}
		select {
		case <-ctx.Done():
			return
		case <-p.clock.After(next):
		}
	}
}

// look asks for each permission. What cannot be asked is not missing: others tell when the API server does not answer.
func (p *permissions) look(ctx context.Context) error {
	var missing string
	for i := range p.needed {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &p.needed[i]}}
		review, err := p.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		if !review.Status.Allowed {
			missing += ", " + describe(&p.needed[i])
		}
	}
	if missing == "" {
		p.missing.Store(nil)
		return nil
	}
	err := fmt.Errorf("not allowed to %s", missing[len(", "):])
	p.missing.Store(&err)
	klog.FromContext(ctx).Error(err, "Permissions are missing: grant them to our account; looking again", "after", permissionsRecheck)
	return err
}

func describe(r *authorizationv1.ResourceAttributes) string {
	text := r.Verb + " " + r.Resource
	if r.Subresource != "" {
		text += "/" + r.Subresource
	}
	if r.Group != "" {
		text += "." + r.Group
	}
	if r.Name != "" {
		text += " " + r.Name
	}
	if r.Namespace != "" {
		text += " in " + r.Namespace
	}
	return text
}

// err is what we may not do, as of the last look, or nil.
func (p *permissions) err() error {
	if err := p.missing.Load(); err != nil {
		return *err
	}
	return nil
}
