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

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// quoted is how many of the things that are wrong fit into the last line.
const quoted = 3

// verdict says whether every pod did what the rules say.
type verdict struct {
	pods   int
	counts map[outcome]int // of the pods that kept the rules
	worst  time.Duration
	events int
	wrong  []string
}

// judge compares what became of every pod with what the rules say. present has the UIDs of the pods that are there at
// the end, from a reading of its own: a watch may have missed something.
func judge(l *ledger, present map[types.UID]bool, now time.Time) *verdict {
	v := &verdict{counts: make(map[outcome]int)}
	for _, p := range l.sorted(func(*pod) bool { return true }) {
		v.pods++
		e := l.expectation(p)
		complaint := e.complaint(p, now)
		switch {
		case complaint != "":
		case p.left.IsZero() && e.outcome.goes():
			complaint = "is still to be evicted"
		case p.left.IsZero() && !present[p.uid]:
			complaint = "is not there any more, though nobody saw it go"
		case !p.left.IsZero() && present[p.uid]:
			complaint = "is still there, though it was deleted"
		}
		if complaint != "" {
			v.add(fmt.Sprintf("%s on %s %s", p.name, nodeName(p), complaint))
			continue
		}
		v.counts[e.outcome]++
		if e.outcome.goes() {
			v.worst = max(v.worst, e.lateness(p.left))
		}
	}
	return v
}

func nodeName(p *pod) string {
	if p.node == "" {
		return "no node"
	}
	return p.node
}

func (v *verdict) add(wrong ...string) { v.wrong = append(v.wrong, wrong...) }

func (v *verdict) ok() bool { return len(v.wrong) == 0 }

// line is the verdict in one line.
func (v *verdict) line() line {
	if !v.ok() {
		wrong := v.wrong
		if len(wrong) > quoted {
			wrong = append(slices.Clone(wrong[:quoted]), fmt.Sprintf("and %d more, see above", len(wrong)-quoted))
		}
		return line{{"FAIL: ", bad}, {"not everything is as the rules say: " + strings.Join(wrong, "; "), normal}}
	}
	evicted := v.counts[atOnce] + v.counts[onTime]
	return line{{"PASS: ", good}, {fmt.Sprintf("all %d pods did what the rules say: %d evicted at once, %d on time, "+
		"%d cancelled, %d left alone; none early, the worst %s late; %d Events for %d evictions; plan and why of the plugin agree",
		v.pods, v.counts[atOnce], v.counts[onTime], v.counts[cancelled], v.counts[tolerant]+v.counts[untouched],
		seconds(v.worst), v.events, evicted), normal}}
}
