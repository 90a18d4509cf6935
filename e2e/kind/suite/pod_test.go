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
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// on makes the scheduler choose that node.
func on(node string) builders.Change {
	return func(pod *corev1.Pod) {
		pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node}
	}
}

// preferring makes the scheduler choose that node if it can.
func preferring(node string) builders.Change {
	return func(pod *corev1.Pod) {
		pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
				Weight: 100,
				Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
				}}},
			}},
		}}
	}
}

// labelled gives it another label app than all have.
func labelled(app string) builders.Change {
	return func(pod *corev1.Pod) { pod.Labels = map[string]string{"app": app} }
}

// grace gives it a grace period.
func grace(seconds int64) builders.Change {
	return func(pod *corev1.Pod) { pod.Spec.TerminationGracePeriodSeconds = &seconds }
}

// running runs the workload with these arguments.
func running(arguments ...string) builders.Change {
	return func(pod *corev1.Pod) { pod.Spec.Containers[0].Args = arguments }
}

// template is a pod as all pods here are: it tolerates the taints of the tests that run at the same time.
func (s *scene) template(changes ...builders.Change) *corev1.Pod {
	pod := builders.Pod("", func(pod *corev1.Pod) {
		pod.Spec.EnableServiceLinks = ptr.To(false)
		pod.Spec.Containers[0].Image, pod.Spec.Containers[0].ImagePullPolicy = workloadImage, corev1.PullIfNotPresent
	})
	if slices.Contains(sharedTests, s.Name()) {
		for _, test := range sharedTests {
			if key, second := keysOf(test); test != s.Name() {
				builders.ToleratesForever(key)(pod)
				builders.ToleratesForever(second)(pod)
			}
		}
	}
	for _, change := range changes {
		change(pod)
	}
	return pod
}

// templateOf is template, for those that make pods with a label of their own.
func (s *scene) templateOf(app string, changes ...builders.Change) corev1.PodTemplateSpec {
	pod := s.template(append(changes, labelled(app))...)
	return corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}
}

// pod creates a pod and says when. It need not run yet.
func (s *scene) pod(changes ...builders.Change) (*corev1.Pod, timing.Moment) {
	s.Helper()
	s.pods++
	pod := s.template(append(changes, builders.Named(fmt.Sprintf("pod-%d", s.pods)))...)
	m, err := timing.Of(func() (err error) {
		pod, err = client.CoreV1().Pods(s.namespace).Create(s.Context(), pod, metav1.CreateOptions{})
		return err
	})
	s.must(err)
	return pod, m
}

// run creates a pod and waits until it is ready.
func (s *scene) run(changes ...builders.Change) *corev1.Pod {
	s.Helper()
	pod, _ := s.pod(changes...)
	return s.ready(pod)[0]
}

// many creates pods several at a time, and waits until they are ready.
func (s *scene) many(n int, changes func(i int) []builders.Change) []*corev1.Pod {
	s.Helper()
	const workers = 8
	pods := make([]*corev1.Pod, n)
	first := s.pods + 1
	s.pods += n
	s.must(loop.Each(s.Context(), workers, n, func(ctx context.Context, i int) (err error) {
		pod := s.template(append(changes(i), builders.Named(fmt.Sprintf("pod-%d", first+i)))...)
		pods[i], err = client.CoreV1().Pods(s.namespace).Create(ctx, pod, metav1.CreateOptions{})
		return err
	}))
	return s.ready(pods...)
}

// ready waits until the pods are ready, and returns them as they are then.
func (s *scene) ready(pods ...*corev1.Pod) []*corev1.Pod {
	s.Helper()
	until := time.Now().Add(starting)
	ready := make([]*corev1.Pod, len(pods))
	for i, pod := range pods {
		ok := s.watch.Await(s.Context(), until, func(seen *podwatch.Sightings) bool { return isReady(seen.Of(pod).Last) })
		ready[i] = s.watch.Of(pod).Last
		if !ok {
			s.Fatalf("pod %s is not ready after %s: %v", pod.Name, starting, ready[i].Status)
		}
	}
	return ready
}

// awaitReady waits until so many pods with the label are ready, none of them on the node that is not allowed, and
// returns them.
func (s *scene) awaitReady(app string, n int, notOn string) []*corev1.Pod {
	s.Helper()
	var ready []*corev1.Pod
	ok := s.watch.Await(s.Context(), time.Now().Add(starting), func(seen *podwatch.Sightings) bool {
		ready = nil
		for _, pod := range seen.All() {
			if pod.Going.IsZero() && pod.Last.Labels["app"] == app && pod.Last.Spec.NodeName != notOn && isReady(pod.Last) {
				ready = append(ready, pod.Last)
			}
		}
		return len(ready) == n
	})
	if !ok {
		s.Fatalf("%d pods with the label app=%s are ready (not on %q) after %s, and not %d", len(ready), app, notOn, starting, n)
	}
	return ready
}

func isReady(pod *corev1.Pod) bool {
	condition := builders.ConditionOf(pod, corev1.PodReady)
	return condition != nil && condition.Status == corev1.ConditionTrue
}

// deploy creates a Deployment and waits until its pods are ready.
func (s *scene) deploy(app string, replicas int32, changes ...builders.Change) []*corev1.Pod {
	s.Helper()
	template := s.templateOf(app, changes...)
	_, err := client.AppsV1().Deployments(s.namespace).Create(s.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Template: template, Selector: metav1.SetAsLabelSelector(labels.Set(template.Labels)),
		},
	}, metav1.CreateOptions{})
	s.must(err)
	return s.awaitReady(app, int(replicas), "")
}

// statefulSet creates a StatefulSet and waits until its pods are ready.
func (s *scene) statefulSet(app string, replicas int32, changes ...builders.Change) []*corev1.Pod {
	s.Helper()
	template := s.templateOf(app, changes...)
	_, err := client.AppsV1().StatefulSets(s.namespace).Create(s.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec: appsv1.StatefulSetSpec{
			ServiceName: app, Replicas: &replicas, Template: template, PodManagementPolicy: appsv1.ParallelPodManagement,
			Selector: metav1.SetAsLabelSelector(labels.Set(template.Labels)),
		},
	}, metav1.CreateOptions{})
	s.must(err)
	return s.awaitReady(app, int(replicas), "")
}

// daemonSet creates a DaemonSet and waits until its pods are ready on all workers.
func (s *scene) daemonSet(app string, changes ...builders.Change) []*corev1.Pod {
	s.Helper()
	template := s.templateOf(app, changes...)
	_, err := client.AppsV1().DaemonSets(s.namespace).Create(s.Context(), &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec:       appsv1.DaemonSetSpec{Template: template, Selector: metav1.SetAsLabelSelector(labels.Set(template.Labels))},
	}, metav1.CreateOptions{})
	s.must(err)
	return s.awaitReady(app, len(s.workers()), "")
}

// deletePods deletes all pods of the namespace, and waits until they are gone.
func (s *scene) deletePods() error {
	err := client.CoreV1().Pods(s.namespace).DeleteCollection(s.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
	if err != nil {
		return err
	}
	return poll(s.Context(), time.Minute, func(ctx context.Context) error {
		list, err := client.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("%d pods are still there", len(list.Items))
		}
		return err
	})
}

// split divides pods into those that are on the node, and the others.
func split(pods []*corev1.Pod, node string) (here, elsewhere []*corev1.Pod) {
	for _, pod := range pods {
		if pod.Spec.NodeName == node {
			here = append(here, pod)
		} else {
			elsewhere = append(elsewhere, pod)
		}
	}
	return here, elsewhere
}

// gone waits until a pod is gone, and returns it as it was last seen.
func (s *scene) gone(pod *corev1.Pod) podwatch.Sighting {
	s.Helper()
	const within = time.Minute
	ok := s.watch.Await(s.Context(), time.Now().Add(within), func(seen *podwatch.Sightings) bool { return !seen.Of(pod).Gone.IsZero() })
	if !ok {
		s.Fatalf("pod %s on node %s is still there after %s", pod.Name, pod.Spec.NodeName, within)
	}
	return s.watch.Of(pod)
}

// events waits until there are so many Events TaintManagerEviction in the test's namespace, and returns them.
func (s *scene) events(atLeast int, within time.Duration) []corev1.Event {
	s.Helper()
	var events []corev1.Event
	err := poll(s.Context(), within, func(ctx context.Context) error {
		list, err := client.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=TaintManagerEviction"})
		if err != nil {
			return err
		}
		if events = list.Items; len(events) < atLeast {
			return fmt.Errorf("%d Events TaintManagerEviction, and not %d", len(events), atLeast)
		}
		return nil
	})
	if err != nil {
		s.Errorf("after %s: %v", within, err)
	}
	return events
}
