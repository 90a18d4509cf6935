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

// startDefects are of when a pod must go: since when taints, not-ready periods and bindings count.
func startDefects() []defect {
	const (
		startOf, carryOver = "taintstart.startOf", "taintstart.transition.carryOver"
		resume, continues  = "taintstart.transition.resumePeriod", "taintstart.transition.continues"
		unchanged          = "taintstart.transition.taintsUnchanged"
		changed            = "start = start.shownAt(endOf(o.Changed), deadline.ByLastChange)"
		later              = "says = says.shownAt(endOf(t.o.Changed), deadline.ByLastChange)"
		added              = "start = start.shownAt(endOf(taint.TimeAdded), deadline.ByTimeAdded)"
		bounded            = "!since.IsZero() && (!on || _)"
	)
	return []defect{
		{"counts from now at a start", []edit{{startOf, changed, ""}, {startOf, added, ""}, {carryOver, later, ""}}, ""},
		{"does not know managedFields", []edit{{startOf, changed, ""}, {carryOver, later, ""}}, ""},
		{"honours a timeAdded in the future", []edit{
			{startOf, added, "if start.Server, start.By = endOf(taint.TimeAdded), deadline.ByTimeAdded; taint.TimeAdded.After(o.Seen) {\n start.Seen = time.Time{}\n}"},
			{startOf, changed, "if !taint.TimeAdded.After(o.Seen) {\n $0\n}"}}, ""},
		{"counts a stored second as its beginning", []edit{{"taintstart.endOf", "t.Add(apiResolution)", "t"}}, ""},
		{"takes a relist for a watch without a gap", []edit{{"taintstart.Observation.After", "o.List != before.List", "false"}}, ""},
		{"keeps a start across any gap", []edit{{"taintstart.transition.nextTaint", "unchanged || !t.o.Gap", "true"}}, ""},
		{"counts an old timeAdded that is put back", []edit{
			{startOf, "certainlyAfter(taint.TimeAdded, before.until)", "!taint.TimeAdded.IsZero()"},
			{carryOver, "certainlyAfter(taint.TimeAdded, was.absent)", "!taint.TimeAdded.IsZero()"}}, ""},
		{"counts it after an absence within a period", []edit{{resume, "own.absent, own.changed = _, _", "_ = off"}}, ""},
		{"dates what an admission plugin added by the change before", []edit{{startOf, "certainlyAfter(o.Changed, before.changed)", "!o.Changed.IsZero()"}}, ""},
		{"binds a pod by PodScheduled before its creation", []edit{
			{"podcache.NewPod", "max(p.boundAt, condition.LastTransitionTime.Unix())", "condition.LastTransitionTime.Unix()"}}, ""},

		{"begins anew when the two taints take turns", []edit{{resume, "own = t.added(taint)", "$0\n p.start = own.start"}}, ""},
		{"begins anew when they are off for a moment", []edit{{"taintstart.maxAbsence", "", "time.Nanosecond"}}, ""},
		{"lets them be off for ever", []edit{{"taintstart.maxAbsence", "", "1000 * time.Hour"}}, ""},
		{"goes on over any absence that a gap hid", []edit{{continues, bounded, "t.o.Gap || $0"}}, ""},
		{"goes on over any absence across a restart", []edit{{continues, bounded, "t.before.last.List == 0 || $0"}}, ""},
		{"measures an absence from when it was seen", []edit{
			{"taintstart.transition.period", "now.absent, now.lastOn = true, t.confirmed", "now.absent, now.lastOn = true, t.clock.Latest(t.o.Seen)"}}, ""},
		{"goes on over a time in which the node was ready", []edit{{continues, "t.o.NotReadySince.IsZero()", "false"}}, ""},
		{"an absence moves the start of a taint of its own", []edit{{resume, "!present", "!present || was.absent"}}, ""},
		{"does not know a recorded node by its resourceVersion", []edit{{unchanged, "before.ResourceVersion == t.o.ResourceVersion", "false"}}, "-keep-starts -no-managed-fields"},
		{"takes any recorded node without managedFields for unchanged", []edit{
			{unchanged, "before.ResourceVersion == t.o.ResourceVersion", "($0 || t.o.Changed.IsZero())"}}, "-keep-starts -no-managed-fields"},
		{"does not confirm what is on nodes that are not ready", []edit{
			{"taintstart.Tracker.Confirm", "", "if resourceVersion != \"\" {\n return\n}\n"}}, ""},
		{"counts the period alone, not from the swap", []edit{{"deadline.notReadyDeadline", "bySwap := addSeconds(own, seconds)", "bySwap := addSeconds(period, seconds)"}}, ""},
		{"counts from the swap alone, not the period", []edit{{"deadline.notReadyDeadline", "byPeriod.Before(bySwap)", "false"}}, ""},

		{"takes its own clock for the API server's", []edit{{"tainteviction.New", "config.ServerClock == nil", "true"}}, ""},
		{"takes the earlier time where the clock is in doubt", []edit{
			{"serverclock.Clock.Local", "t.Add(-low)", "func() time.Time {\n _, high, _ := c.Offset()\n return t.Add(-high)\n}()"}}, ""},
		{"keeps to what the first answer told of the clock", []edit{{"tainteviction.timeInterval", "", "1000 * time.Hour"}}, ""},
	}
}

// refusalDefects are of pods that cannot go in the usual way.
func refusalDefects() []defect {
	return []defect{
		{"gives up a call after 10 s", []edit{{"evictor.callTimeout", "", "10 * time.Second"}}, ""},
		{"counts the age of a read of the node from its beginning", []edit{
			{"evictor.nodeReader.serves", "r.clock.Since(read.answered)", "r.clock.Since(read.began)"}}, ""},
		{"never evicts without the condition after errors of the server", []edit{{"evictor.refusal.add", "r.serverErrors >= maxServerErrors", "false"}}, ""},
		{"never evicts without the condition from an overloaded server", []edit{{"evictor.outlasts", "now.Sub(*since) >= patience", "false"}}, ""},
		{"takes the condition of somebody else for ours", []edit{{"podcache.NewPod", "condition.Reason == DisruptionReason", "true"}}, ""},
		{"leaves pods that their kubelet rejected", []edit{{"podcache.NewPod", "started(&pod.Status)", "true"}}, ""},
		{"drops the Event at any 404", []edit{
			{"events.namespaceTerminating", "details != nil && details.Kind == \"namespaces\"", "details == nil || details.Kind != \"\""}}, ""},
		{"waits for the end of a streaming list for ever", []edit{{"podcache.stallAfter", "", "10000 * time.Hour"}}, ""},
	}
}
