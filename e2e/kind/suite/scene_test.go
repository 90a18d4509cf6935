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
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
)

const (
	pollInterval = 100 * time.Millisecond
	// punctual is how late an eviction may be that nothing holds up: a second, because a node is read at most so often, and
	// another one because this machine also runs the whole cluster and starts the pods of all tests at once.
	punctual = 2 * time.Second
	// starting is how long pods may take from their creation until they are ready.
	starting = 90 * time.Second

	keyPrefix = "e2e.taint-manager.test/"
)

// sharedTests are those that run at the same time. Their pods tolerate each other's taints.
var sharedTests = []string{
	"TestPodsMove", "TestFiniteTolerations", "TestEvictionsAreCancelled", "TestGracePeriodsAreKept", "TestDaemonSets",
	"TestStatefulSets", "TestStaticPodsAreLeftAlone", "TestMetricsBehindTheNetworkPolicy",
}

// scene is what one test has for itself: a namespace, a taint key, and a watch of its pods. Its methods fail the test
// where the fixture cannot be made.
type scene struct {
	*testing.T
	namespace string
	// key is of the taints of this test, and second of another one.
	key, second string
	watch       *podwatch.Watch
	pods        int
	began       time.Time
}

// shared returns a scene for a test that runs beside others.
func shared(t *testing.T) *scene {
	t.Helper()
	if !slices.Contains(sharedTests, t.Name()) {
		t.Fatalf("%s is not one of sharedTests: name it there, so that the pods of the others tolerate its taints", t.Name())
	}
	t.Parallel()
	return newScene(t)
}

// alone returns a scene for a test beside which nothing else runs. All is sound when it begins.
func alone(t *testing.T) *scene {
	t.Helper()
	s := newScene(t)
	s.sound()
	return s
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{T: t, namespace: namespaceOf(t.Name()), began: time.Now()}
	s.key, s.second = keysOf(t.Name())
	_, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}, metav1.CreateOptions{})
	s.must(err)
	t.Cleanup(s.clear)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s.watch, err = podwatch.Start(ctx, client, s.namespace)
	s.must(err)
	return s
}

// namespaceOf makes a name that the API takes of a test's: TestPodsMove is pods-move.
func namespaceOf(test string) string {
	words := regexp.MustCompile(`[A-Z][a-z0-9]*`).FindAllString(strings.TrimPrefix(test, "Test"), -1)
	return strings.ToLower(strings.Join(words, "-"))
}

func keysOf(test string) (key, second string) {
	return keyPrefix + namespaceOf(test), keyPrefix + namespaceOf(test) + "-second"
}

// clear takes the test's taints from all nodes, and waits until its namespace is gone: the next test is not to be slowed.
func (s *scene) clear() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if s.Failed() {
		s.keepLogs(ctx)
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		s.Errorf("clearing: %v", err)
		return
	}
	for i := range nodes.Items {
		if _, err := changeTaints(ctx, nodes.Items[i].Name, nil, s.key, s.second); err != nil {
			s.Errorf("clearing: %v", err)
		}
	}
	if err := client.CoreV1().Namespaces().Delete(ctx, s.namespace, metav1.DeleteOptions{}); err != nil {
		s.Errorf("clearing: %v", err)
		return
	}
	err = wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Namespaces().Get(ctx, s.namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if err != nil {
		s.Errorf("clearing: namespace %s is still there after two minutes", s.namespace)
	}
}

// must fails the test on an error of a fixture.
func (s *scene) must(err error) {
	if err != nil {
		s.Helper()
		s.Fatal(err)
	}
}

// eventually polls until the condition holds, and fails the test with its last error if it does not in time.
func (s *scene) eventually(what string, within time.Duration, condition func(context.Context) error) {
	s.Helper()
	if err := poll(s.Context(), within, condition); err != nil {
		s.Fatalf("%s: not within %s: %v", what, within, err)
	}
}

func poll(ctx context.Context, within time.Duration, condition func(context.Context) error) error {
	return loop.Until(ctx, pollInterval, within, condition)
}

// measured adds a figure to the summary.
func (s *scene) measured(what, value string) {
	s.Logf("%s: %s", what, value)
	s.Attr(strings.ReplaceAll(what, " ", "_"), value) // a key has no spaces
}
