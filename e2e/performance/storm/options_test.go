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
	"errors"
	"flag"
	"io"
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	o, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if names := contenderNames(o.contenders); names != "bare,taint-manager,bare,builtin,builtin-default" {
		t.Errorf("contenders %s", names)
	}
	if !slices.Equal(o.sizes, []int{0, 10_000, 60_000}) {
		t.Errorf("sizes %v", o.sizes)
	}
	if !slices.Equal(o.evict, []string{"storm", "budgets", "brake"}) || o.budgets != 50 || o.podsPerBudget != 100 || o.onlyEvict {
		t.Errorf("of mode Evict: %+v", o)
	}
	o, err = parse([]string{"--only-evict", "--evict=brake,storm", "--budgets=5", "--pods-per-budget=10"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.evict, []string{"brake", "storm"}) || o.budgets != 5 || o.podsPerBudget != 10 || !o.onlyEvict || o.onlyMechanisms {
		t.Errorf("of mode Evict: %+v", o)
	}
	if o, err = parse([]string{"--evict="}, io.Discard); err != nil || o.evict != nil {
		t.Errorf("of mode Evict: %+v, error %v", o, err)
	}
	o, err = parse([]string{"--nodes=5", "--pods-per-node=20", "--sizes=", "--contenders=builtin,bare", "--args=--v=0 --max-concurrent-evictions=5"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.nodes != 5 || o.podsPerNode != 20 || o.sizes != nil || contenderNames(o.contenders) != "builtin,bare" || len(o.args) != 2 {
		t.Errorf("%+v", o)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, arguments := range [][]string{
		{"--nodes=0"}, {"--pods-per-node=-1"}, {"--namespaces=0"}, {"--bare-concurrency=0"}, {"--bare-event-writers=0"},
		{"--nodes=many"}, {"--sizes=1,two"}, {"--sizes=-1"}, {"--contenders=nobody"}, {"--contenders="}, {"--settle=1s"},
		{"--budgets=0"}, {"--pods-per-budget=0"}, {"--evict=nothing"}, {"--evict=storm,"},
		{"--json="}, {"more"}, {"--unknown"},
	} {
		if _, err := parse(arguments, io.Discard); err == nil || errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q: error %v", arguments, err)
		}
	}
	if _, err := parse([]string{"--help"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("help: error %v", err)
	}
}

func TestParseSizes(t *testing.T) {
	sizes, err := parseSizes("60000,0,10000,0")
	if err != nil || !slices.Equal(sizes, []int{0, 10_000, 60_000}) {
		t.Errorf("%v, error %v", sizes, err)
	}
}

// Pods of one node are in several namespaces, and all names are different.
func TestPlace(t *testing.T) {
	o := &options{nodes: 5, podsPerNode: 20, namespaces: 4}
	places, ofNode := map[podRef]bool{}, map[string]int{}
	for i := range o.nodes * o.podsPerNode {
		place := o.place(i)
		places[place] = true
		if place.Node == nodeName(2) {
			ofNode[place.Namespace]++
		}
	}
	if len(places) != 100 || len(ofNode) != 4 || ofNode[namespaceName(0)] != 5 {
		t.Errorf("%d places, of one node by namespace: %v", len(places), ofNode)
	}
}

// Pods of one budget are in its namespace and on different nodes, pods that follow one another are of different budgets, and each node has as
// many pods as the others.
func TestGuarded(t *testing.T) {
	o, g := &options{nodes: 5, namespaces: 4}, guard{budgets: 10, perBudget: 5}
	places, ofNode, ofBudget, nodesOf := map[podRef]bool{}, map[string]int{}, map[string]string{}, map[string]map[string]bool{}
	previous := ""
	for i := range g.pods() {
		ref, budget := o.guarded(g, i)
		places[ref] = true
		ofNode[ref.Node]++
		if ofBudget[budget] == "" {
			ofBudget[budget], nodesOf[budget] = ref.Namespace, map[string]bool{}
		}
		nodesOf[budget][ref.Node] = true
		if ofBudget[budget] != ref.Namespace {
			t.Errorf("pods of %s are in %s and %s", budget, ref.Namespace, ofBudget[budget])
		}
		if previous == budget {
			t.Errorf("pods %d and %d are of %s", i-1, i, budget)
		}
		previous = budget
	}
	if len(places) != 50 || len(ofNode) != 5 || ofNode[nodeName(2)] != 10 || len(ofBudget) != 10 {
		t.Errorf("%d places of %d budgets, by node: %v", len(places), len(ofBudget), ofNode)
	}
	for budget, nodes := range nodesOf {
		if len(nodes) != 5 {
			t.Errorf("pods of %s are on %d nodes", budget, len(nodes))
		}
	}
	if got, budget := o.guarded(g, 13); got.Namespace != "bench-3" || got.Node != "bench-node-4" || budget != "bench-budget-3" {
		t.Errorf("pod 13 is %+v of %s", got, budget)
	}
}
