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
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// Node holds what is kept of a node.
type Node struct {
	noMeta
	Name string
	// Observation holds what this version says about the node's NoExecute taints.
	taintstart.Observation
}

// newNode returns what is kept of a node. seen is the local time at which it reached us. list numbers the list that
// delivered it, or that preceded the watch that did.
func newNode(node *v1.Node, seen time.Time, list uint64) *Node {
	return &Node{Name: node.Name, Observation: taintstart.Observe(node, seen, list)}
}

// DeepCopyObject returns the node itself, which is never changed. Only lists of API objects call it.
func (n *Node) DeepCopyObject() runtime.Object { return n }

// GetName implements metav1.Object.
func (n *Node) GetName() string { return n.Name }

// GetUID implements metav1.Object.
func (n *Node) GetUID() types.UID { return n.UID }

// GetResourceVersion implements metav1.Object.
func (n *Node) GetResourceVersion() string { return n.ResourceVersion }
