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
		start, state, period = "taintstart/start.go", "taintstart/state.go", "taintstart/period.go"
		pod, formula         = "podcache/pod.go", "deadline/deadline.go"
	)
	const (
		changed = "		start.Server = endOf(o.Changed)\n"
		later   = "		says = earliest(says, endOf(t.o.Changed))\n"
		added   = "		start.Server = earliest(start.Server, endOf(taint.TimeAdded))\n"
		bounded = "return !since.IsZero() && (!on ||"
		swapped = "bySwap := addSeconds(own, seconds)\n"
		confirm = "func (t *Tracker) Confirm(sent time.Time, resourceVersion string) {\n"
		nothing = "\tif resourceVersion != \"\" {\n\t\treturn\n\t}\n"
	)
	return []defect{
		{"counts from now at a start", []edit{{start, changed, "		_ = 0\n"}, {start, added, "		_ = 0\n"}, {state, later, "		_ = 0\n"}}, ""},
		{"does not know managedFields", []edit{{start, changed, "		_ = 0\n"}, {state, later, "		_ = 0\n"}}, ""},
		{"honours a timeAdded in the future", []edit{
			{start, added, "		if start.Server = endOf(taint.TimeAdded); taint.TimeAdded.After(o.Seen) {\n\t\t\tstart.Seen = time.Time{}\n\t\t}\n"}}, ""},
		{"counts a stored second as its beginning", []edit{{start, "return t.Add(apiResolution)", "return t"}}, ""},
		{"takes a relist for a watch without a gap", []edit{{"taintstart/observation.go", "o.List != before.List", "false"}}, ""},
		{"keeps a start across any gap", []edit{{state, "	case unchanged || !t.o.Gap:\n		return t.carryOver", "	case true:\n		return t.carryOver"}}, ""},
		{"counts an old timeAdded that is put back", []edit{
			{start, "certainlyAfter(taint.TimeAdded, before.until)", "!taint.TimeAdded.IsZero()"}, {state, "certainlyAfter(taint.TimeAdded, was.absent)", "!taint.TimeAdded.IsZero()"}}, ""},
		{"counts it after an absence within a period", []edit{{period, "		if was.absent {\n			off :=", "		if false {\n			off :="}}, ""},
		{"dates what an admission plugin added by the change before", []edit{{start, "certainlyAfter(o.Changed, before.changed)", "!o.Changed.IsZero()"}}, ""},
		{"binds a pod by PodScheduled before its creation", []edit{
			{pod, "max(p.boundAt, condition.LastTransitionTime.Unix())", "condition.LastTransitionTime.Unix()"}}, ""},

		{"begins anew when the two taints take turns", []edit{{period, "own = t.added(taint)\n", "own = t.added(taint)\n\t\t\tp.start = own.start\n"}}, ""},
		{"begins anew when they are off for a moment", []edit{{period, "maxAbsence = time.Minute", "maxAbsence = time.Nanosecond"}}, ""},
		{"lets them be off for ever", []edit{{period, "maxAbsence = time.Minute", "maxAbsence = 1000 * time.Hour"}}, ""},
		{"goes on over any absence that a gap hid", []edit{{period, bounded, "return t.o.Gap || !since.IsZero() && (!on ||"}}, ""},
		{"goes on over any absence across a restart", []edit{{period, bounded, "return t.before.last.List == 0 || !since.IsZero() && (!on ||"}}, ""},
		{"measures an absence from when it was seen", []edit{
			{period, "now.absent, now.lastOn = true, t.confirmed", "now.absent, now.lastOn = true, t.clock.Latest(t.o.Seen)"}}, ""},
		{"goes on over a time in which the node was ready", []edit{{period, "if t.o.NotReadySince.IsZero() ||", "if false && t.o.NotReadySince.IsZero() ||"}}, ""},
		{"an absence moves the start of a taint of its own", []edit{{period, "		case !present:\n", "		case !present || was.absent:\n"}}, ""},
		{"does not know a recorded node by its resourceVersion", []edit{
			{state, "(before.ResourceVersion == t.o.ResourceVersion || provenUnchanged", "(provenUnchanged"}}, "-keep-starts -no-managed-fields"},
		{"takes any recorded node without managedFields for unchanged", []edit{
			{state, "before.ResourceVersion == t.o.ResourceVersion", "(before.ResourceVersion == t.o.ResourceVersion || t.o.Changed.IsZero())"}}, "-keep-starts -no-managed-fields"},
		{"does not confirm what is on nodes that are not ready", []edit{
			{"taintstart/tracker.go", confirm, confirm + nothing}}, ""},
		{"counts the period alone, not from the swap", []edit{{formula, swapped, "bySwap := addSeconds(period, seconds)\n"}}, ""},
		{"counts from the swap alone, not the period", []edit{{formula, "byPeriod.Before(bySwap)", "false"}}, ""},

		{"takes its own clock for the API server's", []edit{{"tainteviction/controller.go", "if config.ServerClock == nil {", "if true {"}}, ""},
		{"takes the earlier time where the clock is in doubt", []edit{
			{"serverclock/clock.go", "	return t.Add(-low)", "	_, high, _ := c.Offset()\n	return t.Add(-high)"}}, ""},
		{"keeps to what the first answer told of the clock", []edit{{"tainteviction/time.go", "every(ctx, timeInterval,", "every(ctx, 1000*time.Hour,"}}, ""},
	}
}

// refusalDefects are of pods that cannot go in the usual way.
func refusalDefects() []defect {
	const (
		pod, refusals = "podcache/pod.go", "evictor/refusals.go"
		calls, reader = "evictor/calls.go", "evictor/nodereader.go"
	)
	return []defect{
		{"gives up a call after 10 s", []edit{{calls, "callTimeout = 70 * time.Second", "callTimeout = 10 * time.Second"}}, ""},
		{"counts the age of a read of the node from its beginning", []edit{
			{reader, "r.clock.Since(read.answered) < freshFor", "r.clock.Since(read.began) < freshFor"}}, ""},
		{"never evicts without the condition after errors of the server", []edit{{refusals, "r.serverErrors >= maxServerErrors", "false"}}, ""},
		{"never evicts without the condition from an overloaded server", []edit{{refusals, "now.Sub(*since) >= patience", "false"}}, ""},
		{"takes the condition of somebody else for ours", []edit{{pod, "condition.Reason == DisruptionReason", "true"}}, ""},
		{"leaves pods that their kubelet rejected", []edit{{pod, "v1.PodFailed && started(&pod.Status)", "v1.PodFailed"}}, ""},
		{"drops the Event at any 404", []edit{{"events/events.go", "return details != nil && details.Kind == \"namespaces\"", "return details == nil || details.Kind != \"\""}}, ""},
		{"waits for the end of a streaming list for ever", []edit{{"podcache/progress.go", "stallAfter = 45 * time.Second", "stallAfter = 10000 * time.Hour"}}, ""},
	}
}
