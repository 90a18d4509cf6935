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
	"errors"
	"net/url"
)

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
