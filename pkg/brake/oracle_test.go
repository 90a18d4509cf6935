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

package brake

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// plain is the brake in the plainest way: it remembers what each node was told, and counts all of them again each second.
type plain struct {
	config   Config
	causes   map[string]map[string]*plainCause // by node, and by taint
	on       bool
	under    bool
	fell     time.Time
	counting int
}

type plainCause struct{ from, start, changed time.Time }

func (p *plain) judge(now time.Time) {
	p.counting = 0
	for _, causes := range p.causes {
		for _, c := range causes {
			age := now.Sub(c.start)
			if sinceChange := now.Sub(c.changed); !c.changed.IsZero() && sinceChange < age {
				age = sinceChange
			}
			if !c.from.After(now) && age < p.config.Window {
				p.counting++
				break
			}
		}
	}
	switch tooMany := p.counting > int(p.config.MaxNodes.IntVal); {
	case tooMany:
		p.on, p.under = true, false
	case p.on && !p.under:
		p.under, p.fell = true, now
	}
	if p.on && p.under && now.Sub(p.fell) >= p.config.Cooldown {
		p.on = false
	}
}

func (p *plain) set(name string, told Node, now time.Time) {
	before, after := p.causes[name], map[string]*plainCause{}
	for _, due := range told.Due {
		p.merge(after, due)
	}
	for _, taint := range told.Taints {
		key := taint.String()
		old, has := before[key]
		if !has || taint.Key == "ignored" {
			continue
		}
		begun := !old.from.After(now)
		switch c := after[key]; {
		case c == nil && begun:
			after[key] = old
		case c != nil:
			if begun && old.from.Before(c.from) {
				c.from = old.from
			}
			if old.changed.After(c.changed) {
				c.changed = old.changed
			}
		}
	}
	p.causes[name] = after
}

func (p *plain) merge(causes map[string]*plainCause, due Due) {
	if due.Taint.Key == "ignored" {
		return
	}
	c := causes[due.Taint.String()]
	if c == nil {
		causes[due.Taint.String()] = &plainCause{due.From, due.Taint.Start, due.Changed}
		return
	}
	if due.From.Before(c.from) {
		c.from = due.From
	}
	if due.Taint.Start.After(c.start) {
		c.start = due.Taint.Start
	}
	if due.Changed.After(c.changed) {
		c.changed = due.Changed
	}
}

// draw returns something that may be told of a node: some taints, and for some of them pods that are due at some time.
func draw(random *rand.Rand, now time.Time) (told Node) {
	second := func(least, most int) time.Time {
		return now.Add(time.Duration(least+random.IntN(most-least)) * time.Second)
	}
	for _, key := range []string{"a", "b", "ignored"} {
		if random.IntN(3) == 0 {
			continue
		}
		taint := deadline.Taint{Key: key, Start: second(-40, 1)}
		told.Taints = append(told.Taints, taint)
		for range random.IntN(3) {
			due := Due{Taint: taint, From: taint.Start.Add(time.Duration(random.IntN(40)) * time.Second)}
			if random.IntN(6) == 0 {
				due.Changed = second(-20, 10)
			}
			told.Due = append(told.Due, due)
		}
	}
	return told
}

// The brake is clever: it counts only what changes. It must count as the plain way does.
func TestAgainstThePlainWay(t *testing.T) {
	on, off := 0, 0
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 14))
			config := Config{
				MaxNodes: number(int32(1 + random.IntN(6))), Window: 30 * time.Second, Cooldown: time.Duration(random.IntN(10)) * time.Second,
				IgnoreTaints: []string{"ignored"}, Clock: clock.RealClock{},
			}
			b, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			p := &plain{config: config, causes: map[string]map[string]*plainCause{}}
			for range 300 {
				now := time.Now()
				p.judge(now)
				for range random.IntN(3) {
					name := nameOf(random.IntN(12))
					switch random.IntN(6) {
					case 0:
						b.Forget(name)
						delete(p.causes, name)
					case 1:
						told := draw(random, now)
						for _, due := range told.Due {
							b.Add(name, due)
							if p.causes[name] == nil {
								p.causes[name] = map[string]*plainCause{}
							}
							p.merge(p.causes[name], due)
							p.judge(now)
						}
					case 2:
						b.Set(name, Node{})
						p.set(name, Node{}, now)
					default:
						told := draw(random, now)
						b.Set(name, told)
						p.set(name, told, now)
					}
					p.judge(now)
				}
				if random.IntN(3) > 0 { // nobody looks each second
					if got := b.Status(); got.On != p.on || got.Counting != p.counting {
						t.Fatalf("seed %d, after %v: on %v and %d nodes count, by the plain way %v and %d", seed, now, got.On, got.Counting, p.on, p.counting)
					}
				}
				if p.on {
					on++
				} else {
					off++
				}
				time.Sleep(time.Second)
			}
		})
	}
	if on < 1000 || off < 1000 {
		t.Errorf("the brake was on for %d seconds, and off for %d: this tests too little", on, off)
	}
}

// A process that was restarted holds whatever one that was not restarted holds.
func TestARestartHoldsNoLess(t *testing.T) {
	held := 0
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 15))
			config := Config{
				MaxNodes: number(int32(1 + random.IntN(6))), Window: 30 * time.Second, Cooldown: time.Duration(random.IntN(10)) * time.Second,
				Clock: clock.RealClock{},
			}
			old, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			restarted, restartAt := (*Brake)(nil), 20+random.IntN(100)
			nodes := map[string]Node{}
			tell := func(name string) {
				for _, b := range []*Brake{old, restarted} {
					if b != nil {
						b.Set(name, nodes[name])
					}
				}
			}
			for second := range 200 {
				if second == restartAt {
					if restarted, err = New(config); err != nil {
						t.Fatal(err)
					}
					restarted.Restore(old.State())
					for name := range nodes {
						restarted.Set(name, nodes[name])
					}
				}
				name := nameOf(random.IntN(12))
				node := nodes[name]
				switch random.IntN(4) {
				case 0: // tainted, with pods that are due now and later
					taint := deadline.Taint{Key: fmt.Sprint(second), Start: time.Now()}
					node.Taints = append([]deadline.Taint{taint}, node.Taints...)
					node.Due = append([]Due{{Taint: taint, From: time.Now().Add(time.Duration(random.IntN(3)*5) * time.Second)}}, node.Due...)
				case 1: // its pods are gone
					node.Due = nil
				case 2: // untainted
					node = Node{}
				}
				node.Created = time.Now().Add(-day)
				nodes[name] = node
				tell(name)
				if restarted != nil && old.Status().On {
					held++
					if !restarted.Status().On {
						t.Fatalf("seed %d, after %d s: a restart after %d s has released the brake", seed, second, restartAt)
					}
				}
				time.Sleep(time.Second)
			}
		})
	}
	if held < 1000 {
		t.Errorf("the brake was on for %d seconds only: this tests too little", held)
	}
}
