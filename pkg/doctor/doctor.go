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

package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// Severity says how bad a finding is.
type Severity string

const (
	// Error says that taint-manager does not do what it promises.
	Error Severity = "Error"
	// Warning says that something will hurt.
	Warning Severity = "Warning"
	// Unknown says that a check could not be made.
	Unknown Severity = "Unknown"
	// Info says what is worth knowing.
	Info Severity = "Info"
	// OK says that nothing is wrong.
	OK Severity = "OK"
)

// severities are all of them, the worst first.
func severities() []Severity { return []Severity{Error, Warning, Unknown, Info, OK} }

// Finding is what one check found.
type Finding struct {
	Severity Severity `json:"severity"`
	// Check is the name of the check.
	Check string `json:"check"`
	// Seen is what was seen, and Do what to do about it, in sentences.
	Seen string `json:"seen"`
	Do   string `json:"do,omitempty"`
	// Objects are what the finding is about, if these are several.
	Objects []string `json:"objects,omitempty"`
}

// Report is what all checks found, the worst first.
type Report struct {
	explain.Header `json:",inline"`
	Findings       []Finding `json:"findings"`
}

// DeepCopyObject returns the result itself: nobody changes it.
func (r *Report) DeepCopyObject() runtime.Object { return r }

// Names returns the checks that found something.
func (r *Report) Names() (names []string) {
	for _, finding := range r.Findings {
		if finding.Severity != OK {
			names = append(names, strings.ToLower(string(finding.Severity))+"/"+finding.Check)
		}
	}
	return names
}

// Checks returns the names of all checks in alphabetical order.
func (r *Report) Checks() []string {
	names := sets.New[string]()
	for _, finding := range r.Findings {
		names.Insert(finding.Check)
	}
	return sets.List(names)
}

// Worst returns the worst severity that was found.
func (r *Report) Worst() Severity {
	for _, severity := range severities() {
		if slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == severity }) {
			return severity
		}
	}
	return OK
}

// Read is something that was read, or why it could not be.
type Read[T any] struct {
	Value T
	Err   error
	// At is the local time when it had been read. It is set where times in it are compared with the clock: other reads may take minutes.
	At time.Time
}

// Access is a permission, and whether it is granted.
type Access struct {
	authorizationv1.ResourceAttributes
	Allowed bool
}

// Cluster is what was read of a cluster.
type Cluster struct {
	// Snapshot has the nodes, all pods that are bound, the policies and the budgets.
	*snapshot.Snapshot
	// Version is the version of the plugin.
	Version string
	// Namespace is where taint-manager runs, and Lease the name of its Lease.
	Namespace, Lease string
	// ServiceAccount is the user as which taint-manager is known to the API server.
	ServiceAccount string
	// Deployments are those of taint-manager, and Replicas its pods, in all namespaces.
	Deployments Read[[]appsv1.Deployment]
	Replicas    Read[[]v1.Pod]
	// Leases are those that taint-manager makes, in all namespaces. LeaseLater is the one in Namespace, read again at the end.
	Leases     Read[[]coordinationv1.Lease]
	LeaseLater *coordinationv1.Lease
	// ControllerManagers are the pods of kube-controller-manager that are visible.
	ControllerManagers Read[[]v1.Pod]
	// Evictions are what Events say about evictions because of taints, by any controller.
	Evictions Read[[]Eviction]
	// CRD is the CustomResourceDefinition of policies, or nil, and WantedCRD the one that this version of the plugin comes with.
	CRD       Read[*unstructured.Unstructured]
	WantedCRD *unstructured.Unstructured
	// Access are the permissions of the service account, and OwnAccess those of the user of the plugin.
	Access, OwnAccess Read[[]Access]
	// Ahead is how far the API server's clock is ahead of ours, and Within the error of that. ClockKnown tells whether it is known.
	Ahead, Within time.Duration
	ClockKnown    bool
	// Heartbeats are the Leases of the nodes.
	Heartbeats Read[[]coordinationv1.Lease]
	// Lost are the pods that are being deleted on the nodes that LostNodes names, as KeepLost keeps them.
	Lost Read[[]v1.Pod]
}

// now returns the API server's time of the snapshot.
func (c *Cluster) now() time.Time { return c.API(c.At) }

// held reports whether one of the Leases of taint-manager was held when it was read, and how long before that it was renewed.
func (c *Cluster) held(lease *coordinationv1.Lease) (held bool, age time.Duration) {
	return heldAt(lease, c.API(c.Leases.At))
}

// checks are all checks.
func checks() []func(*Cluster) []Finding {
	return []func(*Cluster) []Finding{
		checkBuiltIn, checkLeader, checkReplicas, checkVersion, checkCRD, checkAccess, checkOwnAccess, checkClock, checkHeartbeats, checkTimeAdded,
		checkPause, checkPolicies, checkTolerations, checkBudgets, checkDisruptionController, checkOutOfService, checkLoops,
	}
}

// Examine makes all checks.
func Examine(c *Cluster) *Report {
	r := &Report{Header: explain.NewHeader("Diagnosis", c.Snapshot)}
	for _, check := range checks() {
		r.Findings = append(r.Findings, check(c)...)
	}
	rank := func(f Finding) int { return slices.Index(severities(), f.Severity) }
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(rank(a), rank(b)) })
	return r
}

// orOK returns the findings, or one that says that there is nothing wrong.
func orOK(findings []Finding, check, seen string) []Finding {
	if len(findings) > 0 {
		return findings
	}
	return []Finding{{Severity: OK, Check: check, Seen: seen}}
}

// unread returns a finding that something could not be read.
func unread(check, what string, err error) []Finding {
	return []Finding{{Severity: Unknown, Check: check, Seen: fmt.Sprintf("Cannot check: %s could not be read: %s.", what, err)}}
}

// blind returns findings if something is missing from the snapshot that a check needs: nodes, pods, policies or disruption budgets.
func (c *Cluster) blind(check string, needs ...string) []Finding {
	for _, unread := range c.Unread {
		if slices.Contains(needs, unread.What) {
			return []Finding{{Severity: Unknown, Check: check, Seen: fmt.Sprintf("Cannot check: %s could not be read: %s.", unread.What, unread.Error)}}
		}
	}
	return nil
}

// ago returns a duration as people say it.
func ago(now, then time.Time) string { return duration.HumanDuration(now.Sub(then)) + " ago" }

// count returns a number and a noun: "1 pod", "2 pods".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
