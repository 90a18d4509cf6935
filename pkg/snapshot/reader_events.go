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
	events, err := List(ctx, r, "events", metav1.ListOptions{FieldSelector: about.AsSelector().String()}, r.Kube.EventsV1().Events(namespace).List, Whole[eventsv1.Event])
	unread, err := Refused(err, "Events about "+name, "what has been done about it, and by whom")
	return events, unread, err
}

// EventsOfReason returns what keep keeps of the Events of a namespace, or of all, that have a reason: in a large cluster there may be one for each
// pod. What an error means is the caller's to say: see Refused.
func EventsOfReason[Kept any](ctx context.Context, r *Reader, namespace, reason string, keep func(*eventsv1.Event) (Kept, bool)) ([]Kept, error) {
	options := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("reason", reason).String()}
	return List(ctx, r, "events", options, r.Kube.EventsV1().Events(namespace).List, keep)
}
