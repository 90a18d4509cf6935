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

package simulation

import (
	"math/rand/v2"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"

	"github.com/taint-manager/taint-manager/pkg/brake"
	"github.com/taint-manager/taint-manager/pkg/policy"
	"github.com/taint-manager/taint-manager/pkg/tainteviction"
)

// policyPlan is what a seed fixes about policies, and about what came with them.
type policyPlan struct {
	// on says that replicas read policies, and that there are some at times. In about half of the runs they do not.
	on bool
	// absent says that there is no CustomResourceDefinition at first, unstamped that policies have no managedFields.
	absent, unstamped bool
	// owners says that there are owners that replace pods, and disruption budgets for these.
	owners bool
	// brake says that there is an eviction brake, with this limit, window and cooldown; paced that nodes begin one after another.
	brake            bool
	limit            int
	window, cooldown time.Duration
	paced            bool
	perMinute, burst int
	// nodes is how many nodes there are at least.
	nodes int
}

func newPolicyPlan(r *rand.Rand, options Options) policyPlan {
	p := policyPlan{
		on: r.IntN(2) == 0, absent: r.IntN(8) == 0, unstamped: r.IntN(4) == 0, owners: r.IntN(2) == 0,
		brake: r.IntN(4) == 0, limit: 1 + r.IntN(2), window: time.Duration(30+r.IntN(90)) * time.Second, cooldown: time.Duration(5+r.IntN(25)) * time.Second,
		paced: r.IntN(8) == 0, perMinute: 2 + r.IntN(10), burst: 1 + r.IntN(2),
	}
	p.on = p.on && !options.NoPolicies
	p.on, p.brake, p.paced = p.on || options.Policies || options.Brake || options.Paced, p.brake || options.Brake, p.paced || options.Paced
	if !p.on {
		return policyPlan{}
	}
	if p.brake || p.paced {
		p.nodes = 3 + r.IntN(3)
	}
	return p
}

// mayDelay is how long policies, budgets, the brake and the pace may have a pod wait that must go, once everything is well.
func (p policyPlan) mayDelay() (d time.Duration) {
	if p.on {
		d += budgetsRetry
	}
	if p.brake {
		d += p.window + p.cooldown + time.Minute
	}
	if p.paced {
		d += time.Duration(p.nodes+1) * time.Minute / time.Duration(p.perMinute)
	}
	return d
}

const (
	// budgetsRead is how long an eviction may wait for the list of budgets, and for one that was just made or removed.
	budgetsRead = 15 * time.Second
	// budgetsRetry is after what time at the latest an eviction is tried again that a budget has refused, while the watch says nothing of it.
	budgetsRetry = 6 * time.Minute
)

// usePolicies has a replica read policies and budgets, with a brake and a pace, as the plan says.
func (r *replica) usePolicies(c *tainteviction.Config, client kubernetes.Interface) {
	s, plan := r.sim, r.sim.plan.policies
	if !plan.on {
		r.view.rulings = []ruling{{}}
		return
	}
	objects, err := dynamic.NewForConfig(r.config)
	s.must(err)
	labels, err := metadata.NewForConfig(r.config)
	s.must(err)
	c.Policies, err = policy.NewSource(policy.Config{Discovery: client.Discovery(), Policies: objects, Namespaces: labels, Clock: c.ServerClock, Local: r.clock})
	s.must(err)
	c.PolicyStatus, c.Budgets = objects, client
	config := brake.Config{
		Window: time.Minute, Clock: r.clock,
		IgnoreTaints: []string{v1.TaintNodeNotReady, v1.TaintNodeUnreachable, v1.TaintNodeOutOfService},
	}
	if plan.brake {
		config.MaxNodes, config.Window, config.Cooldown = intstr.FromInt32(int32(plan.limit)), plan.window, plan.cooldown
	}
	if plan.paced {
		config.NodesPerMinute, config.Burst = plan.perMinute, plan.burst
	}
	c.Brake, err = brake.New(config)
	s.must(err)
	c.Deployment = types.NamespacedName{Namespace: "kube-system", Name: "taint-manager"}
}

// beginPolicies makes what there is of policies at the beginning.
func (s *sim) beginPolicies() {
	if !s.plan.policies.on {
		return
	}
	for _, name := range []string{"default", "other"} {
		s.putNamespace(name)
	}
	if s.plan.policies.absent {
		s.serve(false)
	} else if s.chance.IntN(2) == 0 {
		s.policyChanges()
	}
	if s.plan.policies.owners {
		s.startOwners()
	}
}

// mustHaveGone is when a pod must have gone at the latest, by what a replica was shown, and how much later it may be while nothing is wrong. One
// that is to be evicted, and that a budget covers, may have to wait for that. One that the brake or the pace may hold goes in the end only, unless
// it must have gone for taints that they ignore.
func (s *sim) mustHaveGone(v *view, pod *v1.Pod) (due time.Time, allowed time.Duration) {
	plan := s.plan.policies
	if !plan.brake && !plan.paced {
		return s.mustHaveGoneFor(v, pod, anyTaint)
	}
	now := time.Now()
	if due, allowed = s.mustHaveGoneFor(v, pod, isIgnored); now.Sub(due) > allowed {
		return due, allowed
	}
	due, _ = s.mustHaveGoneFor(v, pod, anyTaint)
	return due, never().Sub(now)
}

// mustHaveGoneFor is mustHaveGone for some of the taints of its node, which nothing but budgets holds up.
func (s *sim) mustHaveGoneFor(v *view, pod *v1.Pod, which func(v1.Taint) bool) (due time.Time, allowed time.Duration) {
	due = s.latestDue(v, pod, deleted, which)
	if s.plan.policies.on && due.After(time.Now()) && !s.covered(pod) && time.Since(s.history.budgetsChanged) > budgetsRead {
		return s.latestDue(v, pod, either, which), onTime + budgetsRead
	}
	return due, onTime
}
