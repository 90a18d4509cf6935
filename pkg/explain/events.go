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

package explain

import (
	"cmp"
	"slices"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Event is an Event about an object.
type Event struct {
	// Last and First are the times of its last and its first occurrence, and Count is their number.
	Last  time.Time `json:"last"`
	First time.Time `json:"first"`
	Count int32     `json:"count"`
	// Reporter is the controller that wrote it.
	Reporter string `json:"reporter"`
	Type     string `json:"type"`
	Reason   string `json:"reason"`
	Message  string `json:"message"`

	uid string
}

// Events returns Events about an object, the last first. A uid leaves out those about others of the same name.
func Events(api []eventsv1.Event, uid string) []Event {
	var all []Event
	for i := range api {
		event := EventOf(&api[i])
		if uid == "" || event.uid == "" || event.uid == uid {
			all = append(all, event)
		}
	}
	sortEvents(all)
	return all
}

// ofPod returns those Events about a pod that are of its own: with its UID, or without one and from the time of the pod. The built-in controller writes
// Events without a UID, so one about an earlier pod of that name is told by its time alone.
func ofPod(all []Event, uid string, isOurTime func(last time.Time) bool) (own []Event) {
	for _, event := range all {
		if event.uid == uid || event.uid == "" && isOurTime(event.Last) {
			own = append(own, event)
		}
	}
	return own
}

// ofLastPod returns the UID of the last pod of a name, by Events that are sorted, and those that are about it. Its time begins after the last Event
// about another pod, and with its Scheduled Event, if there is one.
func ofLastPod(all []Event) (uid string, own []Event) {
	if i := slices.IndexFunc(all, func(e Event) bool { return e.uid != "" }); i >= 0 {
		uid = all[i].uid
	}
	var earlier, scheduled time.Time
	for _, event := range all { // the last first
		switch {
		case event.uid == uid && event.Reason == "Scheduled":
			scheduled = event.First.Truncate(time.Second) // an older Event has its time cut to seconds
		case event.uid != "" && event.uid != uid && earlier.IsZero():
			earlier = event.Last
		}
	}
	return uid, ofPod(all, uid, func(last time.Time) bool { return last.After(earlier) && !last.Before(scheduled) })
}

// KeepEvent keeps what EventsByPod reads of an Event.
func KeepEvent(api *eventsv1.Event) (Event, bool) { return EventOf(api), true }

// EventsByPod returns the last Event about each pod.
func EventsByPod(events []Event) map[types.UID]Event {
	sortEvents(events)
	last := map[types.UID]Event{}
	for i := range events {
		uid := types.UID(events[i].uid)
		if _, later := last[uid]; !later { // the last comes first
			last[uid] = events[i]
		}
	}
	return last
}

// sortEvents puts the last first.
func sortEvents(all []Event) {
	slices.SortStableFunc(all, func(a, b Event) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
}

// EventOf reads an Event of either API: a newer one has a series, an older one a count and two times.
func EventOf(api *eventsv1.Event) Event {
	e := Event{
		First: api.EventTime.Time, Last: api.EventTime.Time, Count: max(1, api.DeprecatedCount), uid: string(api.Regarding.UID),
		Reporter: cmp.Or(api.ReportingController, api.DeprecatedSource.Component), Type: api.Type, Reason: api.Reason, Message: api.Note,
	}
	if e.First.IsZero() {
		e.First, e.Last = api.DeprecatedFirstTimestamp.Time, api.DeprecatedLastTimestamp.Time
	}
	if api.Series != nil {
		e.Last, e.Count = api.Series.LastObservedTime.Time, api.Series.Count
	}
	e.First, e.Last = e.First.UTC(), e.Last.UTC()
	return e
}
