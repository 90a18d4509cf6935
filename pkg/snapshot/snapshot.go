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

package snapshot

import (
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/budget"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/policy"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
	"github.com/taint-manager/taint-manager/pkg/startstore"
	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// Input is what a snapshot is made of. What was not read is nil.
type Input struct {
	// At is the local time of the snapshot, and Server the API server's clock. Without one, API times are local times.
	At     time.Time
	Server *serverclock.Clock
	// Choices are the flags of the controller that change decisions.
	Choices deadline.Rules
	Nodes   []*podcache.Node
	Pods    []*podcache.Pod
	// Policies are the TaintEvictionPolicies of the cluster, and Namespaces the labels of its namespaces. PoliciesUnread says that the
	// policies could not be read.
	Policies       []*unstructured.Unstructured
	PoliciesUnread bool
	Namespaces     map[string]labels.Set
	Budgets        []*policyv1.PodDisruptionBudget
	// Starts is the ConfigMap that keeps starts of taints.
	Starts *v1.ConfigMap
	Unread []Unread
}

// Unread is something that could not be read.
type Unread struct {
	// What was not read, and why.
	What  string `json:"what"`
	Error string `json:"error"`
	// Means is what cannot be known because of that.
	Means string `json:"means"`
}

// Snapshot is a cluster at one moment.
type Snapshot struct {
	// At is the local time of the snapshot.
	At time.Time
	// Server is the API server's clock. It may be nil.
	Server *serverclock.Clock
	// Choices are the flags of the controller that change decisions, as the caller gave them.
	Choices deadline.Rules
	// Nodes are the nodes that were read, by name.
	Nodes map[string]*podcache.Node
	// Pods are the pods that were read, in the order of the API.
	Pods []*podcache.Pod
	// Policies are the policies of the cluster. With PoliciesUnread set, it is not known which there are: decisions tell whether and when a
	// pod would go without them, and not in which mode. That holds as well with policies that are tried.
	Policies       *policy.Fixed
	PoliciesUnread bool
	Budgets        []*policyv1.PodDisruptionBudget
	// Starts is the ConfigMap of the controller, or nil. Records are those in it. Its annotations show the eviction brake.
	Starts  *v1.ConfigMap
	Records taintstart.Records
	Unread  []Unread

	rules   *policy.Rules
	tracker *taintstart.Tracker
	budgets *budget.Index
	// objects and namespaces are those of Input.
	objects    []*unstructured.Unstructured
	namespaces map[string]labels.Set
}

// New returns a snapshot.
func New(in Input) *Snapshot {
	s := &Snapshot{
		At: in.At, Server: in.Server, Choices: in.Choices, Nodes: make(map[string]*podcache.Node, len(in.Nodes)), Pods: in.Pods,
		Budgets: in.Budgets, Starts: in.Starts, Unread: in.Unread, PoliciesUnread: in.PoliciesUnread,
		Policies: policy.NewFixed(in.Policies, in.Namespaces, in.Server, in.At),
		tracker:  taintstart.NewTracker(in.Server), budgets: budget.NewIndex(in.Budgets),
		objects: in.Policies, namespaces: in.Namespaces,
	}
	s.rules = s.Policies.Rules(in.Choices, in.Server)
	if in.Starts != nil {
		s.Records = startstore.Decode(klog.Logger{}, in.Starts)
		s.tracker.Restore(startstore.Decode(klog.Logger{}, in.Starts)) // the tracker takes out what it uses
	}
	s.tracker.SetNamed(policy.NamedNoSchedule(s.Policies.Policies()))
	for _, node := range in.Nodes {
		s.Nodes[node.Name] = node
		s.tracker.Observe(node.Name, node.Observation)
	}
	s.tracker.DropRestored()
	return s
}

// withPolicies returns a snapshot of the same cluster with other policies. What could not be read of the policies is not known of it either.
func (s *Snapshot) withPolicies(objects []*unstructured.Unstructured, namespaces map[string]labels.Set) *Snapshot {
	in := Input{
		At: s.At, Server: s.Server, Choices: s.Choices, Pods: s.Pods, Budgets: s.Budgets, Starts: s.Starts, Unread: s.Unread,
		Policies: objects, PoliciesUnread: s.PoliciesUnread, Namespaces: namespaces,
	}
	for _, node := range s.Nodes {
		in.Nodes = append(in.Nodes, node)
	}
	return New(in)
}

// API returns the API time at a local time, for display.
func (s *Snapshot) API(local time.Time) time.Time {
	if local.IsZero() || s.Server == nil {
		return local.UTC()
	}
	return s.Server.At(local).UTC()
}

// Taints returns the taints of a node that may evict, with their starts as local times.
func (s *Snapshot) Taints(node string) []deadline.Taint { return s.tracker.Taints(node) }

// TaintsAfter returns the taints of a node that may evict if a client wrote other taints now.
func (s *Snapshot) TaintsAfter(node string, taints []v1.Taint) []deadline.Taint {
	known := s.Nodes[node]
	if known == nil {
		return nil
	}
	return s.tracker.Next(node, taintstart.Written(known.Observation, taints, s.At, s.API(s.At)))
}

// PolicyObjects returns the policies as the API has them.
func (s *Snapshot) PolicyObjects() []*unstructured.Unstructured { return s.objects }

// NodeLabels returns the labels of a node. A node that was not read has none, as in the controller.
func (s *Snapshot) NodeLabels(node string) labels.Labels {
	if known := s.Nodes[node]; known != nil {
		return known.Labels()
	}
	return labels.Set{}
}

// Labels returns what policies select a pod by.
func (s *Snapshot) Labels(pod *podcache.Pod) deadline.Labels {
	return deadline.Labels{Node: s.NodeLabels(pod.Node()), Namespace: s.Policies.NamespaceLabels(pod.Namespace()), Pod: pod.Labels()}
}

// CoveringBudgets returns the disruption budgets that cover a pod, of those that were read.
func (s *Snapshot) CoveringBudgets(pod *podcache.Pod) []*policyv1.PodDisruptionBudget {
	return s.budgets.Covering(pod)
}

// Annotation returns an annotation of the ConfigMap of the controller, or "".
func (s *Snapshot) Annotation(name string) string {
	if s.Starts == nil {
		return ""
	}
	return s.Starts.Annotations[name]
}

// Rules returns the flags of the controller and the policies.
func (s *Snapshot) Rules() deadline.Rules {
	rules := s.Choices
	rules.Policies = s.Policies.Policies()
	return rules
}

// Decide decides about a pod, as the controller does.
func (s *Snapshot) Decide(pod *podcache.Pod) deadline.Decision {
	return s.DecideOn(pod, s.Taints(pod.Node()))
}

// DecideOn decides about a pod as if its node had certain taints.
func (s *Snapshot) DecideOn(pod *podcache.Pod, taints []deadline.Taint) deadline.Decision {
	return s.rules.Decide(pod, s.NodeLabels(pod.Node()), taints)
}
