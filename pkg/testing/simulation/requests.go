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
	"net/http"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

const (
	// freshRead is how long ago the read of a node may have been answered when the delete is sent that was decided on it.
	freshRead = time.Second
	// savedReads are the reads of a node that may follow one another at once; after that there is one a second.
	savedReads = 30
	// allowedConflicts is how many DELETEs of one pod fail by another version of it before one has the UID alone.
	allowedConflicts = 4
)

// nodeRead is a read of a node that was answered well.
type nodeRead struct{ began, ended time.Time }

// readBudget is how many reads of a node are allowed at a moment.
type readBudget struct {
	left float64
	at   time.Time
}

// eviction is what is known of a DELETE of ours that took effect.
type eviction struct {
	by *replica
	at time.Time
	// answered says that the replica was told.
	answered bool
	// way, version and grace are how the pod went, which version of it, and what grace period it got; nil for its own.
	way     way
	version *v1.Pod
	grace   *int64
	// again counts the DELETEs of other replicas, by the UID alone, that were decided on before this one took effect.
	again int
}

// podRead is when a read of a pod was answered, and whether the pod was being deleted in what it read.
type podRead struct {
	answered time.Time
	going    bool
}

// treat decides what becomes of a call, and counts it.
func (r *replica) treat(c *call) treatment {
	s := r.sim
	s.lock.Lock()
	defer s.lock.Unlock()
	what := r.name + " " + c.String()
	c.known = r.view.pods[types.NamespacedName{Namespace: c.namespace, Name: c.name}]
	n := r.calls[what]
	r.calls[what]++
	if s.total++; s.total > maxRequests {
		panic(fmt.Sprintf("seed %d: %d requests, the last one %s", s.seed, s.total, what))
	}
	if c.resource == "events" {
		event := &v1.Event{}
		_ = apitest.Decode(c.body, event) // of what is no Event there is none
		if tellsOfEviction(event) {
			s.told[event.InvolvedObject.UID]++
		}
	}
	f := drawTreatment(dice(s.seed, what, n), s.profile, c.method)
	if time.Now().Before(s.outages[r.name]) && f.manner == well {
		f.manner = unsent
	}
	s.applyKindFaults(c, &f)
	if c.verb() == "patch" && f.manner != well {
		r.unmarkable[metaOf(c.body).UID] = true
	}
	return f
}

// sending is called when a request has a connection.
func (r *replica) sending(c *call, f treatment) {
	r.sim.note(r.name, "sends %s (%s)", c, f.manner)
	if c.verb() == "get" && c.resource == "nodes" {
		r.spend(c)
	}
	r.checkWriter(c)
	if r.sim.options.TrustRequests {
		return
	}
	if c.verb() == "delete" || c.resource == evictions {
		r.checkPreconditions(c)
	}
	if c.verb() == "patch" && c.resource == "pods" && metaOf(c.body).UID == "" {
		r.sim.violation(c.name, "a PATCH has the UID in its body: %s", c.body)
	}
}

// checkPreconditions looks at those of a DELETE. After some that another version stood in the way of, the UID is enough, right
// after a read of the pod.
func (r *replica) checkPreconditions(c *call) {
	p := preconditions(c)
	if p == nil || ptr.Deref(p.UID, "") == "" {
		r.sim.violation(c.name, "a DELETE has the UID as precondition: %s", c.body)
		return
	}
	r.sim.lock.Lock()
	conflicts, read := r.conflicts[*p.UID], r.podReads[*p.UID].answered
	r.sim.lock.Unlock()
	if ptr.Deref(p.ResourceVersion, "") != "" {
		return
	}
	if conflicts < allowedConflicts {
		r.sim.violation(c.name, "a DELETE has the resource version as precondition, up to %d that fail by it: %s", allowedConflicts, c.body)
	}
	if c.sent.Sub(read) > freshRead {
		r.sim.violation(c.name, "a DELETE without a resource version follows a read of the pod that was answered at most %s before: %s", freshRead, c.body)
	}
}

// checkWriter looks who writes what has one writer: the one that leads.
func (r *replica) checkWriter(c *call) {
	if c.resource != policyStatus && (c.resource != "configmaps" || c.method == http.MethodGet) {
		return
	}
	r.sim.lock.Lock()
	leads := !r.leadsSince.IsZero()
	r.sim.lock.Unlock()
	if !leads {
		r.sim.violation(r.name, "what is one per cluster has one writer, which leads: %s does not lead, and sends %s", r.name, c)
	}
}

// preconditions are those of a DELETE or of an eviction, or nil.
func preconditions(c *call) *metav1.Preconditions { return deleteOptions(c).Preconditions }

// deleteOptions are those of a DELETE or of an eviction.
func deleteOptions(c *call) metav1.DeleteOptions {
	if c.resource == evictions {
		eviction := &policyv1.Eviction{}
		_ = apitest.Decode(c.body, eviction) // as below
		return ptr.Deref(eviction.DeleteOptions, metav1.DeleteOptions{})
	}
	options := metav1.DeleteOptions{}
	_ = apitest.Decode(c.body, &options) // what are none have no preconditions
	return options
}

// spend takes a read of a node out of the budget.
func (r *replica) spend(c *call) {
	r.sim.lock.Lock()
	b := r.budget[c.name]
	if b == nil {
		b = &readBudget{left: savedReads, at: c.began}
		r.budget[c.name] = b
	}
	b.left = min(savedReads, b.left+c.began.Sub(b.at).Seconds()) - 1
	b.at = c.began
	left := b.left
	r.sim.lock.Unlock()
	if left < -1.01 {
		r.sim.violation(c.name, "a node is read %d times, and then once a second: %s reads more", savedReads, r.name)
	}
}

// opened is called when a watch begins.
func (r *replica) opened(c *call) {
	r.sim.lock.Lock()
	defer r.sim.lock.Unlock()
	if c.resource != "leases" {
		r.view.opened(c.resource, c.streamsList)
	}
}

// answered is called when the client is told the whole answer.
func (r *replica) answered(c *call, answer reply) {
	s := r.sim
	s.lock.Lock()
	defer s.lock.Unlock()
	switch now := time.Now(); {
	case c.resource == discovery && answer.code == http.StatusNotFound:
		r.view.noneServed()
	case c.resource == policies && c.verb() == "list" && answer.code != http.StatusOK && answer.code != http.StatusNotFound:
		r.view.unread()
	case answer.code == http.StatusConflict && (c.verb() == "delete" || c.resource == evictions):
		if p := preconditions(c); p != nil {
			r.conflicts[ptr.Deref(p.UID, "")]++
		}
	case answer.code == http.StatusCreated && c.resource == evictions:
		if e := s.history.evictions[evictionUID(c)]; e != nil && e.by == r {
			e.answered = true
		}
	case answer.code != http.StatusOK:
	case c.verb() == "get" && c.resource == "pods":
		pod := metaOf(answer.body)
		r.podReads[pod.UID] = podRead{now, pod.DeletionTimestamp != nil}
	case c.verb() == "get" && c.resource == "nodes":
		r.reads[c.name] = append(r.reads[c.name], nodeRead{c.began, now})
	case c.verb() == "list" && c.resource != "leases" && c.limit != "1":
		r.listed(c, answer.body)
	case c.verb() == "delete":
		if e := s.history.evictions[metaOf(answer.body).UID]; e != nil && e.by == r {
			e.answered = true
		}
	}
}

// listed takes in a list, or a page of one. Nothing is seen of it before its last page has come.
func (r *replica) listed(c *call, body []byte) {
	if c.page == "" {
		delete(r.pages, c.resource)
	}
	page := listOf(body)
	for i := range page.Items {
		o := r.sim.history.byVersion[page.Items[i].ResourceVersion]
		r.pages[c.resource] = append(r.pages[c.resource], arrival{o, time.Now()})
	}
	if page.Continue == "" {
		for i := range r.pages[c.resource] {
			r.pages[c.resource][i].at = time.Now()
		}
		r.view.list(c.resource, r.pages[c.resource])
	}
}

// happened is called when the model has done what was asked for.
func (r *replica) happened(c *call, answer reply) {
	if answer.code == http.StatusCreated && c.resource == evictions {
		r.deleted(c, evictionUID(c), evicted)
		return
	}
	if answer.code != http.StatusOK || c.resource != "pods" {
		return
	}
	uid := metaOf(answer.body).UID
	switch c.verb() {
	case "delete":
		r.deleted(c, uid, deleted)
	case "patch":
		r.patched(c, uid)
	}
}

// evictionUID is the UID of the pod that an eviction is about.
func evictionUID(c *call) types.UID {
	if p := preconditions(c); p != nil && p.UID != nil {
		return *p.UID
	}
	return c.known.UID
}

// deleted judges a DELETE or an eviction that took effect.
func (r *replica) deleted(c *call, uid types.UID, w way) {
	s := r.sim
	s.note(r.name, "%s takes effect on %s", c, uid)
	s.lock.Lock()
	switch before := s.history.evictions[uid]; {
	case before == nil:
		s.history.evictions[uid] = &eviction{by: r, at: time.Now(), way: w, version: s.history.versionBefore(uid), grace: deleteOptions(c).GracePeriodSeconds}
	case before.by != r && ptr.Deref(preconditions(c).ResourceVersion, "") == "" && !r.podReads[uid].going:
		before.again++ // two that lead at the same time, and a pod that changes all the time: what this one read was from before
	default:
		s.fail(c.name, "a pod is deleted once: %s again", uid)
	}
	versions := s.history.pods[uid]
	for len(versions) > 0 && !versions[len(versions)-1].at.Before(time.Now()) {
		versions = versions[:len(versions)-1] // what this DELETE did
	}
	if n := len(versions); n > 0 && r.conflicts[uid] < allowedConflicts {
		versions = []podVersion{{pod: versions[n-1].pod}} // the one that it deletes, whatever there was before
	}
	why := r.judge(w, c.began, c.sent, versions, time.Time{})
	if pod := versions[len(versions)-1].pod; w == deleted && pod != nil && !isMarked(pod) && !r.unmarkable[uid] {
		s.fail(c.name, "a pod has the condition DisruptionTarget with our reason when it goes: %s has %v", uid, pod.Status.Conditions)
	}
	if pod := versions[len(versions)-1].pod; pod != nil && why == "" {
		r.checkGrace(c, versions, w)
		r.checkRestraint(c, pod, w)
	}
	s.lock.Unlock()
	if why != "" {
		s.violation(c.name, "a pod goes when it is due, not before: %s", why)
	}
}

// checkGrace looks at the grace period that a pod gets: its own, or a shorter one that a policy wants by which it goes.
func (r *replica) checkGrace(c *call, pods []podVersion, w way) {
	s, got := r.sim, deleteOptions(c).GracePeriodSeconds
	pod := pods[len(pods)-1].pod
	began, ok := r.decidedOn(pod.Spec.NodeName, c.began, c.sent)
	if !ok {
		return
	}
	var allowed []int64 // -1 is its own
	versions := s.history.nodes[pod.Spec.NodeName]
	for i := len(versions) - 1; i >= 0; i-- {
		for _, by := range r.view.rulingsAt(c.began) {
			for _, doubting := range by.doubts() {
				for _, version := range pods {
					if version.pod == nil || version.pod.Spec.NodeName != pod.Spec.NodeName {
						continue
					}
					q := s.history.earliest(version.pod, i, r.view, by, doubting)
					for _, t := range slices.Concat([]time.Time{began, time.Now()}, q.moments()) {
						for _, rule := range q.policies(w, t) {
							allowed = append(allowed, rule.grace(version.pod))
						}
					}
				}
			}
		}
		if versions[i].at.Before(began) {
			break
		}
	}
	if !slices.Contains(allowed, ptr.Deref(got, -1)) {
		s.fail(c.name, "a policy shortens the grace period of a pod: %s gets %d, and one of %v is right", pod.UID, ptr.Deref(got, -1), allowed)
	}
}

// grace is the grace period of a pod that goes by a policy; -1 is its own.
func (r rule) grace(pod *v1.Pod) int64 {
	if own := ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, 0); r.GracePeriodSeconds > 0 && r.GracePeriodSeconds < own {
		return r.GracePeriodSeconds
	}
	return -1
}

// isMarked says whether a pod has the condition that we write.
func isMarked(pod *v1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c v1.PodCondition) bool {
		return c.Type == v1.DisruptionTarget && c.Status == v1.ConditionTrue && c.Reason == "DeletionByTaintManager"
	})
}

// patched judges a PATCH that took effect. It may have waited for a connection since the decision, and it is written by what the replica knows of the pod, before it learns more by the
// answer; so the pod was due as it is, or as the replica was last shown it.
func (r *replica) patched(c *call, uid types.UID) {
	s := r.sim
	s.note(r.name, "%s takes effect on %s", c, uid)
	s.lock.Lock()
	versions := s.history.pods[uid]
	since := time.Time{}
	for _, version := range versions {
		if version.pod != nil && c.known != nil && version.pod.ResourceVersion == c.known.ResourceVersion {
			since = version.at
		}
	}
	versions = versions[:len(versions)-1] // what this PATCH did
	why := r.judge(deleted, c.began, c.began, versions, since)
	s.lock.Unlock()
	if why != "" {
		s.violation(c.name, "the condition DisruptionTarget is written to pods that are due: %s", why)
	}
}
