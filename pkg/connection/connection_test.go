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

package connection

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestFailed(t *testing.T) {
	call := func(err error) error {
		return fmt.Errorf("reading: %w", &url.Error{Op: "Get", URL: "https://server", Err: err})
	}
	for name, c := range map[string]struct {
		err              error
		failed, timedOut bool
	}{
		"no error":           {},
		"connection refused": {call(errors.New("connection refused")), true, false},
		"no answer in time":  {call(context.DeadlineExceeded), true, true},
		"an answer":          {apierrors.NewUnauthorized("no"), false, false},
		"its own timeout":    {apierrors.NewTimeoutError("slow", 1), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if Failed(c.err) != c.failed || TimedOut(c.err) != c.timedOut {
				t.Errorf("failed %t, timed out %t: %v", Failed(c.err), TimedOut(c.err), c.err)
			}
		})
	}
}
