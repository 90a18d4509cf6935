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
	v1 "k8s.io/api/core/v1"
)

// Cause is what a deadline comes from. It is comparable and shares nothing with a pod, so that many pods can share one.
type Cause struct {
	// Key, Value, Effect and Evidence are those of the taint.
	Key, Value string
	Effect     v1.TaintEffect
	Evidence   Evidence
	// Reason, Mode and Policy are as in Step. An empty Policy is none.
	Reason Reason
	Mode   Mode
	Policy string

	// tolerated is true if a toleration decided. seconds are its tolerationSeconds.
	tolerated  bool
	toleration v1.Toleration
	seconds    int64
}

// CauseOf returns what a step comes from.
func CauseOf(step Step) Cause {
	taint := step.Taint
	cause := Cause{Key: taint.Key, Value: taint.Value, Effect: taint.effect(), Reason: step.Reason, Mode: step.Mode}
	if taint.Evidence != nil {
		cause.Evidence = *taint.Evidence
	}
	if step.Policy != nil {
		cause.Policy = step.Policy.Name
	}
	if step.Toleration != nil {
		cause.tolerated, cause.toleration, cause.seconds = true, *step.Toleration, *step.Toleration.TolerationSeconds
		cause.toleration.TolerationSeconds = nil // a pointer
	}
	return cause
}

// Toleration returns the toleration that decided, or nil.
func (c Cause) Toleration() *v1.Toleration {
	if !c.tolerated {
		return nil
	}
	toleration := c.toleration
	toleration.TolerationSeconds = &c.seconds
	return &toleration
}
