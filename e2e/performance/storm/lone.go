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
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

const (
	// loneName is the namespace of pods that are alone on their nodes, and how the names of both begin. Their nodes are tainted one after
	// another in the middle of a storm, to see how long others wait for those of the storm. They do not count as the storm's.
	loneName  = "bench-lone"
	lonePods  = 4
	loneTaint = loneName
)

// lone are the pods that are alone on their nodes.
type lone struct {
	pods []podRef
	// tainted is when each of their nodes was tainted, as far as they are.
	tainted []time.Time
	gone    *sightings
}

func loneNode(i int) string { return fmt.Sprintf("%s-%d", loneName, i) }

func (b *bench) makeLoneNodes(ctx context.Context) error {
	if err := b.cp.Namespace(ctx, loneName); err != nil {
		return err
	}
	for i := range lonePods {
		if _, err := controlplane.CreateNode(ctx, b.client, loneNode(i)); err != nil {
			return err
		}
	}
	return nil
}

// fillLone makes the pods anew, and has their nodes without taints.
func (b *bench) fillLone(ctx context.Context) (*lone, error) {
	l := &lone{}
	for i := range lonePods {
		if err := builders.SetTaints(ctx, b.client, loneNode(i)); err != nil {
			return nil, err
		}
		ref := podRef{Namespace: loneName, Name: loneNode(i), Node: loneNode(i)}
		if err := b.removePod(ctx, ref); err != nil {
			return nil, err
		}
		ref, err := b.createPod(ctx, ref, i)
		if err != nil {
			return nil, err
		}
		l.pods = append(l.pods, ref)
	}
	return l, nil
}

// sightLone has it noted when they go.
func (b *bench) sightLone(ctx context.Context, l *lone) (err error) {
	if l != nil {
		l.gone, err = b.sight(ctx, "pods", "metadata.namespace="+loneName, going)
	}
	return err
}

// taintLone taints the next node of a pod that is alone when as much of the storm is over.
func (b *bench) taintLone(ctx context.Context, runner contestant, s *Storm, evicted int) error {
	l := s.alone
	if l == nil {
		return nil
	}
	i := len(l.tainted)
	if i == len(l.pods) || evicted*(len(l.pods)+1) < s.Pods*(i+1) {
		return nil
	}
	node := l.pods[i].Node
	if err := builders.SetTaints(ctx, b.client, node, builders.NoExecute(loneTaint)); err != nil {
		return err
	}
	l.tainted = append(l.tainted, time.Now())
	runner.tainted(node)
	return nil
}

// left is how many of the pods have not been evicted.
func (l *lone) left() (int, error) {
	if l == nil {
		return 0, nil
	}
	n, err := l.gone.count()
	return len(l.pods) - n, err
}

// lateness is the longest time from the taint of a node until its pod was evicted; zero where one was not.
func (l *lone) lateness() (longest time.Duration) {
	if l == nil {
		return 0
	}
	for i, pod := range l.pods {
		at, seen := l.gone.when(pod)
		if !seen || i >= len(l.tainted) {
			return 0
		}
		longest = max(longest, at.Sub(l.tainted[i]))
	}
	return longest
}
