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
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/performance/variants"
)

// mechanismGoal is what a mechanism buys, at least, of what it is for; one that buys less has to go.
const mechanismGoal = 0.1

// mechanism is a clever mechanism of taint-manager, and how to compare it with plain ones.
type mechanism struct {
	name, title, purpose string
	// ways are taint-manager as it is, and then the plain ways.
	ways    []way
	measure func(ctx context.Context, b *bench, ways []way, m *Mechanism) error
}

// way is one way to do what a mechanism does.
type way struct {
	title   string
	variant *variants.Variant // nil for taint-manager as it is
	args    []string
	binary  string // once it is built
}

// allMechanisms are those that are measured here. The partial decoder is measured by e2e/performance/churn.
func allMechanisms() []mechanism {
	fixed, polled := variants.FixedLimit(), variants.PolledLease()
	limits := []way{{title: "adapts, from 16"}}
	for _, limit := range []int{20, 32, 100, 400} {
		limits = append(limits, way{title: "fixed " + strconv.Itoa(limit), variant: &fixed, args: []string{fmt.Sprintf("--max-concurrent-evictions=%d", limit)}})
	}
	return []mechanism{
		{"limit", "concurrency limit", "evictions per second on an API server of unknown strength, calls that wait for something else, and others' calls", limits, measureLimit},
		{
			"lease", "the Lease", "lateness when the leader goes, at few calls",
			[]way{{title: "watched"}, {title: "retry period of 500 ms", variant: &polled, args: []string{"--leader-elect-retry-period=500ms"}}}, measureLease,
		},
	}
}

func mechanismNames(list []mechanism) string {
	names := make([]string, len(list))
	for i, m := range list {
		names[i] = m.name
	}
	return strings.Join(names, ",")
}

func parseMechanisms(text string) ([]mechanism, error) {
	if text == "" {
		return nil, nil
	}
	var chosen []mechanism
	for name := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(allMechanisms(), func(m mechanism) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is none of %s", name, mechanismNames(allMechanisms()))
		}
		chosen = append(chosen, allMechanisms()[i])
	}
	return chosen, nil
}

// measureMechanisms compares each mechanism with plain ones.
func (b *bench) measureMechanisms(ctx context.Context, r *report) error {
	built := map[string]string{}
	for _, m := range b.mechanisms {
		ways := slices.Clone(m.ways)
		for i := range ways {
			if err := b.buildWay(ctx, &ways[i], built); err != nil {
				return err
			}
		}
		result := Mechanism{Name: m.name, Title: m.title, Purpose: m.purpose}
		for _, w := range ways {
			result.Ways = append(result.Ways, w.title)
		}
		if err := m.measure(ctx, b, ways, &result); err != nil {
			return fmt.Errorf("mechanism %s: %w", m.name, err)
		}
		r.Mechanisms = append(r.Mechanisms, result)
	}
	return nil
}

// buildWay sets the binary of a way. Built has those that were built before.
func (b *bench) buildWay(ctx context.Context, w *way, built map[string]string) (err error) {
	if w.variant == nil {
		w.binary = b.binary
		return nil
	}
	if w.binary = built[w.variant.Name]; w.binary == "" {
		b.say("building taint-manager with a plain mechanism: %s", w.variant.Name)
		w.binary, err = w.variant.Build(ctx, b.dir, buildFlags()...)
		built[w.variant.Name] = w.binary
	}
	return err
}

// Mechanism is what was measured of a mechanism, and of the plain ways beside it.
type Mechanism struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Purpose string `json:"purpose"`
	// Ways are the names of the ways. The first is taint-manager as it is.
	Ways     []string   `json:"ways"`
	Measures []*Measure `json:"measures"`
}
