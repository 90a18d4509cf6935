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
func defects() []defect {
	others := slices.Concat(evictionDefects(), startDefects(), refusalDefects())
	for i := range others { // policies would leave less to notice, and take time
		others[i].flags += " -no-policies"
	}
	return slices.Concat(others, policyDefects(), restraintDefects(), trailDefects(), statusDefects())
}

// evictionDefects are of how a pod goes, and of what is scheduled.
func evictionDefects() []defect {
	const (
		giveBack, retry = "tainteviction.Controller.giveBack", "tainteviction.Controller.retry"
		deletePod       = "evictor.Evictor.deletePod"
		hasVersion      = `live.ResourceVersion != ""`
		confirm         = "c.taintEvictionQueue.Recheck(item, confirmation)"
	)
	// done ends an attempt for good where a condition holds.
	done := func(condition string) string {
		return "if " + condition + " {\n c.taintEvictionQueue.Done(item)\n return\n}\n"
	}
	return []defect{
		{"no UID precondition, and a PATCH without UID", []edit{
			{deletePod, "ptr.To(live.UID)", "nil"}, {deletePod, hasVersion, "false"}, {"evictor.conditionPatch", "`json:\"uid\"`", "`json:\"-\"`"},
			{"evictor.attempt.unfit", "live.UID != a.pod.UID", "false"}}, "-requests-are-right"},
		{"no resourceVersion precondition", []edit{{deletePod, hasVersion, "false"}}, "-requests-are-right"},
		{"decides on the cache, not on the live node", []edit{
			{"evictor.Evictor.taintsOf", "e.starts.Resolve(pod.Node(), node.Observation)", "e.starts.Taints(pod.Node())"}}, ""},
		{"a read of the node counts for 10 s", []edit{{"evictor.freshFor", "", "10 * time.Second"}, {deletePod, "age > maxAge", "age > 10*maxAge"}}, ""},
		{"a read of the node counts that began before the pod was due", []edit{
			{"evictor.Evictor.decide", "decision.Due(node.Began)", "decision.Due(e.clock.Now())"},
			{"evictor.Evictor.dueSince", "", "if pod != nil {\n return time.Time{}\n}\n"}}, ""},
		{"a DELETE that waits for a connection is sent all the same", []edit{{deletePod, "age > maxAge", "age > time.Hour"}}, ""},
		{"gives up after five tries", []edit{{retry, "", done("item.FailedAttempts >= 4")}}, ""},
		{"gives up when the API server asks to wait", []edit{{retry, "", done("result.RetryAfter > 0")}}, ""},
		{"takes any 404 for a pod that is gone", []edit{{giveBack, confirm, done("result.Outcome == evictor.Gone") + "$0"}}, ""},
		{"takes a DELETE without answer for done", []edit{
			{giveBack, confirm, done("result.Outcome == evictor.Terminating") + "$0"},
			{"evictor.attempt.delete", "return Result{}, fmt.Errorf(_, err)", "if apierrors.ReasonForError(err) == \"\" {\n return Result{Outcome: Terminating}, nil\n}\n$0"}}, ""},
		{"takes the Event for the eviction", []edit{
			{giveBack, "result.Outcome == evictor.Failed", "func() bool {\n if err != nil {\n result.Outcome, err = evictor.Deleted, nil\n }\n return $0\n}()"}}, ""},
		{"deletes what is being deleted already", []edit{
			{"evictor.attempt.unfit", "live.DeletionTimestamp != nil", "false"}, {"podcache.NewPod", "pod.DeletionTimestamp != nil", "false"}}, ""},
		{"never moves a deadline", []edit{{"evictionqueue.Queue.Set", "!e.deadline().Equal(deadline)", "false"}}, ""},
		{"forgets when a pod was first seen", []edit{{"podcache.Pod.carryOverTimes", "lower(&p.seen, earlier.seen.Load())", ""}}, ""},
		{"ignores pods that a relist does not show", []edit{{"tainteviction.Controller.podDeleted", "pod != nil", "pod != nil && false"}}, ""},
		{"ignores a pod that another one of its name replaced", []edit{{"tainteviction.Controller.podUpdated", "before.UID != pod.UID", "false"}}, ""},
		{"forgets what is scheduled when it leads no more", []edit{
			{"tainteviction.Controller.Lead", "", "defer func() { c.taintEvictionQueue = evictionqueue.New(c.config.Clock, 1, c.config.Metrics.Scheduled) }()\n"}}, ""},
		{"remembers nodes for ever", []edit{
			{"taintstart.Tracker.Observe", "delete(t.nodes, node)", "t.nodes[node] = now"},
			{"taintstart.Tracker.Prune", "len(n.last.Taints)+len(n.periods) == 0", "false"}}, ""},
		{"reads a node for each pod", []edit{
			{"evictor.newNodeReads", "rate.Every(readInterval)", "rate.Inf"}, {"evictor.minReadInterval", "", "4 * time.Millisecond"}}, ""},
	}
}
