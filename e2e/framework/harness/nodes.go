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

package harness

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// sceneLabel, on a node, has the name of the scene that it belongs to.
const sceneLabel = "e2e.taint-manager.test/scene"

// NodeSelector makes the scheduler choose among the scene's nodes.
func (s *Scene) NodeSelector() map[string]string { return map[string]string{sceneLabel: s.Namespace} }

// Nodes makes nodes and waits until they are ready.
func (s *Scene) Nodes(n int) []string {
	s.T.Helper()
	names := s.createNodes(n)
	s.Must(controlplane.WaitForNodes(s.Context(), s.Client, names...))
	return names
}

// HollowNodes makes nodes that are ready, and of whose kubelets nothing is played but the heartbeats: pods on them do not run.
func (s *Scene) HollowNodes(n int) []string {
	s.T.Helper()
	names := s.createNodes(n, func(node *corev1.Node) {
		node.Labels[controlplane.SilentLabel] = ""
		node.Status.Conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Hollow",
			LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
		}}
	})
	s.beat(names)
	s.Must(controlplane.WaitForNodes(s.Context(), s.Client, names...))
	return names
}

func (s *Scene) createNodes(n int, changes ...func(*corev1.Node)) (names []string) {
	s.T.Helper()
	for range n {
		s.mu.Lock()
		name := fmt.Sprintf("%s-%d", s.Namespace, len(s.nodes))
		s.nodes = append(s.nodes, name)
		s.mu.Unlock()
		_, err := controlplane.CreateNode(s.Context(), s.Client, name, append([]func(*corev1.Node){func(node *corev1.Node) {
			node.Labels[sceneLabel] = s.Namespace
		}}, changes...)...)
		s.Must(err)
		names = append(names, name)
	}
	return names
}

// Node makes a node and waits until it is ready.
func (s *Scene) Node() string {
	s.T.Helper()
	return s.Nodes(1)[0]
}

// DeleteNode deletes a node of this scene.
func (s *Scene) DeleteNode(name string) timing.Moment {
	s.T.Helper()
	m, err := timing.Of(func() error {
		return s.Client.CoreV1().Nodes().Delete(s.Context(), name, metav1.DeleteOptions{})
	})
	s.Must(err)
	return m
}

// Taint gives a node these taints and no other, as kubectl does it: by one patch of the list.
func (s *Scene) Taint(node string, taints ...corev1.Taint) timing.Moment {
	s.T.Helper()
	m, err := timing.Of(func() error { return builders.SetTaints(s.Context(), s.Client, node, taints...) })
	s.Must(err)
	return m
}

// Untaint takes all taints from a node.
func (s *Scene) Untaint(node string) timing.Moment {
	s.T.Helper()
	return s.Taint(node)
}

// Silence stops the heartbeats of a node, and all that its kubelet would do.
func (s *Scene) Silence(node string) {
	s.T.Helper()
	s.Must(controlplane.Silence(s.Context(), s.Client, node))
}

// Sicken makes a node that is silent report one last time, that it is not ready.
func (s *Scene) Sicken(node string) {
	s.T.Helper()
	patch, err := toJSON(map[string]any{"status": map[string]any{"conditions": []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "Sickened",
		LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
	}}}})
	s.Must(err)
	_, err = s.Client.CoreV1().Nodes().
		Patch(s.Context(), node, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	s.Must(err)
}

// watchLatency is how long an event may take to reach us.
const watchLatency = 200 * time.Millisecond

// AwaitTaint waits until somebody gives the node a NoExecute taint with the key. That is over when we hear of it, and
// watchLatency earlier it had not begun.
func (s *Scene) AwaitTaint(node, key string, within time.Duration) timing.Moment {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), within)
	defer cancel()
	events, err := s.Client.CoreV1().Nodes().
		Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", node).String()})
	s.Must(err)
	defer events.Stop()
	for event := range events.ResultChan() {
		now := time.Now()
		if seen, ok := event.Object.(*corev1.Node); ok && taintOf(seen, key) != nil {
			return timing.Moment{Before: now.Add(-watchLatency), After: now}
		}
	}
	s.Must(errors.Join(fmt.Errorf("node %s got no taint %s within %s", node, key, within), ctx.Err()))
	return timing.Moment{}
}

// TimeAdded is what the node's NoExecute taint with the key says; zero where it has none.
func (s *Scene) TimeAdded(node, key string) time.Time {
	s.T.Helper()
	live, err := s.Client.CoreV1().Nodes().Get(s.Context(), node, metav1.GetOptions{})
	s.Must(err)
	taint := taintOf(live, key)
	if taint == nil || taint.TimeAdded == nil {
		return time.Time{}
	}
	return taint.TimeAdded.Time
}

func taintOf(node *corev1.Node, key string) *corev1.Taint {
	for i := range node.Spec.Taints {
		if taint := &node.Spec.Taints[i]; taint.Key == key && taint.Effect == corev1.TaintEffectNoExecute {
			return taint
		}
	}
	return nil
}
