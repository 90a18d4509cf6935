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
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// errChanged says that the pod changed between the decision and the DELETE.
var errChanged = errors.New("the pod changed between the decision and the delete")

// outcomeOf returns the outcome that an error means, or Failed.
func outcomeOf(err error) Outcome {
	switch {
	case apierrors.IsNotFound(err):
		return Gone
	case isUIDMismatch(err):
		return NameReused
	default:
		return Failed
	}
}

// isUIDMismatch reports whether a PATCH was refused because another pod has the name now: metadata.uid cannot be changed.
func isUIDMismatch(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Code != http.StatusUnprocessableEntity || status.Status().Details == nil {
		return false
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Field == "metadata.uid" {
			return true
		}
	}
	return false
}

// isOverload reports whether an error says that the API server has too much to do: 429, 504, or no answer in time.
func isOverload(err error) bool {
	return apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		errors.Is(err, context.DeadlineExceeded)
}

// retryAfter returns for how long the API server asks to wait; 0 if it does not.
func retryAfter(err error) time.Duration {
	seconds, _ := apierrors.SuggestsClientDelay(err)
	return time.Duration(seconds) * time.Second
}

// conditionFailure says what a failed write of the condition means for the pod.
type conditionFailure int

const (
	// rejected: the API server, or an admission plugin, does not accept this write. A retry does not help.
	rejected conditionFailure = iota
	// serverError: the API server, or a webhook that it calls, is broken.
	serverError
	// busy: the API server asks for a later attempt, or another writer was faster.
	busy
	// unanswered: no answer arrived.
	unanswered
)

// conditionFailureOf classifies the error of a PATCH of the condition.
func conditionFailureOf(err error) conditionFailure {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return unanswered
	}
	switch code := status.Status().Code; code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return busy
	default:
		if code >= http.StatusInternalServerError {
			return serverError
		}
		// A webhook chooses the code with which it denies, so 404 need not mean that there is no such pod. The next read tells.
		return rejected
	}
}

// Advice returns what an operator can do about the error of an attempt.
func Advice(err error) string {
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return "Not allowed: grant our account get on nodes, get and delete on pods, and patch on pods/status, or fix the admission policy that denies"
	case apierrors.IsTooManyRequests(err):
		return "The API server asks for fewer requests: see its flow schemas, or lower --max-concurrent-evictions"
	default:
		return "Check that the API server and its admission webhooks answer"
	}
}
