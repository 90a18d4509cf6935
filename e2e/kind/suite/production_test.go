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
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/e2e/kind/nodes"
)

const controlPlaneLabel = "node-role.kubernetes.io/control-plane"

// production is the overlay of that name, and oneNode what an operator makes of it, who has one node evict at a time.
var (
	production = deployment{metav1.NamespaceSystem, "production"}
	oneNode    = deployment{metav1.NamespaceSystem, "one-node"}
)

// TestProductionWithItsConfigurationFile deploys the overlay production instead of ours, and then changes its configuration
// file. It needs three control-plane nodes: two workers become some.
func TestProductionWithItsConfigurationFile(t *testing.T) {
	s := alone(t)
	workers := s.workers()
	_, err := cluster.Script(t.Context(), cluster.ControlPlane(), `
rm -rf "$2"
cp -r "$1" "$2"
sed -i 's/maxNodes: .*/maxNodes: 1/' "$2"/taint-manager.yaml
grep -q 'maxNodes: 1$' "$2"/taint-manager.yaml
`, nodes.Overlay(production.overlay), nodes.Overlay(oneNode.overlay))
	s.must(err)
	s.Cleanup(func() { s.label(workers[:2], "null") })
	s.label(workers[:2], `""`)
	s.Cleanup(func() { s.restore(production, oneNode) })
	s.apply(production)
	before := s.configured()
	for i := range before {
		if pod := &before[i]; !pod.Spec.HostNetwork || pod.Spec.NodeName == workers[2] {
			t.Errorf("pod %s runs on node %s, host network: %t", pod.Name, pod.Spec.NodeName, pod.Spec.HostNetwork)
		}
	}

	s.apply(oneNode)
	for _, pod := range s.configured() {
		for i := range before {
			if pod.UID == before[i].UID {
				t.Errorf("pod %s runs on, with the configuration file that it has read", pod.Name)
			}
		}
	}
	first, second := s.run(on(workers[0])), s.run(on(workers[2]))
	tainted := s.taint(workers[0], s.key)
	s.evictedAt(first, due(tainted, 0))
	s.taint(workers[2], s.key)
	s.awaitBrake()
	s.stay(time.Now().Add(5*time.Second), "one node evicts already", second)
}

// configured returns our pods, which are told to read the configuration file.
func (s *scene) configured() []corev1.Pod {
	s.Helper()
	pods, err := ours.pods(s.Context())
	s.must(err)
	for i := range pods {
		spec := &pods[i].Spec
		if args := strings.Join(spec.Containers[0].Args, " "); !strings.Contains(args, "--config=/etc/taint-manager/taint-manager.yaml") {
			s.Errorf("pod %s has the arguments %s", pods[i].Name, args)
		}
	}
	return pods
}

// awaitBrake waits until the leader says that it holds evictions.
func (s *scene) awaitBrake() {
	s.Helper()
	token := s.token("reader", "")
	s.eventually("the eviction brake", 10*time.Second, func(ctx context.Context) error {
		leader, err := ours.leader(ctx)
		if err != nil {
			return err
		}
		text, err := raw(ctx, leader, "/readyz?verbose", token)
		if err == nil && !strings.Contains(text, "[+]eviction-brake (Holding evictions since ") {
			err = errors.New(text)
		}
		return err
	})
}

// label gives nodes the label of control-plane nodes, or, with null, takes it from them.
func (s *scene) label(names []string, value string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%s}}}`, controlPlaneLabel, value)
	for _, node := range names {
		if _, err := client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			s.Errorf("labelling node %s: %v", node, err)
		}
	}
}
