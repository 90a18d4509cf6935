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

package doctor

import (
	"regexp"
	"strconv"
	"time"
	"unique"

	eventsv1 "k8s.io/api/events/v1"

	"github.com/taint-manager/taint-manager/pkg/explain"
)

// Eviction is what an Event says about an eviction because of a taint.
type Eviction struct {
	// Namespace and Pod name the pod. Node is where it was, and empty if the Event does not say. By is the controller that wrote it.
	Namespace, Pod, Node, By string
	// Since is since when the pod had to go, or would have but for tolerationSeconds: the later of the taint's start and the pod's binding, to the
	// second before. It is zero if the Event does not say. Last is when the pod was evicted last.
	Since, Last time.Time
}

// ours finds the node, the tolerationSeconds and the deadline in our Event on an evicted pod. That of the built-in controller has none of them.
var ours = regexp.MustCompile(`^Evicted from node (\S+) for taint .*, (?:not tolerated|tolerated for (-?\d+)s by .*); due at (\S+), `)

// EvictionOf keeps what an Event says about the eviction of a pod. There may be one for each pod of the cluster, so it keeps little: of texts
// that are the same in many, one copy.
func EvictionOf(api *eventsv1.Event) (Eviction, bool) {
	if api.Regarding.Kind != "Pod" {
		return Eviction{}, false
	}
	event := explain.EventOf(api)
	e := Eviction{Namespace: shared(api.Regarding.Namespace), Pod: api.Regarding.Name, By: shared(event.Reporter), Last: event.Last}
	if words := ours.FindStringSubmatch(event.Message); words != nil {
		e.Node = shared(words[1])
		e.Since, _ = time.Parse(time.RFC3339, words[3])
		if seconds, err := strconv.Atoi(words[2]); err == nil && !e.Since.IsZero() {
			e.Since = e.Since.Add(-time.Duration(max(0, seconds)) * time.Second)
		}
	}
	return e, true
}

// shared returns the one copy of a text.
func shared(text string) string { return unique.Make(text).Value() }
