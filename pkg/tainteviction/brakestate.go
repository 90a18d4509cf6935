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

package tainteviction

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/brake"
)

// These are annotations of the ConfigMap that keeps the starts of taints. A client that shows what taint-manager does reads them there.
const (
	// BrakeAnnotation has what the next process needs to know of the eviction brake, as JSON: whether it is on, and times.
	BrakeAnnotation = "taint-manager.io/eviction-brake"
	// BrakeMessageAnnotation says why the eviction brake is on, and what would release it. There is none while it is off.
	BrakeMessageAnnotation = "taint-manager.io/eviction-brake-message"
	// PoliciesAnnotation has the policies that apply, as JSON. The next process finds out by it that one has gone meanwhile.
	PoliciesAnnotation = "taint-manager.io/policies"
	// PausedByAnnotation has the name of the policy that holds all evictions. There is none otherwise.
	PausedByAnnotation = "taint-manager.io/paused-by"
)

// messageInterval is the least time between two texts of BrakeMessageAnnotation: the ConfigMap may be large, and the text has numbers in it.
const messageInterval = 10 * time.Second

// storedBrake is the value of BrakeAnnotation. Its times are API times.
type storedBrake struct {
	On           bool      `json:"on"`
	Since        time.Time `json:"since,omitzero"`
	Fell         time.Time `json:"fell,omitzero"`
	PolicyChange time.Time `json:"policyChange,omitzero"`
}

// BrakeOf returns whether the eviction brake is on by the annotations of the ConfigMap, and since when, as an API time.
func BrakeOf(annotations map[string]string) (on bool, since time.Time) {
	var stored storedBrake
	if err := json.Unmarshal([]byte(annotations[BrakeAnnotation]), &stored); err != nil {
		return annotations[BrakeMessageAnnotation] != "", time.Time{} // the message is there while it is on
	}
	return stored.On, stored.Since
}

// brakeNotes are the annotations that show the brake and a pause. They implement startstore.Annotations.
type brakeNotes struct {
	*Controller

	lock sync.Mutex
	// state is what stored is made of. The API's time of a local time is an estimate, and stored is not to change with that.
	state  brake.State
	stored string
	// message is of the time at.
	message string
	at      time.Time
}

// Annotations implements startstore.Annotations.
func (n *brakeNotes) Annotations() map[string]string {
	n.lock.Lock()
	defer n.lock.Unlock()
	all := map[string]string{BrakeAnnotation: "", BrakeMessageAnnotation: "", PausedByAnnotation: ""}
	if n.brake == nil {
		all[PoliciesAnnotation] = "" // if the brake is on again some day, those of now are no change
	}
	now := n.config.Clock.Now()
	if n.config.Policies != nil {
		all[PausedByAnnotation] = n.config.Policies.PausedBy(now)
	}
	if n.brake == nil {
		return all
	}
	if n.config.Policies != nil && n.config.Policies.HasSynced() {
		all[PoliciesAnnotation] = n.config.Policies.Remembered()
	}
	state, status := n.config.Brake.State(), n.config.Brake.Status()
	if now.Sub(state.PolicyChange) >= status.Window {
		state.PolicyChange = time.Time{} // it does not count any more
	}
	all[BrakeAnnotation] = n.encode(state)
	switch {
	case !status.On:
		n.message = ""
	case n.message == "" || now.Sub(n.at) >= messageInterval:
		n.message, n.at = status.Text(n.config.ServerClock.At), now
	}
	all[BrakeMessageAnnotation] = n.message
	return all
}

// encode returns a state as it is stored: "" if there is nothing to know.
func (n *brakeNotes) encode(state brake.State) string {
	if state == n.state {
		return n.stored
	}
	n.state, n.stored = state, ""
	if state == (brake.State{}) {
		return ""
	}
	api := func(local time.Time) time.Time {
		if local.IsZero() {
			return local
		}
		return n.config.ServerClock.At(local).UTC()
	}
	value, err := json.Marshal(storedBrake{state.On, api(state.Since), api(state.Fell), api(state.PolicyChange)})
	if err == nil { // a time after the year 9999 otherwise
		n.stored = string(value)
	}
	return n.stored
}

// RestoreAnnotations implements startstore.Annotations.
func (n *brakeNotes) RestoreAnnotations(ctx context.Context, annotations map[string]string) {
	if n.brake == nil {
		return
	}
	ignore := func(name string, err error) {
		klog.FromContext(ctx).V(2).Info("Ignoring a state of the eviction brake that cannot be parsed", "annotation", name, "err", err.Error())
	}
	if err := n.brake.Changes.Restore(annotations[PoliciesAnnotation]); err != nil {
		ignore(PoliciesAnnotation, err)
	}
	value := annotations[BrakeAnnotation]
	if value == "" {
		return
	}
	var stored storedBrake
	if err := json.Unmarshal([]byte(value), &stored); err != nil {
		ignore(BrakeAnnotation, err)
		return
	}
	local := n.config.ServerClock.Local
	n.config.Brake.Restore(brake.State{
		On: stored.On, Since: local(stored.Since), Fell: local(stored.Fell), PolicyChange: local(stored.PolicyChange),
	})
}
