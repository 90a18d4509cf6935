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

package deadline

import (
	"reflect"
	"testing"
	"time"
	"unique"

	v1 "k8s.io/api/core/v1"
)

// TestCausesAreShared has two pods with equal tolerations of one taint share a cause that says all of it.
func TestCausesAreShared(t *testing.T) {
	seconds, same := int64(30), int64(30)
	evidence := Evidence{Start: Dated{ByTimeAdded, time.Unix(7, 0).UTC()}}
	step := func(seconds *int64, evidence Evidence) Step {
		return Step{
			Mode: ModeEvict, Reason: TolerationEnds, Taint: Taint{Key: "k", Value: "v", Start: time.Unix(time.Now().Unix(), 0), Evidence: &evidence},
			Toleration: &v1.Toleration{Key: "k", Operator: v1.TolerationOpExists, TolerationSeconds: seconds}, Policy: &Policy{Name: "p"},
		}
	}
	first, second := unique.Make(CauseOf(step(&seconds, evidence))), unique.Make(CauseOf(step(&same, evidence)))
	if first != second {
		t.Errorf("%+v and %+v are two", first.Value(), second.Value())
	}
	cause := first.Value()
	if cause.Key != "k" || cause.Value != "v" || cause.Effect != v1.TaintEffectNoExecute || cause.Evidence != evidence || cause.Reason != TolerationEnds ||
		cause.Mode != ModeEvict || cause.Policy != "p" {
		t.Errorf("got %+v", cause)
	}
	if want := step(&same, evidence).Toleration; !reflect.DeepEqual(cause.Toleration(), want) {
		t.Errorf("got toleration %+v, want %+v", cause.Toleration(), want)
	}
	negative := int64(-5)
	if got := CauseOf(step(&negative, evidence)).Toleration(); *got.TolerationSeconds != -5 {
		t.Errorf("got %d s, as the pod has it -5", *got.TolerationSeconds)
	}
	plain := CauseOf(Step{Mode: ModeDelete, Reason: Untolerated, Taint: Taint{Key: "k", Effect: v1.TaintEffectNoSchedule}})
	if plain.Toleration() != nil || plain.Policy != "" || plain.Effect != v1.TaintEffectNoSchedule || plain.Evidence != (Evidence{}) {
		t.Errorf("got %+v", plain)
	}
}
