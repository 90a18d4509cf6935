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

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

const (
	podReason       = "TaintManagerEviction"
	scheduledReason = "TaintManagerScheduled"
	cancelledReason = "TaintManagerEvictionCancelled"
	// eventsTimeout is how long after the last eviction its Event may come.
	eventsTimeout = 5 * time.Second
	eventsPoll    = 100 * time.Millisecond
)

// readEvents waits until taint-manager's Events are what they should be, and returns them and what is wrong with them if
// they are not in time.
func readEvents(ctx context.Context, client kubernetes.Interface, l *ledger) (events []corev1.Event, wrong []string, err error) {
	err = wait.PollUntilContextTimeout(ctx, eventsPoll, eventsTimeout, true, func(ctx context.Context) (bool, error) {
		list, err := client.CoreV1().Events(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, fmt.Errorf("events: %w", err)
		}
		events = slices.DeleteFunc(list.Items, func(e corev1.Event) bool { return e.Source.Component != controllerName })
		slices.SortStableFunc(events, func(a, b corev1.Event) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
		wrong = checkEvents(l, events)
		return len(wrong) == 0, nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		err = nil // the timeout: wrong says why
	}
	return events, wrong, err
}

// checkEvents says what is wrong with the Events: one belongs to each eviction, one to each node that was tainted, and one
// to each whose taint was removed while evictions were pending there.
func checkEvents(l *ledger, events []corev1.Event) (wrong []string) {
	pods := make(map[types.UID]int)
	nodes := make(map[string]int)
	for _, e := range events {
		switch e.InvolvedObject.Kind {
		case "Pod":
			pods[e.InvolvedObject.UID]++
		case "Node":
			nodes[e.Reason+" "+e.InvolvedObject.Name]++
		}
	}
	for _, p := range l.sorted(func(*pod) bool { return true }) {
		want := 1
		if p.left.IsZero() {
			want = 0
		}
		if got := pods[p.uid]; got != want {
			wrong = append(wrong, fmt.Sprintf("%s has %d Events, not %d", p.name, got, want))
		}
	}
	all, removed := l.tainted()
	for reason, names := range map[string][]string{scheduledReason: all, cancelledReason: removed} {
		for _, name := range names {
			if nodes[reason+" "+name] != 1 {
				wrong = append(wrong, fmt.Sprintf("%s has %d Events %s, not 1", name, nodes[reason+" "+name], reason))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// showEvents prints all Events about nodes, and of those about pods one for each workload: they differ in little else.
// It returns how many are about pods.
func showEvents(s *screen, l *ledger, events []corev1.Event) (aboutPods int) {
	show := func(e corev1.Event) {
		object := e.InvolvedObject
		s.say(line{{fmt.Sprintf("  %s %s  ", object.Kind, object.Name), normal}, {e.Reason, accent}})
		s.paragraph(4, e.Message, dim)
	}
	seen := make(map[tolerance]bool)
	var samples []corev1.Event
	for _, e := range events {
		if e.InvolvedObject.Kind != "Pod" {
			show(e)
			continue
		}
		aboutPods++
		if p := l.pods[e.InvolvedObject.UID]; p != nil && !seen[p.tolerates] {
			seen[p.tolerates] = true
			samples = append(samples, e)
		}
	}
	for _, e := range samples {
		show(e)
	}
	s.say(plain("  %d Events about pods in all, for %d evictions; here is one for each Deployment.", aboutPods, l.evicted()))
	return aboutPods
}
