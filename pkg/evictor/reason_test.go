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

package evictor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
)

// TestReasonOf has each failure as the client returns it. The messages are those of an API server of 1.37.
func TestReasonOf(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	generic := func(code int, message string) error {
		return apierrors.NewGenericServerResponse(code, "delete", pods, "p", message, 0, true)
	}
	withMessage := func(err *apierrors.StatusError, message string) error {
		err.ErrStatus.Message = message
		return err
	}
	cases := map[string]struct {
		err  error
		want Reason
	}{
		"no connection": {&url.Error{Op: "Delete", URL: "https://api", Err: errors.New("connection refused")}, Unreachable},
		"cut off":       {&url.Error{Op: "Delete", URL: "https://api", Err: io.ErrUnexpectedEOF}, Unreachable},
		"no answer":     {&url.Error{Op: "Delete", URL: "https://api", Err: context.DeadlineExceeded}, Timeout},
		"timeout":       {apierrors.NewTimeoutError("request did not complete within requested timeout", 0), Timeout},
		"overload":      {apierrors.NewTooManyRequestsError("Too many requests, please try again later."), TooManyRequests},
		"no token":      {apierrors.NewUnauthorized("Unauthorized"), Forbidden},
		"no permission": {withMessage(apierrors.NewForbidden(pods, "p", errors.New("no")), `pods "p" is forbidden: User "system:serviceaccount:kube-system:taint-manager" `+
			`cannot delete resource "pods" in API group "" in the namespace "default"`), Forbidden},
		"admission policy": {withMessage(apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "p", nil),
			`pods "p" is forbidden: ValidatingAdmissionPolicy 'stay' with binding 'stay' denied request: pods stay`), Denied},
		"admission plugin": {withMessage(apierrors.NewForbidden(pods, "p", errors.New("no")), `pods "p" is forbidden: not now`), Denied},
		"webhook denies":   {generic(http.StatusBadRequest, `admission webhook "x" denied the request: no`), Denied},
		"webhook fails": {apierrors.NewInternalError(errors.New(`failed calling webhook "x": failed to call webhook: an error on the server ("oops") has ` +
			`prevented the request from succeeding`)), WebhookFailed},
		"server fails": {apierrors.NewInternalError(errors.New("etcdserver: leader changed")), ServerError},
		"not ready":    {apierrors.NewServiceUnavailable("the server is shutting down"), ServerError},
		"conflict":     {apierrors.NewConflict(pods, "p", errors.New("modified")), Stale},
		"changes":      {errors.New("the pod changes all the time"), Stale},
	}
	found := map[Reason]bool{}
	for name, test := range cases {
		found[test.want] = true
		for _, err := range []error{test.err, fmt.Errorf("deleting pod: %w", test.err)} {
			if got := ReasonOf(err); got != test.want {
				t.Errorf("%s: %s, want %s", name, got, test.want)
			}
		}
	}
	if all := Reasons(); len(found) != len(all) || !slices.Equal(slices.Sorted(maps.Keys(found)), slices.Sorted(slices.Values(all))) {
		t.Errorf("there are cases for %v, and reasons %v", found, all)
	}
}

// observed is what was observed.
type observed []float64

func (o *observed) Observe(value float64) { *o = append(*o, value) }

// TestEachNodeReadIsObserved has a read be shared, and another one fail.
func TestEachNodeReadIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen observed
		var fails error
		reader := &nodeReader{
			admit: func(context.Context) error { return sleep(t.Context(), minReadInterval) }, clock: clock.RealClock{}, observer: &seen,
			nodes: map[string]*nodeReads{},
			get: func(ctx context.Context, _ string) (*v1.Node, error) {
				return &v1.Node{}, errors.Join(sleep(ctx, freshFor/2), fails)
			},
		}
		read := func() error {
			_, _, err := reader.read(t.Context(), "n", time.Now())
			return err
		}
		if err := read(); err != nil {
			t.Fatal(err)
		}
		_, _, err := reader.read(t.Context(), "n", time.Now().Add(-freshFor)) // shares the first
		fails = errors.New("no")
		if failed := read(); err != nil || failed == nil {
			t.Fatalf("errors %v, %v", err, failed)
		}
		if want := freshFor.Seconds() / 2; !slices.Equal(seen, observed{want, want}) {
			t.Errorf("observed %v, want %v twice", seen, want)
		}
	})
}
