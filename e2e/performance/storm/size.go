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
	"errors"
	"fmt"
	"math"

	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

// measureSize measures what the processes need at rest, with so many pods in the cluster, and how fast they start then.
func (b *bench) measureSize(ctx context.Context, r *report, pods int) error {
	for _, c := range b.sized() {
		if c.process == nil || c.name == builtinDefaultName { // it would need the same
			continue
		}
		size, err := b.sizeOf(ctx, c, pods)
		if err != nil {
			return fmt.Errorf("%s with %d pods: %w", c.title, pods, err)
		}
		r.Sizes = append(r.Sizes, *size)
		b.say("%s with %d pods: works after %.1f s, %s resident, %s at its peak, %s live heap", c.title, pods,
			size.StartToWorkingSeconds, bytes(size.ResidentBytes), bytes(size.PeakBytes), bytes(size.LiveHeapBytes))
	}
	return nil
}

// sized are the contenders whose size is measured: taint-manager a second time, with lists in pages.
func (b *bench) sized() (all []contender) {
	for _, c := range b.contenders {
		all = append(all, c)
		if c.name == oursName {
			all = append(all, oursInPages())
		}
	}
	return all
}

func (b *bench) sizeOf(ctx context.Context, c contender, pods int) (_ *Size, err error) {
	b.say("%s with %d pods: starting", c.title, pods)
	process, took, err := b.working(ctx, func(ctx context.Context) (*controlplane.Process, error) { return c.process(ctx, b) })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, process.Crashed(), process.Stop()) }()
	s := &Size{Contender: c.name, Title: c.title, Pods: pods, StartToWorkingSeconds: took.Seconds()}
	if s.ResidentBytes, err = b.atRest(ctx, process); err != nil {
		return nil, err
	}
	if s.PeakBytes, err = process.PeakRSS(); err != nil {
		return nil, err
	}
	if !b.liveHeap {
		return s, nil
	}
	// After the resident memory: to be asked makes garbage.
	s.LiveHeapBytes, err = b.measureLiveHeap(ctx, process)
	return s, err
}

// slope is how much memory one more pod takes.
type slope struct {
	from, to             int
	resident, peak, live float64
}

// slopeOf is the slope of a contender from its smallest size with pods to its largest; nil of fewer than two.
func slopeOf(sizes []Size, contender string) *slope {
	var first, last *Size
	for i := range sizes {
		size := &sizes[i]
		if size.Contender != contender || size.Pods == 0 {
			continue
		}
		if first == nil || size.Pods < first.Pods {
			first = size
		}
		if last == nil || size.Pods > last.Pods {
			last = size
		}
	}
	if first == nil || first == last {
		return nil
	}
	perPod := func(small, large uint64) float64 {
		if small == 0 || large == 0 {
			return math.NaN() // not measured
		}
		return (float64(large) - float64(small)) / float64(last.Pods-first.Pods)
	}
	return ptr.To(slope{
		from: first.Pods, to: last.Pods,
		resident: perPod(first.ResidentBytes, last.ResidentBytes),
		peak:     perPod(first.PeakBytes, last.PeakBytes),
		live:     perPod(first.LiveHeapBytes, last.LiveHeapBytes),
	})
}
