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

package e2e

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
)

// never is when a pod goes that stays.
const never = -1

// oddPod is a pod whose tolerations are odd, and when it has to go after its node was tainted.
type oddPod struct {
	name    string
	seconds float64
	changes []builders.Change
}

// TestBadInput has, of nodes and pods, everything odd that the API server's validation lets through. Only those pods go that
// have to by the rules, and then in time; and nothing ends the controller.
func TestBadInput(t *testing.T) {
	suite.OursOnly(t, "it overflows")
	t.Parallel()
	longest := strings.Repeat("k", 63)
	exists := func(key string, effect corev1.TaintEffect, seconds *int64) builders.Change {
		return builders.With(corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect, TolerationSeconds: seconds})
	}
	everything := exists("", "", nil)
	for _, test := range []struct {
		name   string
		taints []corev1.Taint
		pods   []oddPod
	}{
		{"values and effects", []corev1.Taint{
			{Key: "empty", Value: "", Effect: corev1.TaintEffectNoExecute},
			{Key: "both", Value: "a", Effect: corev1.TaintEffectNoExecute},
			{Key: "both", Value: "b", Effect: corev1.TaintEffectNoSchedule},
			{Key: "both", Value: "c", Effect: corev1.TaintEffectPreferNoSchedule},
			{Key: strings.Repeat("d", 61) + ".example/" + longest, Value: longest, Effect: corev1.TaintEffectNoExecute},
		}, []oddPod{
			{strings.Repeat("n", 253), 0, nil},
			{"everything", never, []builders.Change{everything}},
			{"everything that evicts", never, []builders.Change{exists("", corev1.TaintEffectNoExecute, nil)}},
			{"only what does not evict", 0, []builders.Change{exists("", corev1.TaintEffectNoSchedule, nil)}},
			{"an empty value by equality", never, []builders.Change{
				builders.With(corev1.Toleration{Key: "empty", Effect: corev1.TaintEffectNoExecute}), // no operator is Equal
				exists("both", "", nil), everything,
			}},
			{"the value of another effect", 0, []builders.Change{
				exists("empty", "", nil), builders.With(corev1.Toleration{Key: "both", Value: "b"}),
			}},
		}},
		{"seconds", []corev1.Taint{builders.NoExecute("ill")}, []oddPod{
			{"most", never, []builders.Change{builders.Tolerates("ill", math.MaxInt64)}},
			{"least", 0, []builders.Change{builders.Tolerates("ill", math.MinInt64)}},
			{"least behind most", never, []builders.Change{builders.Tolerates("ill", math.MaxInt64), builders.Tolerates("ill", math.MinInt64)}},
			{"more than a duration holds", never, []builders.Change{builders.Tolerates("", math.MaxInt64/int64(time.Second)+1)}},
			{"just below none", 0, []builders.Change{builders.Tolerates("", -1)}},
		}},
		{"times", []corev1.Taint{
			builders.NoExecuteSince("old", time.Unix(0, 0)),
			builders.NoExecuteSince("older", time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)),
			builders.NoExecuteSince("new", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)),
		}, []oddPod{
			{"for ever", never, []builders.Change{everything}},
			{"ages after the epoch", never, []builders.Change{builders.Tolerates("old", 3600), builders.Tolerates("older", 3600), builders.ToleratesForever("new")}},
			{"up to the end of time", 3, []builders.Change{builders.ToleratesForever("old"), builders.ToleratesForever("older"), builders.Tolerates("new", 3)}},
		}},
		{"500 taints", many(500), []oddPod{
			{"nothing", 0, nil},
			{"everything", never, []builders.Change{everything}},
			{"all but one", 0, tolerating(499, 0)},
			{"one for a time", 3, append(tolerating(499, 0), builders.Tolerates("taint-499", 3))},
			{"each by itself", never, tolerating(500, 0)},
			{"each by itself and for a time", 4, tolerating(500, 4)},
		}},
		{"1,000 tolerations", []corev1.Taint{builders.NoExecute("taint-999")}, []oddPod{
			{"the last one counts", 3, append(tolerating(999, 0), builders.Tolerates("taint-999", 3))},
			{"none counts", 0, tolerating(999, 0)},
			{"a thousand times", 2, repeated(builders.Tolerates("taint-999", 2), 1000)},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := suite.Shared(t)
			odd(s, test.taints, test.pods)
		})
	}
}

// odd has the pods on a node that gets the taints, and checks what becomes of them.
func odd(s *harness.Scene, taints []corev1.Taint, pods []oddPod) {
	s.T.Helper()
	node := s.Node()
	var created []*corev1.Pod
	for _, pod := range pods {
		created = append(created, s.Pod(node, append(pod.changes, builders.Named(strings.ReplaceAll(pod.name, " ", "-")))...))
	}
	created = append(created, s.Pod("no-such-node"), s.Pod(s.Node())) // the first is for another controller, within a minute
	s.Running(created[:len(pods)]...)
	tainted := s.Taint(node, taints...)
	longest := 0.0
	for _, pod := range pods {
		longest = max(longest, pod.seconds)
	}
	const slack = 3 * time.Second // this is not about being in time
	outcomes := s.AwaitAll(created, tainted.After.Add(time.Duration(longest)*time.Second+harness.Punctual+slack))
	due, gone, stay, wrong := 0, 0, 0, 0
	for i, outcome := range outcomes {
		if i < len(pods) && pods[i].seconds != never {
			due++
			if s.Check(created[i], outcome, harness.Due(tainted, pods[i].seconds).Extend(slack)); outcome.Evicted {
				gone++
			}
			continue
		}
		stay++
		if s.Stayed(created[i], outcome, "by the rules it need not go"); outcome.Evicted {
			wrong++
		}
	}
	s.Saw("%d pods had to go, %d are gone; %d had to stay, %d were deleted in error", due, gone, stay, wrong)
	s.Must(s.Controller.Crashed())
}

// many are so many taints.
func many(n int) (taints []corev1.Taint) {
	for i := range n {
		taints = append(taints, builders.NoExecute(fmt.Sprint("taint-", i)))
	}
	return taints
}

// tolerating are tolerations of so many taints, each by itself, for some seconds or, with 0, for ever.
func tolerating(n int, seconds int64) (changes []builders.Change) {
	for i := range n {
		change := builders.ToleratesForever(fmt.Sprint("taint-", i))
		if seconds > 0 {
			change = builders.Tolerates(fmt.Sprint("taint-", i), seconds)
		}
		changes = append(changes, change)
	}
	return changes
}

func repeated(change builders.Change, n int) (changes []builders.Change) {
	for range n {
		changes = append(changes, change)
	}
	return changes
}
