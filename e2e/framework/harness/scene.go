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
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
)

const (
	// pollInterval is how often a condition is looked at that no watch reports.
	pollInterval = 50 * time.Millisecond
	// maxName leaves room for a suffix in a label of 63 characters.
	maxName = 48
)

// Scene is what one test has for itself: a namespace, nodes, and a watch of its pods. All of its methods fail the test
// where the fixture cannot be made.
type Scene struct {
	T         *testing.T
	Client    kubernetes.Interface
	CP        *controlplane.ControlPlane
	Namespace string
	// Controller is the one that is shared, or the first that the test has started.
	Controller *Controller

	suite   *Suite
	cluster *cluster
	watch   *podwatch.Watch
	// removePolicies is set once policies are served.
	removePolicies func(context.Context) error

	mu    sync.Mutex
	nodes []string
	pods  int
}

func newScene(t *testing.T, suite *Suite, c *cluster) *Scene {
	t.Helper()
	return newSceneIn(t, suite, c, namespaceOf(t.Name()))
}

// Beside returns another scene of the same test, in a namespace and with nodes of its own.
func (s *Scene) Beside(name string) *Scene {
	s.T.Helper()
	beside := newSceneIn(s.T, s.suite, s.cluster, s.Namespace+"-"+name)
	beside.Controller = s.Controller
	return beside
}

func newSceneIn(t *testing.T, suite *Suite, c *cluster, namespace string) *Scene {
	t.Helper()
	s := &Scene{T: t, Client: c.client, CP: c.cp, Namespace: namespace, suite: suite, cluster: c}
	s.Must(c.cp.Namespace(t.Context(), s.Namespace))
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	var err error
	s.watch, err = podwatch.Start(ctx, c.client, s.Namespace)
	s.Must(err)
	t.Cleanup(s.clear)
	return s
}

// namespaceOf makes a name that the API takes of a test's.
func namespaceOf(test string) string {
	name := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(strings.TrimPrefix(test, "Test")), "-")
	return strings.Trim(name[:min(len(name), maxName)], "-")
}

// clear removes nodes and pods, so that controllers of later tests find nothing to do here.
func (s *Scene) clear() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, node := range s.nodes {
		if err := s.Client.CoreV1().Nodes().Delete(ctx, node, metav1.DeleteOptions{}); err != nil {
			s.T.Logf("clearing: %v", err)
		}
	}
	now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}
	if err := s.Client.CoreV1().Pods(s.Namespace).DeleteCollection(ctx, now, metav1.ListOptions{}); err != nil {
		s.T.Logf("clearing: %v", err)
	}
}

// Settle waits until what a control plane does that was away has happened: all nodes are ready again, those of other tests too.
// Those who lost their connections start anew: by themselves they would wait ever longer, up to a minute, before they look again.
func (s *Scene) Settle() {
	s.T.Helper()
	for _, part := range []controlplane.Program{controlplane.ControllerManager, controlplane.Scheduler, controlplane.Kwok} {
		s.Must(s.CP.Part(part).Restart(s.Context()))
	}
	s.mu.Lock()
	nodes := append(healthyNodes(), s.nodes...)
	s.mu.Unlock()
	s.Must(controlplane.WaitForNodes(s.Context(), s.Client, nodes...))
}

// Must fails the test on an error of a fixture.
func (s *Scene) Must(err error) {
	if err != nil {
		s.T.Helper()
		s.T.Fatal(err)
	}
}

// Context is the test's.
func (s *Scene) Context() context.Context { return s.T.Context() }

// Eventually polls until the condition holds, and fails the test with its last error if it does not in time.
func (s *Scene) Eventually(what string, within time.Duration, condition func(context.Context) error) {
	s.T.Helper()
	if err := loop.Until(s.Context(), pollInterval, within, condition); err != nil {
		s.T.Fatalf("%s: not within %s: %v", what, within, err)
	}
}

// until polls until the condition holds or the time is over.
func (s *Scene) until(end time.Time, condition func() bool) {
	_ = wait.PollUntilContextTimeout(s.Context(), pollInterval, time.Until(end), true, func(context.Context) (bool, error) {
		return condition(), nil
	})
}

// Saw prints what a test saw, in figures.
func (s *Scene) Saw(format string, args ...any) {
	s.T.Helper()
	s.T.Logf("saw: "+format, args...)
}
