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

package tainteviction

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

const (
	// noticeEventReason is the reason of the Event on a pod that announces its eviction, as its policy asks for.
	noticeEventReason = "TaintManagerNotice"
	// withdrawnEventReason is the reason of the Event on a pod that withdraws such a notice.
	withdrawnEventReason = "TaintManagerNoticeWithdrawn"
)

// notices remembers which pods have been told that they will be evicted, and when. Only a leader tells.
type notices struct {
	lock sync.Mutex
	told map[types.UID]time.Time
}

// noticeAt returns when a pod is to be told, and false if it is not: no policy asks for it, or the pod is due sooner than that.
func noticeAt(decision deadline.Decision, bound time.Time) (time.Time, bool) {
	if !decision.Evict || decision.Policy == nil || decision.Policy.Notice == 0 {
		return time.Time{}, false
	}
	at := decision.Deadline.Add(-time.Duration(decision.Policy.Notice) * time.Second)
	return at, at.After(decision.Taint.Start) && at.After(bound)
}

// notice tells a pod that it will be evicted, or withdraws that, as the last decision about it asks for. A notice that is due later is
// looked at again then.
func (c *Controller) notice(pod *podcache.Pod, decision deadline.Decision) {
	at, wanted := noticeAt(decision, pod.Bound(c.config.ServerClock))
	now := c.config.Clock.Now()
	if wanted && now.Before(at) {
		c.lookAgain(keyOf(pod), at.Sub(now))
		wanted = false
	}
	if !c.leading.Load() {
		return
	}
	c.notices.lock.Lock()
	defer c.notices.lock.Unlock()
	told, isTold := c.notices.told[pod.UID]
	switch {
	case wanted && now.Before(decision.Deadline) && (!isTold || told.Sub(decision.Deadline).Abs() >= time.Second):
		c.notices.told[pod.UID] = decision.Deadline
		c.recorder.Record(reference(pod), noticeEventReason, fmt.Sprintf("Will be evicted from node %s at %s for taint %s, by policy %s",
			pod.Node(), c.config.ServerClock.At(decision.Deadline).UTC().Format(time.RFC3339), decision.Taint, decision.Policy.Name))
	case isTold && decision.Evict && decision.Deadline.Sub(told) < time.Second:
		// It goes when it was told, or before, though for another taint or by another policy.
	case isTold && !wanted && !pod.Terminating:
		delete(c.notices.told, pod.UID)
		c.recorder.Record(reference(pod), withdrawnEventReason, "The eviction that was announced is cancelled or moved to a later time")
	}
}

// forget drops what is remembered of a pod that is gone.
func (n *notices) forget(uid types.UID) {
	n.lock.Lock()
	defer n.lock.Unlock()
	delete(n.told, uid)
}
