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
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/taint-manager/taint-manager/pkg/connection"
)

// Reason says in a word why an attempt failed. It is a label of the metric of retries.
type Reason string

const (
	// Unreachable says that the API server was not reached, or that its answer did not reach us.
	Unreachable Reason = "Unreachable"
	// Timeout says that the API server did not answer in time, or says so itself: 408 or 504.
	Timeout Reason = "Timeout"
	// TooManyRequests says that the API server asks for fewer requests.
	TooManyRequests Reason = "TooManyRequests"
	// Forbidden says that our account is not known, or lacks a permission.
	Forbidden Reason = "Forbidden"
	// Denied says that the API server refuses the call, as an admission plugin, a webhook or a policy makes it do.
	Denied Reason = "Denied"
	// WebhookFailed says that the API server could not ask an admission webhook whose failurePolicy is Fail.
	WebhookFailed Reason = "WebhookFailed"
	// ServerError says that the API server fails by itself.
	ServerError Reason = "ServerError"
	// Stale says that what was read of the node and the pod was too old, or changed before the call, or that the caller gave up before it.
	Stale Reason = "Stale"
)

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{Unreachable, Timeout, TooManyRequests, Forbidden, Denied, WebhookFailed, ServerError, Stale}
}

// ReasonOf returns why an attempt failed.
func ReasonOf(err error) Reason {
	code := statusOf(err).Code
	switch {
	case connection.TimedOut(err), code == http.StatusRequestTimeout, code == http.StatusGatewayTimeout:
		return Timeout
	case connection.Failed(err):
		return Unreachable
	case code == 0, code == http.StatusConflict: // an error of our own, or an answer about another version of the pod
		return Stale
	case code == http.StatusTooManyRequests:
		return TooManyRequests
	case code == http.StatusUnauthorized, isUnpermitted(err):
		return Forbidden
	case code < http.StatusInternalServerError:
		return Denied
	case strings.Contains(statusOf(err).Message, "failed calling webhook"):
		return WebhookFailed
	default:
		return ServerError
	}
}

// isUnpermitted reports whether a 403 is about a permission. Admission plugins answer 403, too, and only the message differs: that about a
// permission names the user.
func isUnpermitted(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(statusOf(err).Message, `User "`)
}
