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

package explain

import (
	"cmp"
	"slices"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

const (
	// overdueAfter is how late an eviction is, at least, that is called overdue. Clocks and the watches of the controller account for less.
	overdueAfter = 5 * time.Second
	// stuckAfter is how long after the end of its grace period a pod is called stuck that is still there.
	stuckAfter = time.Minute
	// blockedFor is for how long an Event counts that says that a pod waits for its budget. It is repeated more often than that.
	blockedFor = 10 * time.Minute
)

// State says where a pod is on its way out.
type State string

const (
	// StateOverdue is that of a pod that should have gone a while ago.
	StateOverdue State = "Overdue"
	// StateStuck is that of a pod that is being deleted, and still there long after the end of its grace period.
	StateStuck State = "Stuck"
	// StateBlocked is that of a pod that is due, and waits for its disruption budget.
	StateBlocked State = "Blocked"
	// StateDue is that of a pod that must go now.
	StateDue State = "Due"
	// StateTerminating is that of a pod that is being deleted.
	StateTerminating State = "Terminating"
	// StateScheduled is that of a pod that must go later.
	StateScheduled State = "Scheduled"
	// StateHeld is that of a pod that would go, but for a policy or a dry run.
	StateHeld State = "Held"
	// StateStays is that of a pod that no taint evicts.
	StateStays State = "Stays"
	// StateMirror is that of a mirror pod: taints are not for it.
	StateMirror State = "MirrorPod"
	// StateFinished is that of a pod that has finished: taints are not for it.
	StateFinished State = "Finished"
)

// Goes reports whether the pod goes, or would go.
func (s State) Goes() bool { return s != StateStays && s != StateMirror && s != StateFinished }

// urgency returns the order in which states are shown.
func (s State) urgency() int {
	return slices.Index([]State{StateOverdue, StateStuck, StateBlocked, StateDue, StateTerminating, StateScheduled, StateHeld}, s)
}

// PodStatus is where a pod is on its way out, and what it waits for.
type PodStatus struct {
	Pod   Ref    `json:"pod"`
	Node  string `json:"node"`
	State State  `json:"state"`
	// Fate is what becomes of the pod by the taints.
	Fate Fate `json:"fate"`
	// BlockedSince is since when the pod is blocked, by an Event.
	BlockedSince time.Time `json:"blockedSince,omitzero"`
	// Terminating tells of a pod that is being deleted. It is nil if its metadata could not be read.
	Terminating *Terminating `json:"terminating,omitempty"`
	// Because says in words why the pod is where it is, without times.
	Because string `json:"because"`
}

// Time returns the time that matters in the state of a pod: when it goes or should have gone, when it would have without what holds it, or
// since when it is terminating. It is zero if that is not known.
func (p *PodStatus) Time() time.Time {
	switch {
	case p.Terminating != nil:
		return p.Terminating.Since
	case p.State == StateHeld && len(p.Fate.Held) > 0:
		return p.Fate.Held[0].From
	case !p.Fate.Deadline.IsZero():
		return p.Fate.Deadline
	default:
		return time.Time{}
	}
}

// Taint returns the taint because of which the pod goes, or would go; "" if it is not known.
func (p *PodStatus) Taint() string {
	if p.Fate.Taint == "" && len(p.Fate.Held) > 0 {
		return p.Fate.Held[0].Taint
	}
	return p.Fate.Taint
}

// moreUrgent compares pods by how urgent they are.
func moreUrgent(a, b PodStatus) int {
	return cmp.Or(cmp.Compare(a.State.urgency(), b.State.urgency()), a.Time().Compare(b.Time()),
		cmp.Compare(a.Pod.Namespace, b.Pod.Namespace), cmp.Compare(a.Pod.Name, b.Pod.Name))
}

// judge says where pods are on their way out.
type judge struct {
	s      *snapshot.Snapshot
	facts  Facts
	leader *Leader
	brake  *Brake
	at     time.Time
	// paused is the policy that holds all evictions as the controller says, where policies could not be read.
	paused string
	fates  *fates
}

func newJudge(s *snapshot.Snapshot, facts Facts, leader *Leader, brake *Brake) *judge {
	return &judge{s: s, facts: facts, leader: leader, brake: brake, at: s.API(s.At), paused: pausedUnread(s), fates: newFates(s)}
}

// pod says where a pod is, and why.
func (j *judge) pod(pod *podcache.Pod) PodStatus {
	status := j.judge(pod)
	status.Because = shared(status.Because)
	return status
}

func (j *judge) judge(pod *podcache.Pod) PodStatus {
	status := PodStatus{
		Pod: Ref{Namespace: pod.Namespace(), Name: pod.Name, UID: string(pod.UID)}, Node: pod.Node(), Fate: j.fates.now(pod),
	}
	event, waits := j.facts.Blocked[pod.UID]
	waits = waits && j.at.Sub(event.Last) < blockedFor
	switch fate := &status.Fate; {
	case fate.Reason == deadline.IsTerminating:
		j.terminating(&status, pod)
	case fate.Reason == deadline.IsMirror:
		status.State, status.Because = StateMirror, "it is a mirror pod"
	case fate.Reason == deadline.IsFinished:
		status.State, status.Because = StateFinished, "it has finished"
	case fate.Outcome == Stays:
		status.State, status.Because = StateStays, stays(fate)
	case fate.Outcome == Held:
		status.State, status.Because = StateHeld, heldBy(fate.Held)
	case fate.Outcome == Scheduled && j.expiring(fate):
		status.State, status.Because = StateHeld, heldBy(fate.Held)
	case fate.Outcome == Scheduled:
		status.State, status.Because = StateScheduled, because(fate)
		if fate.AtLatest {
			status.Because += "; perhaps earlier, nothing dates the taint"
		}
	case fate.Outcome == Blocked:
		status.State, status.Because = StateBlocked, blocked(Budgets(j.s, pod), fate)
		if waits {
			status.BlockedSince = event.First
		}
	case waits && fate.Mode == deadline.ModeEvict && j.budgetsUnread():
		status.State, status.BlockedSince = StateBlocked, event.First
		status.Because = "its last Event says: " + event.Message
	default:
		j.due(&status, pod)
	}
	return status
}

// budgetsUnread reports whether it is not known what budgets allow.
func (j *judge) budgetsUnread() bool {
	return slices.ContainsFunc(j.s.Unread, func(u snapshot.Unread) bool { return u.What == snapshot.UnreadBudgets })
}

// due says why a pod that has to go now is still there.
func (j *judge) due(status *PodStatus, pod *podcache.Pod) {
	status.State = StateDue
	if !status.Fate.AtLatest && !status.Fate.ModeUnknown && j.at.Sub(j.freeSince(&status.Fate, pod)) > overdueAfter {
		status.State = StateOverdue
	}
	switch {
	case j.brake != nil:
		status.Because = "the eviction brake is on; only the controller knows whether it holds this pod"
	case j.paused != "":
		status.Because = "the controller says that policy " + j.paused + " holds all evictions"
	case status.Fate.ModeUnknown:
		status.Because = because(&status.Fate) + "; policies could not be read, and one may keep it"
	case j.leader != nil && !j.leader.Leads:
		status.Because = "no replica of taint-manager leads"
	case status.State == StateOverdue:
		status.Because = "not known here: the controller's log and metrics say what keeps it"
	case status.Fate.AtLatest:
		status.Because = "nothing dates its taint: only the controller knows since when it is due"
	default:
		status.Because = because(&status.Fate)
	}
}

// freeSince returns since when nothing that the API shows keeps a pod that is due: since its deadline, or since its disruption budgets, which
// kept it before, allow evictions again or do not count any more.
func (j *judge) freeSince(fate *Fate, pod *podcache.Pod) time.Time {
	since := later(fate.Deadline, fate.modeSince)
	if fate.Mode != deadline.ModeEvict {
		return since
	}
	for _, budget := range j.s.CoveringBudgets(pod) {
		allowed := meta.FindStatusCondition(budget.Status.Conditions, policyv1.DisruptionAllowedCondition)
		if allowed != nil && allowed.Status == metav1.ConditionTrue {
			since = later(since, allowed.LastTransitionTime.Time)
		}
	}
	return since
}

// expiring reports whether a pod that goes later does so because a policy that holds it expires then.
func (j *judge) expiring(fate *Fate) bool {
	return slices.ContainsFunc(fate.Held, func(hold Hold) bool {
		policy := j.policy(hold.Policy)
		return policy != nil && !policy.Expires.IsZero() && !j.s.API(policy.Expires).After(fate.Deadline)
	})
}

// policy returns the policy of a name, or nil.
func (j *judge) policy(name string) *deadline.Policy {
	policies := j.s.Policies.Policies()
	if i := slices.IndexFunc(policies, func(p deadline.Policy) bool { return p.Name == name }); i >= 0 {
		return &policies[i]
	}
	return nil
}

// terminating says what a pod waits for that is being deleted.
func (j *judge) terminating(status *PodStatus, pod *podcache.Pod) {
	status.State = StateTerminating
	one, known := j.facts.Terminating[pod.UID]
	if !known {
		status.Because = "it is being deleted; since when is not known"
		return
	}
	status.Terminating = &one
	status.Because = "it is within its grace period"
	if over := j.at.Sub(one.GraceEnds); over <= 0 {
		return
	} else if over > stuckAfter {
		status.State = StateStuck
	}
	node := j.s.Nodes[pod.Node()]
	switch {
	case len(one.Finalizers) > 0:
		status.Because = "waits for " + finalizers(one.Finalizers)
	case node == nil:
		status.Because = "its node does not exist; pod garbage collection removes it"
	case node.NotReady != "":
		status.Because = "its node is not ready: no kubelet says that its containers have stopped"
	default:
		status.Because = "its kubelet has not said that its containers have stopped"
	}
}

// TerminatingOf returns since when an object is being deleted, and what that waits for; nil if it is not.
func TerminatingOf(object *metav1.ObjectMeta) *Terminating {
	if object.DeletionTimestamp == nil {
		return nil
	}
	grace := time.Duration(ptr.Deref(object.DeletionGracePeriodSeconds, 0)) * time.Second
	return &Terminating{
		Since: object.DeletionTimestamp.Add(-grace).UTC(), GraceEnds: object.DeletionTimestamp.UTC(), Finalizers: object.Finalizers,
	}
}
