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

package podcache

import (
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/serverclock"
	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// Node holds what is kept of a node.
type Node struct {
	noMeta
	Name string
	// Observation holds what this version says about the node's NoExecute taints.
	taintstart.Observation
	// labels are metadata.labels. Nodes whose labels are the same share them.
	labels labelSet
	// created is metadata.creationTimestamp in seconds of Unix time; 0 if there is none.
	created int64
}

// NewNode returns what is kept of a node. seen is the local time at which it reached us. list numbers the list that
// delivered it, or that preceded the watch that did.
func NewNode(node *v1.Node, seen time.Time, list uint64) *Node {
	n := &Node{Name: node.Name, Observation: taintstart.Observe(node, seen, list), labels: newLabelSet(node.Labels)}
	if !node.CreationTimestamp.IsZero() {
		n.created = node.CreationTimestamp.Unix()
	}
	return n
}

// Created returns metadata.creationTimestamp as a local time. It is zero if the node has none.
func (n *Node) Created(clock *serverclock.Clock) time.Time {
	if n.created == 0 {
		return time.Time{}
	}
	return clock.Local(time.Unix(n.created, 0))
}

// Labels returns metadata.labels.
func (n *Node) Labels() labels.Labels { return n.labels }

// SameLabels reports whether two versions of a node have the same labels.
func (n *Node) SameLabels(other *Node) bool { return n.labels == other.labels }

// DeepCopyObject returns the node itself, which is never changed. Only lists of API objects call it.
func (n *Node) DeepCopyObject() runtime.Object { return n }

// GetName implements metav1.Object.
func (n *Node) GetName() string { return n.Name }

// GetUID implements metav1.Object.
func (n *Node) GetUID() types.UID { return n.UID }

// GetResourceVersion implements metav1.Object.
func (n *Node) GetResourceVersion() string { return n.ResourceVersion }
