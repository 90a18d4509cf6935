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

// policyDefects are of what policies say, and of what is known of them.
func policyDefects() []defect {
	const (
		timeline, firstStep, steps = "deadline.timeline", "deadline.firstStep", "deadline.Policy.steps"
		match, order               = "deadline.Policy.match", "policy.set.order"
		run                        = "policy.Source.Run"
		named                      = "c.starts.SetNamed(policy.NamedNoSchedule(c.config.Policies.Policies()))"
	)
	return []defect{
		{"deletes what is to be evicted", []edit{{"evictor.Evictor.deletePod", "step.Mode == deadline.ModeEvict", "false"}}, "-policies"},
		{"never deletes what could not be evicted", []edit{{steps, "first.Mode == ModeEvict && p.DeleteAfter != nil", "false"}}, "-policies"},
		{"counts deleteAfterSeconds from the start of the taint", []edit{{steps, "addSeconds(first.From, *p.DeleteAfter)", "addSeconds(first.Taint.Start, *p.DeleteAfter)"}}, "-policies"},
		{"a policy without a minimum age delays to the start of the taint", []edit{{firstStep, "policy != nil && policy.MinTaintAge > 0", "policy != nil"}}, "-policies"},
		{"keeps no pod that was scheduled before", []edit{{"tainteviction.Controller.followPolicies", "c.evaluateAll()\n" + named + "\nc.evaluateAll()", named}}, "-policies"},
		{"forgets the pods of a policy that is deleted", []edit{{"policy.Source.remove", "s.apply(ctx)", ""}}, "-policies"},
		{"ignores that a policy expires", []edit{{timeline, "policy.Expires.IsZero()", "true"}, {"deadline.Policy.expired", "!p.Expires.IsZero() && !t.Before(p.Expires)", "false"}}, "-policies"},
		{"applies the highest precedence first", []edit{{order, "cmp.Compare(a.applies.precedence, b.applies.precedence)", "cmp.Compare(b.applies.precedence, a.applies.precedence)"}}, "-policies"},
		{"does not apply Keep first", []edit{{order, "cmp.Compare(rank(a), rank(b))", "cmp.Compare(rank(b), rank(a))"}}, "-policies"},
		{"applies policies to pods that they do not select", []edit{{match, "p.Pod", "nil"}}, "-policies"},
		{"applies policies to nodes that they do not select", []edit{{match, "p.Node", "nil"}}, "-policies"},
		{"applies policies to namespaces that they do not select", []edit{{match, "p.Namespace", "nil"}}, "-policies"},
		{"takes labels that are not known for others", []edit{{match, "mode = ModeKeep", "return \"\", selected.field"}}, "-policies"},
		{"does not follow the labels of nodes", []edit{{"tainteviction.Controller.nodeUpdated", "!node.SameLabels(before) && _", "false"}}, "-policies"},
		{"ignores the minimum age of a taint", []edit{{firstStep, "policy.MinTaintAge > 0", "false"}}, "-policies"},
		{"evicts for NoSchedule taints that no policy names", []edit{{timeline, "taint.effect() != v1.TaintEffectNoExecute", "false"}}, "-policies"},
		{"counts a NoSchedule taint from before the policy", []edit{{firstStep, "later(taint.Start, policy.Since)", "taint.Start"}}, "-policies"},
		{"takes policies that cannot be read for none", []edit{{run, "err != nil", "err != nil && s.read.Load()"}}, "-policies"},
		{"does not wait for the policies", []edit{{"policy.Source.HasSynced", "s.read.Load()", "true"}}, "-policies"},
		{"drops a policy that becomes invalid", []edit{{"policy.set.next", "before.accepted", "false"}, {"policy.set.next", "now.applies.Mode = deadline.ModeKeep", "now.applies.Mode = deadline.ModeDelete"}}, "-policies"},
		{"does not look for the CustomResourceDefinition again", []edit{{"policy.discoverInterval", "", "1000 * time.Hour"}}, "-policies"},
		{"waits for the end of a streaming list of policies", []edit{{"policy.plainLists.IsWatchListSemanticsUnSupported", "true", "false"}}, "-policies"},
		{"a standby writes the status of policies", []edit{
			{"tainteviction.Controller.Assist", "", "if c.config.Policies != nil {\n go policy.NewStatusWriter(c.config.PolicyStatus, c.config.Policies, c.tally).Run(ctx)\n}\n"}}, "-policies"},
		{"a replica that leads no more writes the status of policies", []edit{
			{"tainteviction.Controller.Lead", "policy.NewStatusWriter(c.config.PolicyStatus, c.config.Policies, c.tally).Run(ctx)",
				"late, stop := context.WithCancel(context.WithoutCancel(ctx))\ncontext.AfterFunc(ctx, func() { time.AfterFunc(10*time.Second, stop) })\n" +
					"policy.NewStatusWriter(c.config.PolicyStatus, c.config.Policies, c.tally).Run(late)"},
			{"tainteviction.Controller.Lead", "storing.Wait()", "func() { _ = &storing }()"}}, "-policies"},
		{"does not keep pods where policies come that may not be read", []edit{{"policy.Source.follow", "err != nil && !apierrors.IsNotFound(err) && s.set.hold()", "false"}}, "-policies"},
		{"evicts several pods of a budget at the same time", []edit{{"budget.Tracker.Begin", "!s.open(now) || _", "false"}}, "-policies"},
		{"forgets pods that wait for a budget", []edit{{"tainteviction.Controller.confirmWait", "", "c.taintEvictionQueue.Cancel(pod.UID)\n"}}, "-policies"},
	}
}

// restraintDefects are of the eviction brake and the pace of nodes.
func restraintDefects() []defect {
	const ask = "evictor.Brake.Ask"
	return []defect{
		{"ignores the brake", []edit{{ask, "verdict.Allowed", "verdict.Allowed || verdict.Held != \"\""}}, "-brake"},
		{"does not count the nodes that it has emptied", []edit{{"brake.Brake.causesOf", "c == nil && before != nil && !now.Before(before.from)", "false"}}, "-brake"},
		{"has no cooldown", []edit{{"brake.Brake.judge", "b.fell.Add(b.config.Cooldown)", "b.fell"}, {"brake.Brake.nextJudgement", "b.fell.Add(b.config.Cooldown)", "b.fell"}}, "-brake"},
		{"the brake holds failover", []edit{{"brake.Brake.Ignores", "b.ignored.Has(taint.Key)", "false"}}, "-brake"},
		{"does not count what a policy made due", []edit{{"policy.Changes.Because", "!decision.Evict", "true"}}, "-brake"},
		{"forgets what the brake has held", []edit{{"tainteviction.Controller.hold", "", "defer c.taintEvictionQueue.Cancel(pod.UID)\n"}}, "-brake"},
		{"ignores the pace", []edit{{"brake.pace.grant", "p.limiter.AllowN(now, 1)", "true"}}, "-pace"},
		{"a standby lets nodes begin", []edit{{"brake.pace.grant", "p.leading", "true"}}, "-pace"},
		{"forgets what the pace has held", []edit{{"tainteviction.Controller.hold", "", "defer c.taintEvictionQueue.Cancel(pod.UID)\n"}}, "-pace"},
	}
}
