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

package simulation

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// serverLimit is how long the API server works on a request.
const serverLimit = 60 * time.Second

// kindFault is what is wrong with one kind of requests, for as long as it lasts: they are slow, or are refused. What is empty is
// every verb, resource or namespace.
type kindFault struct {
	verb, resource, namespace string
	delay                     time.Duration
	refusal                   *apierrors.StatusError
}

func (a kindFault) String() string {
	kind := fmt.Sprintf("%s %s in %s", orEvery(a.verb), orEvery(a.resource), orEvery(a.namespace))
	if a.refusal != nil {
		return fmt.Sprintf("%s: %d", kind, a.refusal.Status().Code)
	}
	return fmt.Sprintf("%s: %s late", kind, a.delay)
}

func orEvery(s string) string {
	if s == "" {
		return "every"
	}
	return s
}

// concerns reports whether a call is of the kind.
func (a kindFault) concerns(c *call) bool {
	return (a.verb == "" || a.verb == c.verb()) && (a.resource == "" || a.resource == c.resource) && (a.namespace == "" || a.namespace == c.namespace)
}

// change changes how a call is treated.
func (a kindFault) change(f *treatment) {
	if f.manner != well {
		return
	}
	f.before += a.delay
	if a.refusal != nil {
		f.manner, f.refusal = refused, a.refusal
	}
}

// delays are between a tenth of a second and more than the API server's limit.
func someDelay(r *rand.Rand) time.Duration {
	most := []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 90 * time.Second}[r.IntN(4)]
	return 100*time.Millisecond + time.Duration(r.Int64N(int64(most)))
}

// drawKindFault draws a fault of any kind of requests.
func drawKindFault(r *rand.Rand) kindFault {
	a := kindFault{resource: []string{"pods", "pods", "nodes", "events", "configmaps", ""}[r.IntN(6)]}
	if r.IntN(3) > 0 {
		a.verb = []string{"get", "list", "watch", "patch", "delete", "post"}[r.IntN(6)]
	}
	if r.IntN(3) == 0 {
		a.namespace = []string{"default", "other"}[r.IntN(2)]
	}
	if r.IntN(2) == 0 {
		a.delay = someDelay(r)
	}
	for a.delay == 0 && (a.refusal == nil || apierrors.IsResourceExpired(a.refusal)) { // no version is too old for ever
		a.refusal = refusal(r, http.MethodGet)
	}
	return a
}

// drawPermanent draws a kindFault for a whole run, with which evictions go on all the same: webhooks of pods that are slow or down, slow
// reads of nodes, Events or ConfigMaps that cannot be written, or one namespace whose pods cannot be deleted.
func drawPermanent(r *rand.Rand) kindFault {
	internal := apierrors.NewInternalError(errReset)
	delay := time.Second + time.Duration(r.Int64N(int64(25*time.Second)))
	all := []kindFault{
		{verb: "delete", resource: "pods", delay: delay},
		{verb: "patch", resource: "pods", delay: delay},
		{verb: "patch", resource: "pods", refusal: internal},
		{verb: "patch", resource: "pods", refusal: apierrors.NewTimeoutError("webhook", 0)},
		{verb: "patch", resource: "pods", refusal: apierrors.NewForbidden(v1.Resource("pods"), "x", errReset)},
		{verb: "patch", resource: "pods", refusal: apierrors.NewServiceUnavailable("away")},
		{verb: "patch", resource: "pods", refusal: apierrors.NewTooManyRequests("slow down", 1)},
		{verb: "get", resource: "nodes", delay: min(delay, 5*time.Second)},
		{verb: "post", resource: "events", refusal: internal},
		{verb: "post", resource: "events", delay: delay},
		{resource: "configmaps", delay: delay},
		{resource: "configmaps", refusal: internal},
		{verb: "delete", resource: "pods", namespace: "other", refusal: internal},
	}
	return all[r.IntN(len(all))]
}

// kindFails has one kind of requests fail or be slow until it is well again, or nothing has failed for long.
func (s *sim) kindFails() {
	s.lock.Lock()
	defer s.lock.Unlock()
	if len(s.kindFaults) > 1 || s.rng.IntN(3) == 0 {
		s.kindFaults = nil
		s.noteLocked("replica-all", "have no kind of requests any more that always fails")
		return
	}
	a := drawKindFault(s.rng)
	s.kindFaults = append(s.kindFaults, a)
	s.noteLocked("replica-all", "have one kind of requests always fail or be slow: %s", a)
}

// applyKindFaults changes how a call is treated by the kind faults.
func (s *sim) applyKindFaults(c *call, f *treatment) {
	for _, a := range s.kindFaults {
		if a.concerns(c) {
			a.change(f)
		}
	}
	if s.plan.permanent != nil && s.plan.permanent.concerns(c) {
		s.plan.permanent.change(f)
	}
	if f.before >= serverLimit {
		f.before, f.manner, f.refusal = serverLimit, refused, apierrors.NewTimeoutError("it takes too long", 0)
	}
}

// mayBeLate is how late a pod may go at the end of a run.
func (s *sim) mayBeLate() time.Duration {
	if s.plan.permanent != nil {
		return 10*time.Minute + s.plan.policies.mayDelay()
	}
	return onTime + s.plan.policies.mayDelay()
}

// spared reports whether a kindFault for the whole run keeps a pod from being evicted.
func (s *sim) spared(pod *v1.Pod) bool {
	a := s.plan.permanent
	return a != nil && a.refusal != nil && a.verb == "delete" && a.namespace == pod.Namespace
}
