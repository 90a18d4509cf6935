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
	"testing"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/results"
)

// counting is how long a countdown has run when something about it changes.
const counting = time.Second

func TestRowTolerationSecondsChanged(t *testing.T) {
	s := suite.Shared(t)
	row := s.Row(results.Recalculated)
	node := s.Node()
	const unchanged = 4
	longer := s.Pod(node, builders.Tolerates("ill", unchanged))
	shorter := s.Pod(node, builders.Tolerates("ill", unchanged))
	atOnce := s.Pod(node, builders.Tolerates("ill", 600))
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Quiet(longer, tainted.After.Add(counting))
	s.SetTolerationSeconds(longer, "ill", 7)
	s.SetTolerationSeconds(shorter, "ill", 2)
	s.Quiet(atOnce, tainted.After.Add(counting+time.Second))
	over := s.SetTolerationSeconds(atOnce, "ill", 1) // these seconds are over already

	shorterFate := s.Await(shorter, tainted.After.Add(6*time.Second))
	longerFate := s.Await(longer, tainted.After.Add(10*time.Second))
	overFate := s.Await(atOnce, tainted.After.Add(10*time.Second))
	row.Saw("4 to 7 s: %s", longerFate.Since(tainted, "the taint"))
	row.Saw("4 to 2 s: %s", shorterFate.Since(tainted, "the taint"))
	row.Saw("to less than has passed: %s", overFate.Since(over, "the change"))
	s.Check(longer, longerFate, harness.Due(tainted, 7))
	s.Check(shorter, shorterFate, harness.Due(tainted, 2))
	s.Check(atOnce, overFate, harness.Due(over, 0))
}

func TestRowSecondTaintEvictsSooner(t *testing.T) {
	s := suite.Shared(t)
	row := s.Row(results.SecondTaint)
	node := s.Node()
	pod := s.Pod(node, builders.Tolerates("ill", 8), builders.Tolerates("worse", 2))
	first := s.Taint(node, builders.NoExecute("ill"))
	s.Quiet(pod, first.After.Add(counting))
	second := s.Taint(node, builders.NoExecute("ill"), builders.NoExecute("worse"))
	outcome := s.Await(pod, first.After.Add(11*time.Second))
	row.Saw("due after 2 s, %s", outcome.Since(second, "it"))
	s.Check(pod, outcome, harness.Due(second, 2))
}

func TestRowTaintRemovedOtherStays(t *testing.T) {
	s := suite.Shared(t)
	row := s.Row(results.TaintRemoved)
	node := s.Node()
	pod := s.Pod(node, builders.Tolerates("ill", 3), builders.Tolerates("known", 600))
	tainted := s.Taint(node, builders.NoExecute("ill"), builders.NoExecute("known"))
	s.Quiet(pod, tainted.After.Add(counting))
	removed := s.Taint(node, builders.NoExecute("known"))
	outcome := s.Await(pod, tainted.After.Add(7*time.Second))
	row.Saw("%s", outcome.Since(removed, "the removal"))
	s.Stayed(pod, outcome, "it tolerates the taint that is left for ten minutes")
}
