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
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/kind/nodes"
)

// TestOwnNamespaceIsRestricted deploys the overlay own-namespace instead of ours: the two share cluster-scoped objects.
func TestOwnNamespaceIsRestricted(t *testing.T) {
	s := alone(t)
	node := s.workers()[1]
	s.Cleanup(func() { s.restore(inOwnNamespace) })
	s.must(ours.remove(t.Context()))
	printed := s.apply(inOwnNamespace)
	again, err := cluster.Kubectl(t.Context(), "apply", "--dry-run=server", "-k", nodes.Overlay(inOwnNamespace.overlay))
	s.must(err)
	if all := printed + again; strings.Contains(all, "Warning") || strings.Contains(all, "PodSecurity") {
		t.Errorf("kubectl apply warned:\n%s", all)
	}
	if err := privileged(t.Context(), inOwnNamespace.namespace); !apierrors.IsForbidden(err) {
		t.Errorf("a privileged pod in namespace %s: %v, want it forbidden by Pod Security", inOwnNamespace.namespace, err)
	}
	at0, at3, stays := s.run(on(node)), s.run(on(node), builders.Tolerates(s.key, 3)), s.run(on(node), builders.ToleratesForever(s.key))
	tainted := s.taint(node, s.key)
	s.evicted(expectation{at0, due(tainted, 0)}, expectation{at3, due(tainted, 3)})
	s.stay(time.Now(), "it tolerates the taint", stays)
	s.checkEvents(node, s.key, at0, at3)
}

// privileged asks whether a pod that Pod Security "restricted" forbids may be created.
func privileged(ctx context.Context, namespace string) error {
	_, err := client.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "privileged"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "main", Image: workloadImage, SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)},
		}}},
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// restore deploys us as we were found, after something else.
func (s *scene) restore(instead ...deployment) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	for _, d := range instead {
		if err := d.remove(ctx); err != nil {
			s.Errorf("restoring: %v", err)
		}
	}
	if _, err := cluster.Kubectl(ctx, "apply", "-k", nodes.Overlay(ours.overlay)); err != nil {
		s.Errorf("restoring: %v", err)
		return
	}
	if err := poll(ctx, 2*time.Minute, ours.complete); err != nil {
		s.Errorf("restoring: %v", err)
	}
}
