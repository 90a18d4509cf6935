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
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are what the flags say.
type options struct {
	nodes, podsPerNode, namespaces int
	contenders                     []contender
	sizes                          []int
	// bareConcurrency and bareEventWriters are how many pods the bare client evicts at the same time, and how many Events
	// it writes beside that.
	bareConcurrency, bareEventWriters int
	// args are flags of taint-manager.
	args     []string
	settle   time.Duration
	liveHeap bool
	jsonFile string
	svgFile  string
	// mechanisms are measured against plain ones.
	mechanisms []mechanism
	// evict is what is measured of mode Evict and of the brake. In budgets of one place each there are podsPerBudget pods.
	evict                  []string
	budgets, podsPerBudget int
	// onlyMechanisms and onlyEvict leave everything else out.
	onlyMechanisms, onlyEvict bool
}

func parse(arguments []string, complaints io.Writer) (*options, error) {
	o := &options{sizes: []int{0, 10_000, 60_000}, contenders: defaultContenders(), mechanisms: allMechanisms(), evict: evictParts()}
	fs := flag.NewFlagSet("storm", flag.ContinueOnError)
	fs.SetOutput(complaints)
	fs.IntVar(&o.nodes, "nodes", 50, "how many `nodes` a storm taints")
	fs.IntVar(&o.podsPerNode, "pods-per-node", 100, "how many `pods` each of them has")
	fs.IntVar(&o.namespaces, "namespaces", 10, "how many `namespaces` the pods are spread over")
	fs.Func("contenders", "`list` of who is measured, in this order, of "+contenderNames(allContenders())+" (default: "+contenderNames(o.contenders)+")", func(text string) (err error) {
		o.contenders, err = parseContenders(text)
		return err
	})
	fs.Func("sizes", "`list` of numbers of pods at which memory and start are measured; empty for none (default: 0,10000,60000)", func(text string) (err error) {
		o.sizes, err = parseSizes(text)
		return err
	})
	fs.Func("mechanisms", "`list` of mechanisms that are measured against plain ones, of "+mechanismNames(o.mechanisms)+"; empty for none (default: all)", func(text string) (err error) {
		o.mechanisms, err = parseMechanisms(text)
		return err
	})
	fs.BoolVar(&o.onlyMechanisms, "only-mechanisms", false, "measure mechanisms only: no storms of the contenders, and no sizes")
	fs.Func("evict", "`list` of what is measured of mode Evict and of the eviction brake, of "+strings.Join(evictParts(), ",")+"; empty for nothing (default: all)", func(text string) (err error) {
		o.evict, err = parseEvict(text)
		return err
	})
	fs.IntVar(&o.budgets, "budgets", 50, "how many `budgets` of one place each there are in the part budgets of --evict")
	fs.IntVar(&o.podsPerBudget, "pods-per-budget", 100, "how many `pods` each of them covers")
	fs.BoolVar(&o.onlyEvict, "only-evict", false, "measure mode Evict and the eviction brake only: no storms of the contenders, and no sizes")
	fs.IntVar(&o.bareConcurrency, "bare-concurrency", 20, "how many `pods` the bare client evicts at the same time; taint-manager finds out how many do good")
	fs.IntVar(&o.bareEventWriters, "bare-event-writers", 2, "how many `Events` the bare client writes at the same time")
	args := fs.String("args", "--v=2", "`flags` of taint-manager; by default those of the manifests")
	fs.DurationVar(&o.settle, "settle", 30*time.Second, "`time` that a process gets to come to rest, at most, before its memory is measured")
	fs.BoolVar(&o.liveHeap, "live-heap", true, "measure live heaps, too, which takes up to two minutes for each size and contender")
	fs.StringVar(&o.jsonFile, "json", "bin/bench.json", "write all figures to this `file`")
	fs.StringVar(&o.svgFile, "svg", "bin/bench.svg", "draw the storms into this `file`; empty for none")
	if err := fs.Parse(arguments); err != nil {
		return nil, err
	}
	o.args = strings.Fields(*args)
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return o, o.validate()
}

func (o *options) validate() error {
	var errs []error
	for _, number := range []struct {
		flag  string
		value int
	}{
		{"nodes", o.nodes}, {"pods-per-node", o.podsPerNode}, {"namespaces", o.namespaces},
		{"bare-concurrency", o.bareConcurrency}, {"bare-event-writers", o.bareEventWriters},
		{"budgets", o.budgets}, {"pods-per-budget", o.podsPerBudget},
	} {
		if number.value < 1 {
			errs = append(errs, fmt.Errorf("--%s=%d: must be 1 or more", number.flag, number.value))
		}
	}
	if o.settle < restWindow {
		errs = append(errs, fmt.Errorf("--settle=%s: must be %s or more", o.settle, restWindow))
	}
	if o.jsonFile == "" {
		errs = append(errs, errors.New("--json: must name a file"))
	}
	return errors.Join(errs...)
}

func parseEvict(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	chosen := strings.Split(text, ",")
	for _, name := range chosen {
		if !slices.Contains(evictParts(), name) {
			return nil, fmt.Errorf("%q is none of %s", name, strings.Join(evictParts(), ","))
		}
	}
	return chosen, nil
}

// parseSizes returns them in ascending order: pods are only ever added.
func parseSizes(text string) ([]int, error) {
	if text == "" {
		return nil, nil
	}
	var sizes []int
	for word := range strings.SplitSeq(text, ",") {
		size, err := strconv.Atoi(word)
		if err != nil || size < 0 {
			return nil, fmt.Errorf("%q is no number of pods", word)
		}
		sizes = append(sizes, size)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes), nil
}
