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

package evictor

import (
	"time"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

// decide decides on a live node and a pod, and reports whether the pod is due: it was due when the read of the node began, and by its
// schedule it still is, because the caches may know by now that it need not go.
func (e *Evictor) decide(node NodeReading, pod *podcache.Pod) (decision deadline.Decision, due bool) {
	var taints []deadline.Taint
	if node.Exists {
		taints = e.starts.Resolve(pod.Node(), node.Observation)
	}
	decision = deadline.Decide(pod.ToDeadlinePod(e.server), taints, e.rules)
	return decision, decision.Due(node.Began) && e.schedule.Due(pod.UID)
}

// dueSince returns since when a pod is known to be due: since its deadline, or since the caches showed its node's taints or the pod as
// they are, if that is later. A read of the node that began before proves nothing: the taint may have gone before the pod was due.
func (e *Evictor) dueSince(pod *podcache.Pod) time.Time {
	since, _ := e.schedule.Deadline(pod.UID)
	for _, known := range []time.Time{e.starts.ObservedAt(pod.Node()), pod.ObservedAt()} {
		if known.After(since) {
			since = known
		}
	}
	return since
}
