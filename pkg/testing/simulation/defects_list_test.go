package simulation

import "slices"

// defects are those that the simulation must find.
func defects() []defect { return slices.Concat(evictionDefects(), startDefects(), refusalDefects()) }

// evictionDefects are of how a pod goes, and of what is scheduled.
func evictionDefects() []defect {
	const (
		calls, evict, evaluate = "evictor/calls.go", "tainteviction/evict.go", "tainteviction/evaluate.go"
		handlers, reader       = "tainteviction/handlers.go", "evictor/nodereader.go"
		attempt, queue         = "evictor/attempt.go", "evictionqueue/queue.go"
	)
	const (
		version = `live.ResourceVersion != ""`
		failed  = "outcome, retry = evictionqueue.Failed, backoff(item.Failures, err)\n"
	)
	const confirmed = "outcome, retry = evictionqueue.Again, confirmation\n"
	return []defect{
		{"no UID precondition, and a PATCH without UID", []edit{
			{calls, "UID: ptr.To(live.UID)", ""}, {calls, version, "false"}, {calls, `json:"uid"`, `json:"-"`},
			{attempt, "live.UID != pod.UID", "false"}}, "-requests-are-right"},
		{"no resourceVersion precondition", []edit{{calls, version, "false"}}, "-requests-are-right"},
		{"decides on the cache, not on the live node", []edit{
			{evaluate, "taints = c.starts.Resolve(pod.Node(), node.Observation)", "taints = c.starts.Taints(pod.Node())"}}, ""},
		{"a read of the node counts for 10 s", []edit{
			{reader, "freshFor = 950 * time.Millisecond", "freshFor = 10 * time.Second"}, {calls, "age > maxAge", "age > 10*maxAge"}}, ""},
		{"a read of the node counts that began before the pod was due", []edit{
			{evaluate, "decision.Due(node.Began)", "decision.Due(c.config.Clock.Now())"},
			{evaluate, "	since, _ := c.taintEvictionQueue.Deadline(pod.UID)\n", "	if pod != nil {\n\t\treturn time.Time{}\n\t}\n\tsince := time.Time{}\n"}}, ""},
		{"a DELETE that waits for a connection is sent all the same", []edit{{calls, "age > maxAge", "age > time.Hour"}}, ""},
		{"gives up after five tries", []edit{
			{evict, failed, failed + "\t\tif item.Failures >= 4 {\n\t\t\toutcome = evictionqueue.Finished\n\t\t}\n"}}, ""},
		{"gives up on 429", []edit{
			{evict, failed, failed + "\t\tif apierrors.IsTooManyRequests(err) {\n\t\t\toutcome = evictionqueue.Finished\n\t\t}\n"}}, ""},
		{"takes any 404 for a pod that is gone", []edit{
			{evict, confirmed, confirmed + "\t\tif result.Outcome == evictor.Gone {\n\t\t\toutcome = evictionqueue.Finished\n\t\t}\n"}}, ""},
		{"takes a DELETE without answer for done", []edit{
			{evict, confirmed, confirmed + "\t\tif result.Outcome == evictor.Terminating {\n\t\t\toutcome = evictionqueue.Finished\n\t\t}\n"},
			{attempt, `		return Result{}, fmt.Errorf("deleting pod: %w", err)`,
				"\t\tif apierrors.ReasonForError(err) == \"\" {\n\t\t\treturn Result{Outcome: Terminating}, nil\n\t\t}\n\t\treturn Result{}, fmt.Errorf(\"deleting pod: %w\", err)"}}, ""},
		{"takes the Event for the eviction", []edit{
			{evict, "	switch {\n	case err != nil:\n", "	if err != nil {\n\t\tresult.Outcome, err = evictor.Deleted, nil\n\t}\n\tswitch {\n	case err != nil:\n"}}, ""},
		{"deletes what is being deleted already", []edit{{attempt, "live.DeletionTimestamp != nil", "false"}, {"podcache/pod.go", "pod.DeletionTimestamp != nil", "false"}}, ""},
		{"never moves a deadline", []edit{{queue, "case !e.deadline().Equal(deadline):", "case false:"}}, ""},
		{"forgets when a pod was first seen", []edit{{"podcache/pod.go", "	lower(&p.seen, earlier.seen.Load())\n", ""}}, ""},
		{"ignores pods that a relist does not show", []edit{{handlers, "pod := deleted.OptionalObj; pod != nil", "pod := deleted.OptionalObj; pod != nil && false"}}, ""},
		{"ignores a pod that another one of its name replaced", []edit{{handlers, "before.UID != pod.UID", "false"}}, ""},
		{"forgets what is scheduled when it leads no more", []edit{
			{evict, "	defer c.leading.Store(false)\n", "	defer func() { c.taintEvictionQueue = evictionqueue.New(c.config.Clock, 1, evictionqueue.Gauges{Scheduled: c.config.Metrics.Scheduled, Slots: c.config.Metrics.ConcurrencyLimit}) }()\n"}}, ""},
		{"remembers nodes for ever", []edit{
			{"taintstart/tracker.go", "		delete(t.nodes, node)\n	}\n	return changed", "		t.nodes[node] = now\n	}\n	return changed"},
			{"taintstart/tracker.go", "if len(n.last.Taints)+len(n.periods) == 0 {", "if false {"}}, ""},
		{"reads a node for each pod", []edit{{reader, "rate.Every(readInterval), savedReads)", "rate.Inf, savedReads)"}, {reader, "soonInterval = 400 *", "soonInterval = 4 *"}}, ""},
	}
}
