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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// answers are answers to an eviction, as an API server of 1.37 writes them: the code, the header Retry-After, and the body.
var answers = map[string]struct {
	code       int
	retryAfter string
	body       string

	want       Outcome
	budget     string
	after      time.Duration
	overloaded bool
}{
	"gone": {code: 404, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"p\" not found","reason":"NotFound",` +
		`"details":{"name":"p","kind":"pods"},"code":404}`, want: Gone},
	"no such namespace": {code: 404, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"namespaces \"default\" not found",` +
		`"reason":"NotFound","details":{"name":"default","kind":"namespaces"},"code":404}`, want: Gone},
	"budget exhausted": {code: 429, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"Cannot evict pod as it would violate the pod's disruption budget.","reason":"TooManyRequests",` +
		`"details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget web needs 2 healthy pods and has 2 currently"}]},"code":429}`,
		want: Blocked, budget: "web"},
	"budget failed to sync": {code: 429, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"Cannot evict pod as it would violate the pod's disruption budget.","reason":"TooManyRequests",` +
		`"details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget web.v2 does not allow evicting pods currently because it failed sync: ` +
		`found no controllers for pod \"p\""}]},"code":429}`,
		want: Blocked, budget: "web.v2"},
	"budget not reconciled": {code: 429, retryAfter: "10", body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"Cannot evict pod as it would violate the pod's disruption budget.","reason":"TooManyRequests",` +
		`"details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget web is still being processed by the server."}],` +
		`"retryAfterSeconds":10},"code":429}`,
		want: BudgetUnreconciled, budget: "web", after: 10 * time.Second},
	"live migration": {code: 429, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"admission webhook ` +
		`\"virt-launcher-eviction-interceptor.kubevirt.io\" denied the request: Eviction triggered evacuation of VMI \"default/vm\"","code":429}`,
		want: InProgress},
	"priority and fairness": {code: 429, retryAfter: "3", body: "Too many requests, please try again later.\n",
		want: Failed, after: 3 * time.Second, overloaded: true},
	"namespace terminating": {code: 403, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"pods \"p\" is forbidden: unable to create new content in namespace default because it is being terminated","reason":"Forbidden",` +
		`"details":{"name":"p","kind":"pods","causes":[{"reason":"NamespaceTerminating","message":"namespace default is being terminated",` +
		`"field":"metadata.namespace"}]},"code":403}`, want: NamespaceTerminating},
	"not allowed": {code: 403, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"p\" is forbidden: ` +
		`User \"system:serviceaccount:kube-system:taint-manager\" cannot create resource \"pods/eviction\" in API group \"\" in the namespace \"default\"",` +
		`"reason":"Forbidden","details":{"name":"p","kind":"pods"},"code":403}`, want: Failed},
	"negative budget": {code: 403, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"poddisruptionbudget.policy \"web\" is forbidden: pdb disruptions allowed is negative","reason":"Forbidden",` +
		`"details":{"name":"web","group":"policy","kind":"poddisruptionbudget","causes":[{"reason":"DisruptionBudget",` +
		`"message":"The disruption budget web does not allow evicting pods currently: pdb disruptions allowed is negative"}]},"code":403}`,
		want: BudgetInvalid, budget: "web"},
	"too many evictions not confirmed": {code: 403, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"poddisruptionbudget.policy \"web\" is forbidden: DisruptedPods map too big - too many evictions not confirmed by PDB controller",` +
		`"reason":"Forbidden","details":{"name":"web","group":"policy","kind":"poddisruptionbudget","causes":[{"reason":"DisruptionBudget",` +
		`"message":"The disruption budget web does not allow evicting pods currently: too many pending evictions not confirmed by PDB controller"}]},"code":403}`,
		want: BudgetInvalid, budget: "web"},
	"several budgets": {code: 500, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.","code":500}`, want: BudgetInvalid},
	"another 500": {code: 500, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"Internal error occurred: failed calling webhook \"x\"","reason":"InternalError","code":500}`, want: Failed},
	"conflict about the budget": {code: 409, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"Operation cannot be fulfilled on poddisruptionbudgets.policy \"web\": the object has been modified; please apply your changes to the ` +
		`latest version and try again","reason":"Conflict","details":{"name":"web","group":"policy","kind":"poddisruptionbudgets"},"code":409}`,
		want: BudgetConflict, budget: "web"},
	"budget deleted meanwhile": {code: 404, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"poddisruptionbudgets.policy \"web\" not found","reason":"NotFound",` +
		`"details":{"name":"web","group":"policy","kind":"poddisruptionbudgets"},"code":404}`, want: BudgetConflict, budget: "web"},
	"conflicts on the budget": {code: 504, retryAfter: "10", body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"Timeout: couldn't update PodDisruptionBudget \"web\" due to conflicts","reason":"Timeout","details":{"retryAfterSeconds":10},"code":504}`,
		want: BudgetConflict, budget: "web", after: 10 * time.Second},
	"timeout": {code: 504, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"Timeout: request did not complete within requested timeout - context deadline exceeded","reason":"Timeout","details":{},"code":504}`,
		want: Failed, overloaded: true},
	"denied by a webhook": {code: 400, body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"admission webhook \"x\" denied the request: no","code":400}`, want: Failed},
}

// answering returns the answer of an API server, as it is on the wire.
func answering(code int, retryAfter, body string) *http.Response {
	header := http.Header{"Content-Type": {"application/json"}}
	if !json.Valid([]byte(body)) {
		header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	if retryAfter != "" {
		header.Set("Retry-After", retryAfter)
	}
	return &http.Response{StatusCode: code, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

// TestAnswersToAnEviction has the API server give each answer that it has.
func TestAnswersToAnEviction(t *testing.T) {
	for name, test := range answers {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				evicts(e)
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					if req.Method != http.MethodPost {
						return nil, nil
					}
					return answering(test.code, test.retryAfter, test.body), nil
				}
				began := time.Now()
				result, err := e.Evict(t.Context(), pod)
				if result.Outcome != test.want || (err != nil) != (test.want == Failed) {
					t.Errorf("outcome %s, error %v, want %s", result.Outcome, err, test.want)
				}
				if result.Budget != test.budget || result.RetryAfter != test.after || result.Overloaded != test.overloaded {
					t.Errorf("result %+v", result)
				}
				if result.Outcome.Waits() != (test.want != Failed && test.want != Gone) || result.Outcome.Accepted() {
					t.Errorf("waits %v, accepted %v", result.Outcome.Waits(), result.Outcome.Accepted())
				}
				if result.Outcome.Waits() && (result.Message == "" || !result.Decision.Evict || result.Step.Policy == nil) {
					t.Errorf("message %q, decision %+v, step %+v", result.Message, result.Decision, result.Step)
				}
				if n := api.Count("POST"); n != 1 || time.Since(began) > time.Second {
					t.Errorf("%d evictions in %v", n, time.Since(began))
				}
				if api.Count("PATCH")+api.Count("DELETE") != 0 || api.Pod("p") == nil {
					t.Errorf("requests %v", api.Requests())
				}
			})
		})
	}
}

func TestErrorsThatAreNoAnswers(t *testing.T) {
	for _, err := range []error{errors.New("connection refused"), fmt.Errorf("wrapped: %w", io.ErrUnexpectedEOF), apierrors.NewUnauthorized("no")} {
		if outcome, budget := outcomeOfEviction(err); outcome != Failed || budget != "" {
			t.Errorf("%v: %s, budget %q", err, outcome, budget)
		}
	}
}
