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
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// Pod creates a pod that is bound to a node from the beginning.
func (s *Scene) Pod(node string, changes ...builders.Change) *corev1.Pod {
	s.T.Helper()
	pod, _ := s.PodAt(node, changes...)
	return pod
}

// PodAt is Pod, and says when it was created.
func (s *Scene) PodAt(node string, changes ...builders.Change) (*corev1.Pod, timing.Moment) {
	s.T.Helper()
	pod := builders.Pod(node, changes...)
	if pod.Name == "" {
		s.mu.Lock()
		s.pods++
		pod.Name = fmt.Sprintf("pod-%d", s.pods)
		s.mu.Unlock()
	}
	var created *corev1.Pod
	m, err := timing.Of(func() (err error) {
		created, err = s.Client.CoreV1().Pods(s.Namespace).Create(s.Context(), pod, metav1.CreateOptions{})
		return err
	})
	s.Must(err)
	return created, m
}

// Running waits until kwok has made the pods run.
func (s *Scene) Running(pods ...*corev1.Pod) {
	s.T.Helper()
	for _, pod := range pods {
		ok := s.watch.Await(s.Context(), time.Now().Add(30*time.Second), func(seen *podwatch.Sightings) bool {
			return seen.Of(pod).Last.Status.Phase == corev1.PodRunning
		})
		if !ok {
			s.T.Fatalf("pod %s is not running", pod.Name)
		}
	}
}

// Many creates pods several at a time, and waits until they run.
func (s *Scene) Many(n int, pod func(i int) *corev1.Pod) []*corev1.Pod {
	s.T.Helper()
	const workers = 8
	pods := s.Create(n, workers, pod)
	s.Running(pods...)
	return pods
}

// Create creates pods, so many at a time as there are workers.
func (s *Scene) Create(n, workers int, pod func(i int) *corev1.Pod) []*corev1.Pod {
	s.T.Helper()
	pods := make([]*corev1.Pod, n)
	s.Must(loop.Each(s.Context(), workers, n, func(ctx context.Context, i int) (err error) {
		pods[i], err = s.Client.CoreV1().Pods(s.Namespace).Create(ctx, pod(i), metav1.CreateOptions{})
		return err
	}))
	return pods
}

// SetTolerationSeconds changes the seconds of the pod's toleration of the key.
func (s *Scene) SetTolerationSeconds(pod *corev1.Pod, key string, seconds int64) timing.Moment {
	s.T.Helper()
	m, err := timing.Of(func() error {
		live, err := s.Client.CoreV1().Pods(s.Namespace).Get(s.Context(), pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for i := range live.Spec.Tolerations {
			if live.Spec.Tolerations[i].Key == key {
				live.Spec.Tolerations[i].TolerationSeconds = &seconds
			}
		}
		patch, err := toJSON(map[string]any{"spec": map[string]any{"tolerations": live.Spec.Tolerations}})
		if err != nil {
			return err
		}
		_, err = s.Client.CoreV1().Pods(s.Namespace).
			Patch(s.Context(), pod.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
	s.Must(err)
	return m
}

// Finish makes a running pod a finished one.
func (s *Scene) Finish(pod *corev1.Pod, phase corev1.PodPhase) {
	s.T.Helper()
	s.Running(pod)
	s.patchStatus(pod, map[string]any{"phase": phase})
}

// Remove deletes a pod at once, without a grace period.
func (s *Scene) Remove(pod *corev1.Pod) timing.Moment {
	s.T.Helper()
	m, err := timing.Of(func() error {
		return s.Client.CoreV1().Pods(s.Namespace).Delete(s.Context(), pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: ptr.To(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(pod.UID)),
		})
	})
	s.Must(err)
	return m
}

// Last is the last that was seen of a pod that may be gone.
func (s *Scene) Last(pod *corev1.Pod) *corev1.Pod {
	s.T.Helper()
	seen := s.watch.Of(pod)
	if seen.First.IsZero() {
		s.T.Fatalf("pod %s was never seen", pod.Name)
	}
	return seen.Last
}

// Live reads a pod.
func (s *Scene) Live(pod *corev1.Pod) *corev1.Pod {
	s.T.Helper()
	live, err := s.Client.CoreV1().Pods(s.Namespace).Get(s.Context(), pod.Name, metav1.GetOptions{})
	s.Must(err)
	return live
}

func toJSON(object any) ([]byte, error) {
	data, err := json.Marshal(object)
	if err != nil {
		return nil, errors.Join(errors.New("encoding a patch"), err)
	}
	return data, nil
}

// Release takes all finalizers from a pod.
func (s *Scene) Release(pod *corev1.Pod) {
	s.T.Helper()
	_, err := s.Client.CoreV1().Pods(s.Namespace).
		Patch(s.Context(), pod.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	s.Must(err)
}

// SetCondition writes a condition of a pod.
func (s *Scene) SetCondition(pod *corev1.Pod, condition corev1.PodCondition) {
	s.T.Helper()
	s.patchStatus(pod, map[string]any{"conditions": []corev1.PodCondition{condition}})
}

// KeepChanging writes to a pod, again and again, until it begins to go or ctx is over.
func (s *Scene) KeepChanging(ctx context.Context, pod *corev1.Pod, interval time.Duration) error {
	for n, going := 0, false; !going && ctx.Err() == nil; n++ {
		patch := fmt.Appendf(nil, `{"metadata":{"uid":%q,"annotations":{"e2e/changes":"%d"}}}`, pod.UID, n)
		changed, err := s.Client.CoreV1().Pods(s.Namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		going = apierrors.IsNotFound(err) || changed != nil && changed.DeletionTimestamp != nil
		if err != nil && !going && ctx.Err() == nil {
			return fmt.Errorf("changing pod %s: %w", pod.Name, err)
		}
		_ = loop.Sleep(ctx, interval)
	}
	return nil
}
