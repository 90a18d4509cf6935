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
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
)

func TestPermissions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var granted, asked atomic.Int32
		client := fake.NewClientset()
		client.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
			asked.Add(1)
			review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
			what := review.Spec.ResourceAttributes
			review.Status.Allowed = granted.Load() > 0 || (what.Verb != "delete" && what.Resource != "leases")
			return true, review, nil
		})
		p := newPermissions(NewOptions(), client, clock.RealClock{})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); p.run(ctx) }()
		synctest.Wait()
		err := p.err()
		if err == nil || !strings.Contains(err.Error(), "delete pods") || !strings.Contains(err.Error(), "update leases.coordination.k8s.io taint-manager in kube-system") {
			t.Errorf("missing: %v", err)
		}
		granted.Store(1)
		time.Sleep(permissionsRecheck)
		synctest.Wait()
		if err := p.err(); err != nil {
			t.Errorf("still missing: %v", err)
		}
		asked.Store(0)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := asked.Load(); n > 200 {
			t.Errorf("asked %d times in an hour", n)
		}
		stop()
		<-ended
	})
}
