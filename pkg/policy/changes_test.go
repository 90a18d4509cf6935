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

package policy

import (
	"fmt"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

var changesBegin = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func second(n int) time.Time { return changesBegin.Add(time.Duration(n) * time.Second) }

// changesScene is a pod that has been on a tainted node for long, and policies that change.
type changesScene struct {
	*Changes
	t     *testing.T
	clock *testingclock.FakePassiveClock
	pod   *podcache.Pod
	// source holds the policies that apply.
	source *Source
	taints []deadline.Taint
}

func newChangesScene(t *testing.T, tolerations ...v1.Toleration) *changesScene {
	t.Helper()
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u", CreationTimestamp: metav1.NewTime(second(-100000))},
		Spec:       v1.PodSpec{NodeName: "n", Tolerations: tolerations},
	}
	s := &changesScene{
		t: t, clock: testingclock.NewFakePassiveClock(second(0)), source: &Source{set: newSet(nil), namespaces: noNamespaces()},
		pod: podcache.NewPod(pod, second(-99999)), taints: []deadline.Taint{{Key: "a", Start: second(-5000)}},
	}
	s.source.read.Store(true)
	s.Changes = NewChanges(&Rules{policies: s.source, choices: deadline.Rules{}}, s.clock, 600*time.Second)
	return s
}

// noNamespaces knows no namespace.
func noNamespaces() *namespaces {
	return &namespaces{informer: cache.NewSharedIndexInformer(&cache.ListWatch{}, &metav1.PartialObjectMetadata{}, 0, nil)}
}

// apply has policies apply from a time on.
func (s *changesScene) apply(at int, policies ...deadline.Policy) {
	s.clock.SetTime(second(at))
	s.source.set.ordered.Store(&policies)
	s.Follow()
}

// want compares since when a pod goes because of a policy: in seconds, or -1 for other reasons.
func (s *changesScene) want(at, want int) {
	s.t.Helper()
	s.clock.SetTime(second(at))
	decision := s.rules.decideBy(s.rules.current(), s.pod, nil, s.taints)
	got := -1
	if because := s.Because(s.pod, nil, s.taints, decision); !because.IsZero() {
		got = int(because.Sub(changesBegin) / time.Second)
	}
	if got != want {
		s.t.Errorf("at %d: because of %d, want %d", at, got, want)
	}
}

func named(name string, mode deadline.Mode, change ...func(*deadline.Policy)) deadline.Policy {
	p := deadline.Policy{Name: name, Mode: mode, Taints: []deadline.TaintPattern{{Key: "a", Effect: v1.TaintEffectNoExecute}}}
	for _, c := range change {
		c(&p)
	}
	return p
}

func expiring(at int) func(*deadline.Policy) {
	return func(p *deadline.Policy) { p.Expires, p.ExpireTime = second(at), second(at) }
}

func TestBecause(t *testing.T) {
	after := func(seconds int64) func(*deadline.Policy) {
		return func(p *deadline.Policy) { p.DeleteAfter = &seconds }
	}
	for _, test := range []struct {
		name string
		play func(s *changesScene)
	}{
		{"without policies", func(s *changesScene) {
			s.want(0, -1)
			s.want(1000, -1)
		}},
		{"the first policies are no change", func(s *changesScene) {
			s.apply(0, named("delete", deadline.ModeDelete))
			s.want(1, -1)
		}},
		{"a policy that kept is deleted", func(s *changesScene) {
			s.apply(0, named("keep", deadline.ModeKeep))
			s.want(5, -1)
			s.apply(10)
			s.want(10, 10)
			s.want(609, 10)
			s.want(610, -1)
		}},
		{"it is noticed with the decision", func(s *changesScene) {
			s.apply(0, named("keep", deadline.ModeKeep))
			s.source.set.ordered.Store(&[]deadline.Policy{})
			s.want(7, 7)
			s.want(8, 7)
		}},
		{"the first policies cannot be read at first", func(s *changesScene) {
			s.source.read.Store(false)
			s.apply(0, deadline.Policy{Mode: deadline.ModeKeep})
			s.source.read.Store(true)
			s.apply(10)
			s.want(20, -1)
		}},
		{"policies that come cannot be read for a while", func(s *changesScene) {
			s.apply(0)
			s.source.read.Store(false)
			s.apply(5, deadline.Policy{Mode: deadline.ModeKeep})
			s.want(6, -1)
			s.source.read.Store(true)
			s.apply(10)
			s.want(20, 10)
		}},
		{"the estimate of the API server's clock moves", func(s *changesScene) {
			moved := func(p *deadline.Policy) { p.Expires, p.Since = second(70), second(7) }
			s.apply(0, named("p", deadline.ModeKeep, expiring(100)))
			s.apply(10, named("p", deadline.ModeKeep, expiring(100), moved))
			s.want(20, 70)
			s.apply(30, named("p", deadline.ModeDelete, expiring(100), moved))
			s.want(40, 30)
		}},
		{"a policy is to expire earlier", func(s *changesScene) {
			s.apply(0, named("p", deadline.ModeKeep, expiring(1000)))
			s.apply(10, named("p", deadline.ModeKeep, expiring(5)))
			s.want(20, 10)
		}},
		{"a policy that kept now deletes", func(s *changesScene) {
			s.apply(0, named("p", deadline.ModeKeep))
			s.apply(10, named("p", deadline.ModeDelete))
			s.want(20, 10)
		}},
		{"a policy that previewed now evicts", func(s *changesScene) {
			s.apply(0, named("p", deadline.ModePreview))
			s.apply(10, named("p", deadline.ModeEvict))
			s.want(20, 10)
		}},
		{"a policy that evicted now deletes", func(s *changesScene) {
			s.apply(0, named("p", deadline.ModeEvict))
			s.apply(10, named("p", deadline.ModeDelete))
			s.want(20, 10)
		}},
		{"a policy that deleted now evicts", func(s *changesScene) {
			s.apply(0, named("p", deadline.ModeDelete))
			s.apply(10, named("p", deadline.ModeEvict))
			s.want(20, -1)
		}},
		{"a policy that evicted deletes earlier", func(s *changesScene) {
			s.apply(0, named("p", deadline.ModeEvict, after(9000)))
			s.apply(10, named("p", deadline.ModeEvict, after(8000)))
			s.want(20, 10)
		}},
		{"a policy that evicted deletes later", func(s *changesScene) {
			s.apply(0, named("p", deadline.ModeEvict, after(8000)))
			s.apply(10, named("p", deadline.ModeEvict, after(9000)))
			s.want(20, -1)
		}},
		{"a policy that waited does not any more", func(s *changesScene) {
			s.apply(0, named("p", deadline.ModeDelete, func(p *deadline.Policy) { p.MinTaintAge = 6000 }))
			s.apply(10, named("p", deadline.ModeDelete))
			s.want(20, 10)
		}},
		{"another policy does the same", func(s *changesScene) {
			s.apply(0, named("p", deadline.ModeDelete))
			s.apply(10, named("q", deadline.ModeDelete))
			s.want(20, -1)
		}},
		{"a policy comes that evicts, where none was", func(s *changesScene) {
			s.apply(0)
			s.apply(10, named("p", deadline.ModeEvict))
			s.want(20, -1)
		}},
		{"a policy of another taint goes", func(s *changesScene) {
			other := named("keep", deadline.ModeKeep)
			other.Taints[0].Key = "b"
			s.apply(0, other)
			s.apply(10)
			s.want(20, -1)
		}},
		{"the last change that matters counts", func(s *changesScene) {
			keep, other := named("keep", deadline.ModeKeep), named("other", deadline.ModeDelete)
			s.apply(0, keep)
			s.apply(10)
			s.apply(20, other)
			s.want(30, 10)
			s.apply(40, keep)
			s.want(45, -1)
			s.apply(50)
			s.want(60, 50)
		}},
		{"the same policies once more", func(s *changesScene) {
			s.apply(0, named("keep", deadline.ModeKeep))
			s.apply(10)
			for i := range 2 * maxFormer {
				s.apply(20+i, []deadline.Policy{}...)
			}
			s.want(100, 10)
			if len(s.before) != 1 {
				s.t.Errorf("remembers %d", len(s.before))
			}
		}},
		{"many changes", func(s *changesScene) {
			s.apply(0, named("keep", deadline.ModeKeep))
			s.apply(100)
			for i := range 3 * maxFormer {
				s.apply(101+i, named(fmt.Sprint(i), deadline.ModeDelete))
			}
			s.want(200, 100)
			if len(s.before) != maxFormer {
				s.t.Errorf("remembers %d", len(s.before))
			}
			s.apply(2000)
			s.want(2000, -1)
			if len(s.before) != 1 {
				s.t.Errorf("remembers %d", len(s.before))
			}
		}},
		{"a policy that expires", func(s *changesScene) {
			s.apply(0, named("keep", deadline.ModeKeep, expiring(100)))
			s.want(10, 100)
			s.want(100, 100)
			s.want(699, 100)
			s.want(700, -1)
		}},
		{"a policy of another taint that expires", func(s *changesScene) {
			other := named("keep", deadline.ModeKeep, expiring(100))
			other.Taints[0].Key = "b"
			s.apply(0, other)
			s.want(10, -1)
			s.want(150, -1)
		}},
		{"a policy that expires is deleted later", func(s *changesScene) {
			s.apply(0, named("keep", deadline.ModeKeep, expiring(100)))
			s.want(150, 100)
			s.apply(200)
			s.want(300, -1) // the brake knows from before
		}},
	} {
		t.Run(test.name, func(t *testing.T) { test.play(newChangesScene(t)) })
	}
}

// TestBecauseOfNothing has a pod that need not go.
func TestBecauseOfNothing(t *testing.T) {
	s := newChangesScene(t, v1.Toleration{Key: "a", Operator: v1.TolerationOpExists})
	s.apply(0, named("keep", deadline.ModeKeep))
	s.apply(10)
	s.want(20, -1)
}

// TestBecauseOfALaterDeadline has a pod that is due later, with the policy and without.
func TestBecauseOfALaterDeadline(t *testing.T) {
	s := newChangesScene(t, v1.Toleration{Key: "a", Operator: v1.TolerationOpExists, TolerationSeconds: ptr.To[int64](6000)})
	s.apply(0, named("keep", deadline.ModeKeep))
	s.apply(10, named("wait", deadline.ModeDelete))
	s.want(20, 10)
	s.apply(700)
	s.want(701, -1)
}

func TestPausedBy(t *testing.T) {
	precedence := func(p deadline.Policy, n int32) state { return state{applies: compiled{Policy: p, precedence: n}} }
	all := func(name string, mode deadline.Mode, change ...func(*deadline.Policy)) deadline.Policy {
		p := named(name, mode, change...)
		p.Taints = nil
		return p
	}
	for name, test := range map[string]struct {
		policies []state
		want     string
	}{
		"none":                  {nil, ""},
		"a pause":               {[]state{precedence(all("b", deadline.ModeKeep), 0), precedence(all("a", deadline.ModeKeep), 0)}, "a"},
		"another precedence":    {[]state{precedence(all("a", deadline.ModeKeep), 1)}, ""},
		"a preview":             {[]state{precedence(all("a", deadline.ModePreview), 0)}, ""},
		"of one taint":          {[]state{precedence(named("a", deadline.ModeKeep), 0)}, ""},
		"until a time":          {[]state{precedence(all("a", deadline.ModeKeep, expiring(101)), 0)}, "a"},
		"it has expired":        {[]state{precedence(all("a", deadline.ModeKeep, expiring(100)), 0)}, ""},
		"of pods that it wants": {[]state{precedence(all("a", deadline.ModeKeep, func(p *deadline.Policy) { p.Pod = labels.Nothing() }), 0)}, ""},
	} {
		source := &Source{set: newSet(nil)}
		for _, policy := range test.policies {
			source.set.policies[policy.applies.Name] = policy
		}
		if got := source.PausedBy(second(100)); got != test.want {
			t.Errorf("%s: paused by %q, want %q", name, got, test.want)
		}
	}
}
