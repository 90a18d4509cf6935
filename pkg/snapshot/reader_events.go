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

package snapshot

import (
	"context"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// Events returns the Events about an object of a kind.
func (r *Reader) Events(ctx context.Context, kind, namespace, name string) ([]eventsv1.Event, []Unread, error) {
	about := fields.Set{"regarding.kind": kind, "regarding.name": name}
	events, err := r.events(ctx, namespace, about.AsSelector())
	unread, err := Refused(err, "Events about "+name, "what has been done about it, and by whom")
	return events, unread, err
}

// EventsOfReason returns the Events of a namespace, or of all, that have a reason. What an error means is the caller's to say: see Refused.
func (r *Reader) EventsOfReason(ctx context.Context, namespace, reason string) ([]eventsv1.Event, error) {
	return r.events(ctx, namespace, fields.OneTermEqualSelector("reason", reason))
}

// events lists the Events of a namespace, or of all, that a selector selects.
func (r *Reader) events(ctx context.Context, namespace string, selector fields.Selector) (events []eventsv1.Event, err error) {
	options := metav1.ListOptions{FieldSelector: selector.String()}
	err = pages(ctx, r, "events", options, func(ctx context.Context, options metav1.ListOptions) (metav1.ListInterface, int, error) {
		list, err := r.Kube.EventsV1().Events(namespace).List(ctx, options)
		if err != nil {
			return nil, 0, err
		}
		events = append(events, list.Items...)
		return list, len(list.Items), nil
	}, func() { events = nil })
	return events, err
}
