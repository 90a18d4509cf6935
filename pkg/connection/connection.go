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

// Package connection tells errors of the connection to the API server from what the API server answers.
package connection

import (
	"context"
	"errors"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// ReconnectInterval is the longest time between two calls to an API server that cannot be reached.
const ReconnectInterval = time.Second

// Failed reports whether a call did not reach the API server, or its answer did not reach us. An answer, whatever it says, is
// an apierrors.APIStatus and no such error.
func Failed(err error) bool {
	var failure *url.Error
	return errors.As(err, &failure)
}

// TimedOut reports whether that is because the time of the call was over.
func TimedOut(err error) bool {
	var failure *url.Error
	return errors.As(err, &failure) && failure.Timeout()
}

// UntilReached repeats a call until it reaches the API server, or ctx is done. Errors that the API server returns are left to the caller: of a
// reflector, whose backoff spares the API server. That backoff grows to half a minute, which is too long to notice that an API server is
// reachable again.
func UntilReached[T any](ctx context.Context, call func() (T, error)) (T, error) {
	for {
		result, err := call()
		if !Failed(err) {
			return result, err
		}
		select {
		case <-ctx.Done():
			return result, err
		case <-time.After(wait.Jitter(ReconnectInterval/2, 1)):
		}
	}
}
