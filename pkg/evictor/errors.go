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
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// errChanged says that the pod changed between the decision and the DELETE or the eviction.
var errChanged = errors.New("the pod changed between the decision and the delete")

// errNotSent says that a DELETE or an eviction was not sent, because the answer was too old that it was decided on.
var errNotSent = errors.New("no connection in time")

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

// mayHaveTakenEffect reports whether a DELETE or an eviction may have been accepted that failed with an error: the request was sent, and no
// answer arrived, or one that does not say.
func mayHaveTakenEffect(err error) bool {
	var dial *net.OpError
	switch code := statusOf(err).Code; {
	case errors.Is(err, errNotSent), errors.As(err, &dial) && dial.Op == "dial":
		return false
	case code == 0:
		return true
	default:
		return code >= http.StatusInternalServerError && code != http.StatusServiceUnavailable
	}
}

// isOverload reports whether an error says that the API server has too much to do: 429 of its own, 504, or no answer in time.
func isOverload(err error) bool {
	return apierrors.IsTooManyRequests(err) && !isTakenOver(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		errors.Is(err, context.DeadlineExceeded)
}

// retryAfter returns for how long the API server asks to wait; 0 if it does not.
func retryAfter(err error) time.Duration {
	seconds, _ := apierrors.SuggestsClientDelay(err)
	return time.Duration(seconds) * time.Second
}

// statusOf returns the Status in an error, or a zero one.
func statusOf(err error) metav1.Status {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return metav1.Status{}
	}
	return status.Status()
}

// outcomeOfEviction returns what the error of an eviction means, and the name of the budget that it is about, or "". Failed stands for
// all that is not peculiar to evictions.
//
// The order matters: several rows share a code, and differ by a cause or by the object that the error is about.
func outcomeOfEviction(err error) (outcome Outcome, budget string) {
	switch {
	case isBudgetConflict(err):
		return BudgetConflict, budgetOf(err)
	case apierrors.IsNotFound(err):
		return Gone, ""
	case isExhausted(err):
		return Blocked, budgetOf(err)
	case isUnreconciled(err):
		return BudgetUnreconciled, budgetOf(err)
	case isTakenOver(err):
		return InProgress, ""
	case apierrors.HasStatusCause(err, v1.NamespaceTerminatingCause):
		return NamespaceTerminating, ""
	case isBrokenBudget(err), isSeveralBudgets(err):
		return BudgetInvalid, budgetOf(err)
	default:
		return Failed, ""
	}
}

// isExhausted reports whether a budget leaves no place for the pod. The API server says when to come back only where it does not know
// yet what the budget leaves: see isUnreconciled.
func isExhausted(err error) bool {
	return apierrors.IsTooManyRequests(err) && apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause) && retryAfter(err) == 0
}

// isUnreconciled reports whether the API server does not know yet what a budget leaves: the disruption controller has not seen its latest
// version, or the readiness of the pod changed meanwhile. It asks to come back after 10 s.
func isUnreconciled(err error) bool {
	return apierrors.IsTooManyRequests(err) && apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause) && retryAfter(err) > 0
}

// isTakenOver reports whether an admission webhook answers 429: it has the pod go by other means, such as a live migration, or asks to
// wait. Priority and fairness answers 429 in plain text, without this beginning.
func isTakenOver(err error) bool {
	return apierrors.IsTooManyRequests(err) && strings.HasPrefix(statusOf(err).Message, "admission webhook ")
}

// isBrokenBudget reports whether a budget refuses every eviction until something is repaired: its status allows a negative number of
// disruptions, or lists over 2,000 evictions that the disruption controller has not confirmed.
func isBrokenBudget(err error) bool {
	return apierrors.IsForbidden(err) && apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause)
}

// isSeveralBudgets reports whether more than one budget covers the pod, which the eviction API does not support. Such an answer has
// neither a reason nor a cause, and does not name the budgets.
func isSeveralBudgets(err error) bool {
	return statusOf(err).Code == http.StatusInternalServerError && strings.Contains(statusOf(err).Message, "more than one PodDisruptionBudget")
}

// conflictMessage is how the 504 begins that isBudgetConflict is about. The name of the budget follows, in quotes.
const conflictMessage = "Timeout: couldn't update PodDisruptionBudget "

// isBudgetConflict reports whether the status of the budget could not be updated, for 10 s, because others were faster: the API server
// returns the last 409, which is about the budget and not about the pod, or, in some versions, a 504. A 404 about the budget means that it
// was deleted meanwhile.
func isBudgetConflict(err error) bool {
	status := statusOf(err)
	if apierrors.IsTimeout(err) && strings.HasPrefix(status.Message, conflictMessage) {
		return true
	}
	return (apierrors.IsConflict(err) || apierrors.IsNotFound(err)) && status.Details != nil && status.Details.Group == policyv1.GroupName
}

// budgetOf returns the name of the budget that the error of an eviction is about, or "". The name is in the message of the cause, in the
// details, or in the message.
func budgetOf(err error) string {
	if cause, found := apierrors.StatusCause(err, policyv1.DisruptionBudgetCause); found {
		if rest, named := strings.CutPrefix(cause.Message, "The disruption budget "); named {
			name, _, _ := strings.Cut(rest, " ")
			return name
		}
	}
	status := statusOf(err)
	if rest, named := strings.CutPrefix(status.Message, conflictMessage); named {
		quoted, _ := strconv.QuotedPrefix(rest)
		name, _ := strconv.Unquote(quoted) // "" if the name is not in quotes
		return name
	}
	if status.Details != nil && status.Details.Group == policyv1.GroupName {
		return status.Details.Name
	}
	return ""
}

// messageOf returns what an operator may read of the error of an eviction: the message of the cause, which says more where there is one.
func messageOf(err error) string {
	if cause, found := apierrors.StatusCause(err, policyv1.DisruptionBudgetCause); found && cause.Message != "" {
		return cause.Message
	}
	return err.Error()
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
		return "Not allowed: grant our account get on nodes, get and delete on pods, patch on pods/status and, for policies of mode Evict, create on " +
			"pods/eviction, or fix the admission policy that denies"
	case apierrors.IsTooManyRequests(err):
		return "The API server asks for fewer requests: see its flow schemas, or lower --max-concurrent-evictions"
	default:
		return "Check that the API server and its admission webhooks answer"
	}
}
