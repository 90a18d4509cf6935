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

// trailDefects are of what the audit log says.
func trailDefects() []defect {
	const attempted = "tainteviction.trail.attempted"
	return []defect{
		{"tells of an eviction again when the watch shows it", []edit{{"tainteviction.eviction.isTold", "e.final", "false"}}, ""},
		{"tells nothing of what is cancelled during an attempt", []edit{{"tainteviction.trail.returned", "e.cancelled != nil", "false"}}, ""},
		{"tells nothing of what is cancelled", []edit{{"tainteviction.Controller.unschedule", "c.trail.cancel(was, pod, decision)", "_ = was"}}, ""},
		{"takes any 404 for a pod that is gone, in the audit log", []edit{{attempted, "result.Outcome == evictor.Gone", "false"}}, ""},
		{"tells nothing of lost answers", []edit{{attempted, "result.Outcome == evictor.Failed && result.Unanswered", "false"}}, ""},
		{"a standby writes into the audit log", []edit{{"tainteviction.trail.cancel", "t.acting.Load() == 0", "false"}}, ""},
		{"names no toleration in the audit log", []edit{{"deadline.CauseOf", "step.Toleration != nil", "false"}}, ""},
		{"names the first source of a start for a later one", []edit{{"taintstart.Start.shownAt", "s.Server, s.By = first, by", "s.Server = first\nif s.By == \"\" {\n s.By = by\n}"}}, ""},
		{"names no owner in the audit log", []edit{{"evictor.attempt.unfit", "a.owner = metav1.GetControllerOf(live)", ""}}, "-policies"},
	}
}

// statusDefects are of the counts in the status of policies, and of the grace period that they give pods.
func statusDefects() []defect {
	const set, grace = "policy.Tally.Set", "evictor.gracePeriodOf"
	return []defect{
		{"counts what policies did that have expired", []edit{{set, "decision.AsOf(at)", "decision"}}, "-policies"},
		{"does not count again when a policy expires", []edit{{"tainteviction.Controller.evaluate", "c.lookAgain(key, next.Sub(now))", "_ = next"}}, "-policies"},
		{"counts pods that are gone", []edit{{"tainteviction.Controller.forget", "c.tally.Remove(key.uid)", ""}}, "-policies"},
		{"counts pods as blocked that are not due any more", []edit{{set, "decision.Due(at)", "true"}}, "-policies"},
		{"counts no blocked pods", []edit{{"policy.Tally.SetBlocked", "", "by = nil\n"}}, "-policies"},
		{"counts previewed pods as kept", []edit{{set, "held.Mode == deadline.ModePreview", "false"}}, "-policies"},
		{"counts nodes that have no such pods any more", []edit{{"policy.Tally.count", "c.nodes[pod.node] == 0", "false"}}, "-policies"},
		{"a policy lengthens grace periods", []edit{{grace, "policy.GracePeriod >= ptr.Deref(_, 0)", "false"}}, "-policies"},
		{"a policy does not shorten grace periods", []edit{{grace, "policy == nil", "true"}}, "-policies"},
	}
}
