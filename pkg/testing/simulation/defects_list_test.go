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

package simulation

import "slices"

// defects are those that the simulation must find.
func defects() []defect { return slices.Concat(evictionDefects(), startDefects(), refusalDefects()) }

// evictionDefects are of how a pod goes, and of what is scheduled.
func evictionDefects() []defect {
	const (
		calls, evict, decide = "evictor/calls.go", "tainteviction/evict.go", "evictor/decide.go"
		handlers, reader     = "tainteviction/handlers.go", "evictor/nodereader.go"
		attempt, queue       = "evictor/attempt.go", "evictionqueue/queue.go"
	)
	const (
		version = `live.ResourceVersion != ""`
		retry   = "\tc.taintEvictionQueue.Retry(item, after)\n"
		confirm = "\t\tc.taintEvictionQueue.Recheck(item, confirmation)\n"
	)
	// finish ends an attempt for good where a condition holds, instead of what it would do.
	finish := func(condition, instead string) string {
		return "\tif " + condition + " {\n\t\tc.taintEvictionQueue.Done(item)\n\t\treturn\n\t}\n" + instead
	}
	return []defect{
		{"no UID precondition, and a PATCH without UID", []edit{
			{calls, "UID: ptr.To(live.UID)", ""}, {calls, version, "false"}, {calls, `json:"uid"`, `json:"-"`},
			{attempt, "live.UID != pod.UID", "false"}}, "-requests-are-right"},
		{"no resourceVersion precondition", []edit{{calls, version, "false"}}, "-requests-are-right"},
		{"decides on the cache, not on the live node", []edit{
			{decide, "taints = e.starts.Resolve(pod.Node(), node.Observation)", "taints = e.starts.Taints(pod.Node())"}}, ""},
		{"a read of the node counts for 10 s", []edit{
			{reader, "freshFor = 950 * time.Millisecond", "freshFor = 10 * time.Second"}, {calls, "age > maxAge", "age > 10*maxAge"}}, ""},
		{"a read of the node counts that began before the pod was due", []edit{
			{decide, "decision.Due(node.Began)", "decision.Due(e.clock.Now())"},
			{decide, "	since, _ := e.schedule.Deadline(pod.UID)\n", "	if pod != nil {\n\t\treturn time.Time{}\n\t}\n\tsince := time.Time{}\n"}}, ""},
		{"a DELETE that waits for a connection is sent all the same", []edit{{calls, "age > maxAge", "age > time.Hour"}}, ""},
		{"gives up after five tries", []edit{
			{evict, retry, finish("item.FailedAttempts >= 4", retry)}}, ""},
		{"gives up on 429", []edit{
			{evict, retry, finish("apierrors.IsTooManyRequests(err)", retry)},
			{evict, "import (\n", "import (\n\tapierrors \"k8s.io/apimachinery/pkg/api/errors\"\n"}}, ""},
		{"takes any 404 for a pod that is gone", []edit{
			{evict, confirm, finish("result.Outcome == evictor.Gone", confirm)}}, ""},
		{"takes a DELETE without answer for done", []edit{
			{evict, confirm, finish("result.Outcome == evictor.Terminating", confirm)},
			{attempt, `		return Result{}, fmt.Errorf("deleting pod: %w", err)`,
				"\t\tif apierrors.ReasonForError(err) == \"\" {\n\t\t\treturn Result{Outcome: Terminating}, nil\n\t\t}\n\t\treturn Result{}, fmt.Errorf(\"deleting pod: %w\", err)"}}, ""},
		{"takes the Event for the eviction", []edit{
			{evict, "	switch {\n	case result.Outcome == evictor.Failed:\n", "	if err != nil {\n\t\tresult.Outcome, err = evictor.Deleted, nil\n\t}\n\tswitch {\n	case result.Outcome == evictor.Failed:\n"}}, ""},
		{"deletes what is being deleted already", []edit{{attempt, "live.DeletionTimestamp != nil", "false"}, {"podcache/pod.go", "pod.DeletionTimestamp != nil", "false"}}, ""},
		{"never moves a deadline", []edit{{queue, "case !e.deadline().Equal(deadline):", "case false:"}}, ""},
		{"forgets when a pod was first seen", []edit{{"podcache/pod.go", "	lower(&p.seen, earlier.seen.Load())\n", ""}}, ""},
		{"ignores pods that a relist does not show", []edit{{handlers, "pod := deleted.OptionalObj; pod != nil", "pod := deleted.OptionalObj; pod != nil && false"}}, ""},
		{"ignores a pod that another one of its name replaced", []edit{{handlers, "before.UID != pod.UID", "false"}}, ""},
		{"forgets what is scheduled when it leads no more", []edit{
			{evict, "	defer c.leading.Store(false)\n", "	defer func() { c.taintEvictionQueue = evictionqueue.New(c.config.Clock, 1, c.config.Metrics.Scheduled) }()\n"}}, ""},
		{"remembers nodes for ever", []edit{
			{"taintstart/tracker.go", "		delete(t.nodes, node)\n	}\n	return changed", "		t.nodes[node] = now\n	}\n	return changed"},
			{"taintstart/tracker.go", "if len(n.last.Taints)+len(n.periods) == 0 {", "if false {"}}, ""},
		{"reads a node for each pod", []edit{{reader, "rate.Every(readInterval), readBurst)", "rate.Inf, readBurst)"}, {reader, "minReadInterval = 400 *", "minReadInterval = 4 *"}}, ""},
	}
}
