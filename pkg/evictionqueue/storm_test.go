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

package evictionqueue

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

const (
	// The API server of these tests completes evictionsPerSecond, however many are in flight, and a read of a node serves for readFor
	// after its answer.
	evictionsPerSecond = 200
	readFor            = 950 * time.Millisecond
	stormNodes         = 50
	podsPerNode        = 100
	maxReadsPerPod     = 0.05
	hangsFor           = 70 * time.Second
)

// storm evicts pods, and reads the node before each of the two calls of an eviction unless a read still serves.
type storm struct {
	q *Queue
	// took is how long an eviction takes.
	took time.Duration
	// hangs has the nodes on which an eviction takes as long as a call may, and then fails.
	hangs sets.Set[string]

	lock sync.Mutex
	read map[string]time.Time // when a node was last read
	// reads counts the reads of nodes, and evicted has when each pod went.
	reads   int
	evicted map[string]time.Time
}

func newStorm(q *Queue, limit int, hangs ...string) *storm {
	return &storm{
		q: q, took: time.Second * time.Duration(limit) / evictionsPerSecond, hangs: sets.New(hangs...),
		read: map[string]time.Time{}, evicted: map[string]time.Time{},
	}
}

// run evicts until a number of pods have gone.
func (s *storm) run(ctx context.Context, pods int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var attempts sync.WaitGroup
	defer attempts.Wait()
	for {
		item, ok := s.q.Get(ctx)
		if !ok {
			return
		}
		attempts.Go(func() {
			s.evict(item)
			if s.count() >= pods {
				cancel()
			}
		})
	}
}

func (s *storm) evict(item Item) {
	if s.hangs.Has(item.Node) {
		time.Sleep(hangsFor)
		s.q.Retry(item, time.Second)
		return
	}
	for range 2 {
		s.readNode(item.Node)
		time.Sleep(s.took / 2)
	}
	s.lock.Lock()
	s.evicted[item.Name] = time.Now()
	s.lock.Unlock()
	s.q.Done(item)
}

func (s *storm) readNode(name string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if at := s.read[name]; at.IsZero() || time.Since(at) >= readFor {
		s.read[name] = time.Now()
		s.reads++
	}
}

func (s *storm) count() int {
	s.lock.Lock()
	defer s.lock.Unlock()
	return len(s.evicted)
}

// taint has pods fall due on some nodes, in some namespaces.
func (s *storm) taint(nodes, namespaces int) {
	for i := range nodes * podsPerNode {
		s.q.Set(pod(fmt.Sprint("storm", i), fmt.Sprint("n", i%nodes), fmt.Sprint("ns", i/nodes%namespaces)), after(0))
	}
}

// TestStormReadsFewNodes taints all nodes at the same moment. A pod falls due on another node in the middle, and ten on one more.
func TestStormReadsFewNodes(t *testing.T) {
	for _, limit := range []int{4, 20, 100, 400} {
		for _, namespaces := range []int{1, 10} {
			t.Run(fmt.Sprintf("limit %d, %d namespaces", limit, namespaces), func(t *testing.T) {
				bubble(t, limit, func(t *testing.T, q *Queue) {
					s := newStorm(q, limit)
					s.taint(stormNodes, namespaces)
					due := map[string]time.Time{}
					for node, pods := range map[string]int{"one": 1, "ten": 10} {
						at := after(float64(10 + pods))
						for i := range pods {
							name := fmt.Sprint(node, i)
							due[name] = at
							q.Set(pod(name, node, "ns0"), at)
						}
					}
					s.run(t.Context(), stormNodes*podsPerNode+len(due))
					perPod := float64(s.reads) / float64(len(s.evicted))
					t.Logf("%d reads of nodes, %.3f for each pod", s.reads, perPod)
					if perPod > maxReadsPerPod {
						t.Errorf("%.3f reads of nodes for each pod, want %v at most", perPod, maxReadsPerPod)
					}
					for name, at := range due {
						if lateness, most := s.evicted[name].Sub(at), s.took+time.Second; lateness > most {
							t.Errorf("%s is %s late, want %s at most", name, lateness, most)
						}
					}
				})
			})
		}
	}
}

// TestNodeThatHangsHoldsHalfOfTheLimit has a storm in which all attempts on one of the nodes hang, with all pods in one namespace. A pod falls
// due on another node in the middle.
func TestNodeThatHangsHoldsHalfOfTheLimit(t *testing.T) {
	const limit, nodes = 100, 10
	bubble(t, limit, func(t *testing.T, q *Queue) {
		for hangs := range nodes {
			s := newStorm(q, limit, fmt.Sprint("n", hangs))
			s.taint(nodes, 1)
			began, due := time.Now(), after(5)
			q.Set(pod("one", "one", "ns0"), due)
			ctx, stop := context.WithTimeout(t.Context(), hangsFor/2)
			s.run(ctx, (nodes-1)*podsPerNode+1)
			stop()
			if lateness, most := s.evicted["one"].Sub(due), s.took+time.Second; lateness > most {
				t.Errorf("one is %s late, want %s at most", lateness, most)
			}
			// Half of the limit is held, and a tenth is left to other namespaces.
			const most = 3 * (nodes - 1) * podsPerNode / evictionsPerSecond
			for name, at := range s.evicted {
				if at.Sub(began).Seconds() > most {
					t.Fatalf("%s went after %s", name, at.Sub(began))
				}
			}
			if s.count() <= (nodes-1)*podsPerNode {
				t.Fatalf("%d pods went within %s", s.count(), time.Since(began))
			}
			for i := range nodes * podsPerNode {
				q.Cancel(types.UID(fmt.Sprint("storm", i)))
			}
			time.Sleep(forgetAfter)
			none(t, q, 1)
		}
	})
}

// TestNodesWithFewPodsStarveNoOther has a pod fall due on a new node all the time, as fast as pods can be evicted.
func TestNodesWithFewPodsStarveNoOther(t *testing.T) {
	for _, limit := range []int{1, 20} {
		bubble(t, limit, func(t *testing.T, q *Queue) {
			s := newStorm(q, limit)
			s.taint(3, 10) // takes 1.5 s alone, and 3 s with half of the limit
			for i := range 60 * evictionsPerSecond {
				q.Set(pod(fmt.Sprint("few", i), fmt.Sprint("few", i), fmt.Sprint("ns", i%10)), after(float64(i)/evictionsPerSecond))
			}
			began := time.Now()
			ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
			defer stop()
			s.run(ctx, 60*evictionsPerSecond)
			for i := range 3 * podsPerNode {
				if _, gone := s.evicted[fmt.Sprint("storm", i)]; !gone {
					t.Fatalf("limit %d: pod %d of 3 nodes has not gone within %s", limit, i, time.Since(began))
				}
			}
		})
	}
}

// TestEachNodeHasItsTurn has nodes with more pods than can be evicted in a while.
func TestEachNodeHasItsTurn(t *testing.T) {
	const limit, nodes = 20, 5
	bubble(t, limit, func(t *testing.T, q *Queue) {
		s := newStorm(q, limit)
		for i := range nodes * 10 * podsPerNode {
			q.Set(pod(fmt.Sprint(i), fmt.Sprint("n", i%nodes), fmt.Sprint("ns", i/nodes%10)), after(0))
		}
		ctx, stop := context.WithTimeout(t.Context(), (nodes+1)*time.Second)
		defer stop()
		s.run(ctx, nodes*10*podsPerNode)
		if len(s.read) != nodes {
			t.Errorf("%d of %d nodes had a turn", len(s.read), nodes)
		}
	})
}
