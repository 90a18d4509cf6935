package podcache

import (
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// Node is what is kept of a node.
type Node struct {
	noMeta
	Name string
	// Observation is what this version says of the node's NoExecute taints.
	taintstart.Observation
}

// newNode distils a node that reached us at the given moment, by the list of the given number or a watch that followed it.
func newNode(node *v1.Node, seen time.Time, list uint64) *Node {
	return &Node{Name: node.Name, Observation: taintstart.Observe(node, seen, list)}
}

// DeepCopyObject returns the node itself, which nobody changes: only lists of API objects have a use for it.
func (n *Node) DeepCopyObject() runtime.Object { return n }

func (n *Node) GetName() string            { return n.Name }
func (n *Node) GetUID() types.UID          { return n.UID }
func (n *Node) GetResourceVersion() string { return n.ResourceVersion }
