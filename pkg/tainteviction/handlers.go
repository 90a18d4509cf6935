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

package tainteviction

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// podKey is an item of podUpdateQueue. The UID is the identity; namespace and name find the pod in the cache.
type podKey struct {
	types.NamespacedName
	uid types.UID
}

func keyOf(pod *podcache.Pod) podKey {
	return podKey{types.NamespacedName{Namespace: pod.Namespace(), Name: pod.Name}, pod.UID}
}

// handleEvents registers the event handlers with the informers.
func (c *Controller) handleEvents() error {
	nodes, err := c.nodes.AddTypedEventHandler(cache.TypedResourceEventHandlerFuncs[*podcache.Node]{
		AddFunc:    c.nodeAdded,
		UpdateFunc: c.nodeUpdated,
		DeleteFunc: c.nodeDeleted,
	})
	if err != nil {
		return fmt.Errorf("handling events of nodes: %w", err)
	}
	pods, err := c.pods.AddTypedEventHandler(cache.TypedResourceEventHandlerFuncs[*podcache.Pod]{
		AddFunc:    c.podChanged,
		UpdateFunc: c.podUpdated,
		DeleteFunc: c.podDeleted,
	})
	if err != nil {
		return fmt.Errorf("handling events of pods: %w", err)
	}
	c.synced = []cache.InformerSynced{nodes.HasSynced, pods.HasSynced}
	if c.config.Policies != nil {
		c.synced = append(c.synced, c.config.Policies.HasSynced)
	}
	return nil
}

func (c *Controller) nodeAdded(node *podcache.Node) {
	c.countNode(1)
	if c.starts.Observe(node.Name, node.Observation) {
		c.nodeUpdateQueue.Add(node.Name)
	}
}

func (c *Controller) nodeUpdated(before, node *podcache.Node) {
	changed := c.starts.Observe(node.Name, node.After(before.Observation))
	if changed || !node.SameLabels(before) && c.starts.Tainted(node.Name) {
		c.nodeUpdateQueue.Add(node.Name)
	}
}

func (c *Controller) nodeDeleted(deleted cache.DeletedObject[*podcache.Node]) {
	name, last := deleted.GetName(), taintstart.Observation{}
	if node := deleted.OptionalObj; node != nil {
		last = node.Observation
	}
	if c.starts.Forget(name, last) {
		c.nodeUpdateQueue.Add(name)
	}
	c.countNode(-1)
}

func (c *Controller) podUpdated(before, pod *podcache.Pod) {
	if before.UID != pod.UID {
		c.podChanged(before) // deleted and created again while the watch was interrupted
	}
	if pod.CarryOver(before, c.config.ServerClock) {
		c.podChanged(pod)
	}
	if c.budgets != nil {
		c.budgets.PodChanged(pod)
	}
}

func (c *Controller) podDeleted(deleted cache.DeletedObject[*podcache.Pod]) {
	if pod := deleted.OptionalObj; pod != nil {
		c.podChanged(pod)
	}
}

// podChanged queues a pod that appeared, changed or was deleted, if its eviction is scheduled, or was, or its node is tainted. A taint that comes
// later finds the pod in the index: the informer stores it before it calls the handlers.
func (c *Controller) podChanged(pod *podcache.Pod) {
	if _, scheduled := c.taintEvictionQueue.Deadline(pod.UID); scheduled || c.starts.Tainted(pod.Node()) || c.trail.remembers(pod.UID) {
		c.podUpdateQueue.Add(keyOf(pod))
	}
}
