package podcache

import (
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// Node is what is kept of a node.
type Node struct {
	noMeta
	Name string
	// Observation is what this version says of the node's NoExecute taints.
	taintstart.Observation

	// list numbers the list that this version, or the watch that brought it, began with.
	list uint64
}

// newNode distils a node that reached us at the given moment, by the list of the given number or a watch that followed it.
func newNode(node *v1.Node, seen time.Time, list uint64) *Node {
	return &Node{
		Name:        node.Name,
		Observation: taintstart.Observe(node, seen),
		list:        list,
	}
}

func (n *Node) GetName() string            { return n.Name }
func (n *Node) GetUID() types.UID          { return n.UID }
func (n *Node) GetResourceVersion() string { return n.ResourceVersion }

// After is the observation, given the version before: changes between the two may have escaped us, unless a single watch
// brought both.
func (n *Node) After(before *Node) taintstart.Observation {
	return n.Observation.After(before.Observation, n.list != before.list)
}
