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

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// TestFaultNamespaceDeleted has one of two storms in a namespace that is deleted while its pods go. No Event can be written
// there any more.
func TestFaultNamespaceDeleted(t *testing.T) {
	suite.OursOnly(t, "about our own Events")
	s := suite.Alone(t)
	controller := s.Start(harness.Options{Name: "namespace", LeaderElect: true})
	metrics := s.Token("reader", []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}})
	going := s.Beside("going")
	storm, other := s.Storm(stormPods/2, stormNodes/2), going.Storm(stormPods/2, stormNodes/2)
	storm.Begin()
	other.Begin()
	other.AwaitGone(0.1) // so that some Events are still to be written
	s.Must(s.Client.CoreV1().Namespaces().Delete(t.Context(), going.Namespace, metav1.DeleteOptions{}))
	over := timing.Now()
	storm.Spare()
	storm.Recovers(over)
	s.Eventually("the end of the namespace", 30*time.Second, func(ctx context.Context) error {
		_, err := s.Client.CoreV1().Namespaces().Get(ctx, going.Namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is still there (%w)", err)
	})

	dropped := func() float64 { return s.Metric(metrics, "taint_manager_events_total", `result="dropped"`) }
	s.Eventually("the last Event", 20*time.Second, func(context.Context) error {
		if written, n := s.Metric(metrics, "taint_manager_events_total", `result="written"`), s.Metric(metrics, "taint_eviction_controller_pod_deletions_total", ""); written+dropped() < n {
			return fmt.Errorf("%.0f of %.0f Events are written, %.0f dropped", written, n, dropped())
		}
		return nil
	})
	log, err := controller.Log()
	s.Must(err)
	retries := 0
	for line := range strings.Lines(log) {
		if strings.Contains(line, "Cannot write an Event") && strings.Contains(line, going.Namespace+"/") {
			retries++
		}
	}
	s.Saw("all pods of the namespace are gone, too, with it; %.0f Events dropped, %d tried again", dropped(), retries)
	if left := other.Left(); left > 0 {
		t.Errorf("%d pods of the namespace are left", left)
	}
	if dropped() == 0 || retries > 0 {
		t.Errorf("%.0f Events dropped, %d tried again: want some, and none", dropped(), retries)
	}
}
