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
	"sync/atomic"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/permission"
)

const (
	// permissionsRecheck is the time between two checks while a permission is missing. permissionsInterval is the time
	// otherwise.
	permissionsRecheck  = 10 * time.Second
	permissionsInterval = 5 * time.Minute
)

// permissions asks the API server whether we have the permissions that evictions need. Without some of them everything
// seems fine until a pod is due, so they are a readiness check.
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
			if verb != "create" { // which cannot be granted by name
				lease.Name = o.leaseName()
			}
			p.needed = append(p.needed, lease)
		}
	}
	return p
}

// run checks the permissions periodically, until ctx is done.
func (p *permissions) run(ctx context.Context) {
	for {
		next := permissionsInterval
		if err := p.check(ctx); err != nil {
			next = permissionsRecheck
		}
		select {
		case <-ctx.Done():
			return
		case <-p.clock.After(next):
		}
	}
}

// check reviews each permission. If a review fails, no permission counts as missing: other checks tell that the API server
// does not answer.
func (p *permissions) check(ctx context.Context) error {
	var missing string
	for i := range p.needed {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &p.needed[i]}}
		review, err := p.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		if !review.Status.Allowed {
			missing += ", " + permission.String(&p.needed[i])
		}
	}
	if missing == "" {
		p.missing.Store(nil)
		return nil
	}
	err := fmt.Errorf("not allowed to %s", missing[len(", "):])
	p.missing.Store(&err)
	klog.FromContext(ctx).Error(err, "Permissions are missing, checking again; grant them to the service account", "after", permissionsRecheck)
	return err
}

// err returns the permissions that are missing by the last check, or nil.
func (p *permissions) err() error {
	if err := p.missing.Load(); err != nil {
		return *err
	}
	return nil
}
