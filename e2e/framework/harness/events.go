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
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
)

// eventInterval is how often Events are listed.
const eventInterval = 250 * time.Millisecond

// Events waits until there are so many Events with the reason in the namespace, or until the time is over.
func (s *Scene) Events(reason string, want int, until time.Time) []corev1.Event {
	s.T.Helper()
	return s.events(s.Namespace, fields.Set{"reason": reason}, func(got int) bool { return got >= want || time.Now().After(until) })
}

// NodeEvents is Events, about a node.
func (s *Scene) NodeEvents(node, reason string, want int, until time.Time) []corev1.Event {
	s.T.Helper()
	about := fields.Set{"reason": reason, "involvedObject.kind": "Node", "involvedObject.name": node}
	return s.events(metav1.NamespaceDefault, about, func(got int) bool { return got >= want || time.Now().After(until) })
}

// EventsUntilQuiet waits until there are so many, or no further ones have come for some time.
func (s *Scene) EventsUntilQuiet(reason string, want int, quiet time.Duration) []corev1.Event {
	s.T.Helper()
	most, since := 0, time.Now()
	return s.events(s.Namespace, fields.Set{"reason": reason}, func(got int) bool {
		if got > most {
			most, since = got, time.Now()
		}
		return most >= want || time.Since(since) > quiet
	})
}

func (s *Scene) events(namespace string, which fields.Set, enough func(got int) bool) (events []corev1.Event) {
	s.T.Helper()
	options := metav1.ListOptions{FieldSelector: which.AsSelector().String()}
	_ = wait.PollUntilContextCancel(s.Context(), eventInterval, true, func(ctx context.Context) (bool, error) {
		list, err := s.Client.CoreV1().Events(namespace).List(ctx, options)
		s.Must(err)
		events = list.Items
		return enough(len(events)), nil
	})
	return events
}
