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
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// scripted is a lock that answers as told.
type scripted struct {
	resourcelock.Interface
	holder         string
	getErr, update error
}

func (s *scripted) Identity() string { return "self" }

func (s *scripted) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	return &resourcelock.LeaderElectionRecord{HolderIdentity: s.holder}, nil, s.getErr
}

func (s *scripted) Update(context.Context, resourcelock.LeaderElectionRecord) error { return s.update }

// A Lease that became free ends the wait for the next look at it, but never in the middle of a try to take it.
func TestWhenToLookAtTheLeaseAnew(t *testing.T) {
	conflict := apierrors.NewConflict(coordinationv1.Resource("leases"), "taint-manager", errors.New("changed"))
	for name, test := range map[string]struct {
		lock    scripted
		updates bool // the try goes on to its write before the Lease becomes free
		freed   bool
		want    bool
	}{
		"held by another":                 {scripted{holder: "other"}, false, true, true},
		"held by another, and stays so":   {scripted{holder: "other"}, false, false, false},
		"cannot be read":                  {scripted{getErr: errors.New("refused")}, false, true, true},
		"read as free, not written yet":   {scripted{}, false, true, false},
		"taken":                           {scripted{}, true, true, false},
		"another one was faster":          {scripted{update: conflict}, true, false, true},
		"cannot be written":               {scripted{update: errors.New("refused")}, true, false, false},
		"cannot be written, freed later":  {scripted{update: errors.New("refused")}, true, true, true},
		"does not exist, not written yet": {scripted{getErr: apierrors.NewNotFound(coordinationv1.Resource("leases"), "x")}, false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, err := newLeaseWatch(fake.NewClientset(), leaseName, time.Hour)
				if err != nil {
					t.Fatal(err)
				}
				l := &lock{Interface: &test.lock, watch: w}
				_, _, _ = l.Get(t.Context()) // the errors are those of the script
				if test.updates {
					_ = l.Update(t.Context(), resourcelock.LeaderElectionRecord{})
				}
				if test.freed {
					w.observe(&coordinationv1.Lease{})
				}
				ctx, cancel := context.WithCancel(t.Context())
				var got bool
				done := make(chan struct{})
				go func() { defer close(done); got = w.wait(ctx, nil) }()
				synctest.Wait()
				cancel()
				<-done
				if got != test.want {
					t.Errorf("looks anew: %v", got)
				}
			})
		})
	}
}
