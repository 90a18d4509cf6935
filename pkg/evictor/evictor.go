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
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/brake"
	"github.com/taint-manager/taint-manager/pkg/connection"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/policy"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// Outcome says how an attempt ended. It is a label of the metric of evictions.
type Outcome string

const (
	// Deleted says that the API server accepted our DELETE.
	Deleted Outcome = "Deleted"
	// Evicted says that the API server accepted our eviction.
	Evicted Outcome = "Evicted"
	// Gone says that the pod did not exist any more.
	Gone Outcome = "Gone"
	// Terminating says that the pod was being deleted already.
	Terminating Outcome = "Terminating"
	// NameReused says that another pod has the name now.
	NameReused Outcome = "NameReused"
	// NotDue says that the pod need not go, or not yet, by the live node and pod.
	NotDue Outcome = "NotDue"
	// Failed says that the pod may still be there and due.
	Failed Outcome = "Error"

	// Blocked says that a disruption budget leaves no place for the pod.
	Blocked Outcome = "Blocked"
	// BudgetUnreconciled says that the API server does not know yet what a budget leaves.
	BudgetUnreconciled Outcome = "BudgetUnreconciled"
	// BudgetConflict says that the API server could not update the status of a budget, because others were faster.
	BudgetConflict Outcome = "BudgetConflict"
	// BudgetInvalid says that a budget refuses every eviction until it is repaired, or that several budgets cover the pod.
	BudgetInvalid Outcome = "BudgetInvalid"
	// InProgress says that an admission webhook has the pod go by other means, or asks to wait.
	InProgress Outcome = "InProgress"
	// NamespaceTerminating says that the pod goes with its namespace, in which nothing can be created, and so no eviction.
	NamespaceTerminating Outcome = "NamespaceTerminating"

	// Held says that the pod is due, and that the eviction brake or the pace of nodes holds it.
	Held Outcome = "Held"
)

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	return []Outcome{
		Deleted, Evicted, Gone, Terminating, NameReused, NotDue, Failed,
		Blocked, BudgetUnreconciled, BudgetConflict, BudgetInvalid, InProgress, NamespaceTerminating, Held,
	}
}

// Accepted reports whether the API server accepted that the pod goes, by us.
func (o Outcome) Accepted() bool { return o == Deleted || o == Evicted }

// Waits reports whether the eviction API asks to wait: the pod is there and due, and nothing has failed.
func (o Outcome) Waits() bool {
	switch o {
	case Blocked, BudgetUnreconciled, BudgetConflict, BudgetInvalid, InProgress, NamespaceTerminating:
		return true
	default:
		return false
	}
}

// slowRead is the least duration of a read of a node that counts as slow: the API server, or its storage, has too much to do.
const slowRead = time.Second

// Result is the result of an attempt.
type Result struct {
	Outcome Outcome
	// Decision is the last decision: the pod was deleted or evicted on it, or left alone, or has to wait. It is zero for the other outcomes.
	Decision deadline.Decision
	// Step is what Decision says about the time of the attempt: how the pod goes, for which taint, and by which policy. It is zero if the
	// pod was left alone.
	Step deadline.Step
	// ConditionRefused says that the pod was deleted without the condition DisruptionTarget, and Marked that the last version of the pod that
	// was read has it.
	ConditionRefused, Marked bool
	// Unversioned says that the pod was deleted in whatever version it was, because it changed too often.
	Unversioned bool
	// Pod is the pod as it was read last, or as the cache has it. Owner is its controller, if it was read and the client decodes owners.
	Pod   *podcache.Pod
	Owner *metav1.OwnerReference
	// GracePeriodSeconds is the grace period that the pod was given by its policy, or nil for its own.
	GracePeriodSeconds *int64
	// Unanswered says that a DELETE or an eviction of this attempt may have taken effect, though no answer says so.
	Unanswered bool
	// NodeRead is the duration of the slowest read of the node that this attempt made, for itself and for others that waited for it. It is
	// set for failed attempts, too.
	NodeRead time.Duration

	// Overloaded says that the API server has too much to do: by an error, or by a slow read of the node.
	Overloaded bool
	// Unreachable says that the attempt failed because the API server was not reached, or did not answer.
	Unreachable bool
	// RetryAfter is how long the API server asked to wait before the next attempt, or how long the pod is held.
	RetryAfter time.Duration

	// By is what holds the pod.
	By brake.Hold
	// Budget is the name of the budget that an outcome is about, or "" if the answer does not name it.
	Budget string
	// Message is what the API server says where the pod has to wait.
	Message string
}

// SlowNodeRead reports whether a read of the node was slow.
func (r Result) SlowNodeRead() bool { return r.NodeRead >= slowRead }

// Config is what an evictor needs. All fields but Rules, Brake and NodeReads are required.
type Config struct {
	// Client makes the calls. It must have no rate limiter of its own: there must be no wait between a decision and its DELETE, so the
	// evictor waits for Limiter before the decision.
	Client  typedcorev1.CoreV1Interface
	Limiter flowcontrol.RateLimiter
	// Clock is the timeline of all deadlines and starts. It must not step.
	Clock clock.PassiveClock
	// ServerClock converts the API's times to those of Clock, and tells the time that is written to the API.
	ServerClock *serverclock.Clock
	// Starts, Rules and Schedule are what a decision needs besides the live node and pod: since when the node has its taints, the
	// operator's choices and policies, and the deadline by the caches.
	Starts   *taintstart.Tracker
	Rules    *policy.Rules
	Schedule *evictionqueue.Queue
	// Brake is asked before a pod goes; nil for none.
	Brake *Brake
	// NodeReads observes how long each read of a node took, in seconds; nil for nobody.
	NodeReads Observer
}

// Observer observes a value.
type Observer interface{ Observe(float64) }

// Evictor evicts pods.
type Evictor struct {
	client   typedcorev1.CoreV1Interface
	limiter  flowcontrol.RateLimiter
	clock    clock.PassiveClock
	server   *serverclock.Clock
	starts   *taintstart.Tracker
	rules    *policy.Rules
	schedule *evictionqueue.Queue
	brake    *Brake
	nodes    *nodeReader
	refusals *refusals
}

// New returns an evictor.
func New(config Config) *Evictor {
	e := &Evictor{
		client: config.Client, limiter: config.Limiter, clock: config.Clock, server: config.ServerClock,
		starts: config.Starts, rules: config.Rules, schedule: config.Schedule, brake: config.Brake, refusals: newRefusals(),
	}
	e.nodes = &nodeReader{admit: e.limiter.Wait, get: e.getNode, clock: e.clock, observer: config.NodeReads, nodes: map[string]*nodeReads{}}
	return e
}

// Evict makes one attempt to evict the pod. It returns an error if the outcome is Failed: retry later.
func (e *Evictor) Evict(ctx context.Context, pod *podcache.Pod) (Result, error) {
	a := &attempt{Evictor: e, pod: pod, last: pod}
	result, err := a.run(ctx)
	if err != nil {
		if result = (Result{Outcome: outcomeOf(err)}); result.Outcome != Failed {
			err = nil
		}
	}
	if result.Outcome != Failed && result.Outcome != NotDue && result.Outcome != Held && !result.Outcome.Waits() {
		e.refusals.forget(pod.UID)
	}
	result.ConditionRefused = a.refused && result.Outcome == Deleted
	result.Pod, result.Owner, result.Marked, result.Unanswered = a.last, a.owner, a.last.DisruptionTarget, a.unanswered
	result.NodeRead = a.nodeRead
	result.Overloaded = result.SlowNodeRead() || isOverload(err)
	result.Unreachable = connection.Failed(err)
	if err != nil {
		result.RetryAfter = retryAfter(err)
	}
	return result, err
}

// ReadNode returns a live read of a node, which evictions may share: a node is read once a second at most, for whatever purpose.
func (e *Evictor) ReadNode(ctx context.Context, name string) (NodeReading, error) {
	reading, _, err := e.nodes.read(ctx, name, time.Time{})
	return reading, err
}
