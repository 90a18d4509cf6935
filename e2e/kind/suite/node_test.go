//go:build kind

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

package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// fieldManager is who changes taints, as kubectl taint does: without a timeAdded.
const fieldManager = "kubectl-taint"

// workers are the names of all nodes but the control plane's.
func (s *scene) workers() []string {
	s.Helper()
	list, err := client.CoreV1().Nodes().List(s.Context(), metav1.ListOptions{LabelSelector: "!node-role.kubernetes.io/control-plane"})
	s.must(err)
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	if len(names) != 3 {
		s.Fatalf("there are %d workers, not 3: %v", len(names), names)
	}
	return names
}

// worker is one of the three. Tests that share them take different ones, so that the load is shared, too.
func (s *scene) worker() string {
	s.Helper()
	return s.workers()[max(0, slices.Index(sharedTests, s.Name()))%3]
}

// taint adds NoExecute taints with these keys to a node by one write.
func (s *scene) taint(node string, keys ...string) timing.Moment {
	s.Helper()
	m, _ := s.taintAndRead(node, keys...)
	return m
}

// taintAndRead is taint, and returns the node as it was stored.
func (s *scene) taintAndRead(node string, keys ...string) (timing.Moment, *corev1.Node) {
	s.Helper()
	m, stored, err := changeTaintsAt(s.Context(), node, keys)
	s.must(err)
	return m, stored
}

// untaint takes the taints with these keys from a node.
func (s *scene) untaint(node string, keys ...string) timing.Moment {
	s.Helper()
	m, err := changeTaints(s.Context(), node, nil, keys...)
	s.must(err)
	return m
}

func changeTaints(ctx context.Context, name string, add []string, remove ...string) (timing.Moment, error) {
	m, _, err := changeTaintsAt(ctx, name, add, remove...)
	return m, err
}

// changeTaintsAt reads the node and writes it back, again if somebody else came between. The moment is that of the write
// which succeeded.
func changeTaintsAt(ctx context.Context, name string, add []string, remove ...string) (m timing.Moment, node *corev1.Node, err error) {
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		node, err = client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		old := node.Spec.Taints
		node.Spec.Taints = slices.DeleteFunc(slices.Clone(old), func(t corev1.Taint) bool { return slices.Contains(remove, t.Key) })
		for _, key := range add {
			node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoExecute})
		}
		if len(add) == 0 && len(node.Spec.Taints) == len(old) {
			m = timing.Now()
			return nil
		}
		m.Before = time.Now()
		node, err = client.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{FieldManager: fieldManager})
		m.After = time.Now()
		return err
	})
	if err != nil {
		return m, nil, fmt.Errorf("changing taints of node %s: %w", name, err)
	}
	return m, node, nil
}

// taintsChanged is the end of the stored second at which spec.taints of the node last changed.
func taintsChanged(node *corev1.Node) (time.Time, error) {
	for _, entry := range node.ManagedFields {
		if entry.FieldsV1 != nil && entry.Time != nil && entry.Subresource == "" && strings.Contains(entry.FieldsV1.GetRawString(), `"f:taints"`) {
			return entry.Time.Add(time.Second), nil
		}
	}
	return time.Time{}, errors.New("no managedFields entry of node " + node.Name + " owns its taints")
}

// readyNode says what is wrong with a node, if anything.
func readyNode(node *corev1.Node) error {
	for _, taint := range node.Spec.Taints {
		if taint.Effect == corev1.TaintEffectNoExecute {
			return fmt.Errorf("node %s has the taint %s", node.Name, taint.ToString())
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("node %s is not ready", node.Name)
}

// sound waits until all nodes are ready and without NoExecute taints, and our Deployment is complete.
func (s *scene) sound() {
	s.Helper()
	s.eventually("sound nodes and a complete Deployment", 2*time.Minute, func(ctx context.Context) error {
		list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if err := readyNode(&list.Items[i]); err != nil {
				return err
			}
		}
		return ours.complete(ctx)
	})
}
