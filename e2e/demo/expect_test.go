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
	"strings"
	"testing"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// t0 is when the taint of all tests was sent; it was answered 0.1 s later.
var t0 = time.Date(2030, time.March, 1, 12, 0, 0, 0, time.UTC)

func after(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

func from(sent, answered float64) timing.Moment {
	return timing.Moment{Before: after(sent), After: after(answered)}
}

// node1 is tainted, node2 was until between 6.0 and 6.1 s.
func node1() *tainted { return &tainted{set: from(0, 0.1)} }

func node2() *tainted {
	removed := from(6, 6.1)
	return &tainted{set: from(0, 0.1), removed: &removed}
}

// runningPod has been on its node since long before the taint.
func runningPod(node string, tolerates tolerance) *pod {
	return &pod{uid: "1", name: "pod", node: node, bound: after(-60), running: true, tolerates: tolerates}
}

func TestExpect(t *testing.T) {
	changed := func(to int64, sent float64) func(*pod) {
		return func(p *pod) { p.changed = &change{from(sent, sent+0.1), tolerance{seconds: to}} }
	}
	bound := func(at float64) func(*pod) { return func(p *pod) { p.bound = after(at) } }
	left := func(at float64) func(*pod) { return func(p *pod) { p.left, p.marked = after(at), true } }
	for name, test := range map[string]struct {
		tolerates        tolerance
		node             *tainted
		change           func(*pod)
		outcome          outcome
		earliest, latest float64 // the latter without the slack
		unclear          bool
	}{
		"no taint":                        {tolerance{}, nil, nil, untouched, 0, 0, false},
		"tolerates nothing":               {tolerance{}, node1(), nil, atOnce, 0, 0.1, false},
		"tolerates some seconds":          {tolerance{seconds: 5}, node1(), nil, onTime, 5, 5.1, false},
		"tolerates everything":            {tolerance{forever: true}, node1(), nil, tolerant, 0, 0, false},
		"removed in time":                 {tolerance{seconds: 12}, node2(), nil, cancelled, 12, 12.1, false},
		"removed too late":                {tolerance{seconds: 3}, node2(), left(3.01), onTime, 3, 3.1, false},
		"removed while it was due":        {tolerance{seconds: 6}, node2(), nil, onTime, 6, 6.1, true},
		"removed, nobody came":            {tolerance{}, node2(), nil, atOnce, 0, 0.1, false},
		"came after the removal":          {tolerance{}, node2(), bound(7), untouched, 0, 0, false},
		"bound to a tainted node":         {tolerance{seconds: 5}, node1(), bound(2), onTime, 5, 7, false},
		"shortened":                       {tolerance{seconds: 12}, node1(), changed(9, 5), onTime, 9, 9.1, false},
		"lengthened":                      {tolerance{seconds: 12}, node1(), changed(15, 5), onTime, 15, 15.1, false},
		"shortened to less than is past":  {tolerance{seconds: 12}, node1(), changed(3, 5), onTime, 5, 5.1, false},
		"changed when it was due already": {tolerance{seconds: 5}, node1(), changed(9, 5), onTime, 9, 9.1, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := runningPod("node", test.tolerates)
			if test.change != nil {
				test.change(p)
			}
			got := expect(p, test.node)
			if got.outcome != test.outcome || (got.unclear != "") != test.unclear {
				t.Errorf("outcome %d, unclear %q; want %d, %t", got.outcome, got.unclear, test.outcome, test.unclear)
			}
			if got.outcome == untouched || got.outcome == tolerant {
				return
			}
			if !got.earliest.Equal(after(test.earliest)) || !got.latest.Equal(after(test.latest).Add(slack)) {
				t.Errorf("from %s to %s; want %g s to %g s and the slack", got.earliest.Sub(t0), got.latest.Sub(t0),
					test.earliest, test.latest)
			}
		})
	}
}

func TestComplaint(t *testing.T) {
	some := tolerance{seconds: 5}
	for name, test := range map[string]struct {
		tolerates tolerance
		node      *tainted
		left, now float64 // left 0: it has not
		unmarked  bool
		want      string // "": no complaint
	}{
		"on time":                 {some, node1(), 5.01, 9, false, ""},
		"at once":                 {tolerance{}, node1(), 0.01, 9, false, ""},
		"has time":                {some, node1(), 0, 4, false, ""},
		"is due, has time":        {some, node1(), 0, 7, false, ""},
		"nobody came":             {some, node1(), 0, 7.2, false, "was evicted by nobody, 2.20 s after it was due"},
		"early":                   {some, node1(), 4.99, 9, false, "was evicted 0.01 s early"},
		"late":                    {some, node1(), 7.5, 9, false, "was evicted 2.50 s late"},
		"by somebody else":        {some, node1(), 5.01, 9, true, "somebody else deleted it"},
		"tolerant and gone":       {tolerance{forever: true}, node1(), 5, 9, false, "it tolerates everything"},
		"cancelled and gone":      {tolerance{seconds: 12}, node2(), 12, 13, false, "the taint was removed before"},
		"cancelled and there":     {tolerance{seconds: 12}, node2(), 0, 20, false, ""},
		"untouched and gone":      {tolerance{}, nil, 5, 9, false, "its node had no taint"},
		"untouched and there":     {tolerance{}, nil, 0, 9, false, ""},
		"the demo was too slow":   {tolerance{seconds: 6}, node2(), 0, 20, false, "too late to tell"},
		"late, by somebody else":  {some, node1(), 7.5, 9, true, "was evicted 2.50 s late"},
		"gone before the removal": {some, node2(), 5.01, 9, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := runningPod("node", test.tolerates)
			if test.left != 0 {
				p.left, p.marked = after(test.left), !test.unmarked
			}
			got := expect(p, test.node).complaint(p, after(test.now))
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSettled(t *testing.T) {
	p := runningPod("node", tolerance{seconds: 5})
	e := expect(p, node1())
	if e.settled(p, after(7)) {
		t.Error("settled while there is time")
	}
	if !e.settled(p, after(7.2)) {
		t.Error("not settled when time is over")
	}
	p.left = after(5)
	if !e.settled(p, after(5)) {
		t.Error("not settled when it has gone")
	}
}
