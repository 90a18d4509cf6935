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
	"fmt"
	"strings"
	"time"
)

// quiet is how long it goes on after the end of all faults.
const quiet = settled + 3*time.Minute

// Report says how a run went.
type Report struct {
	// Seed is that of the run, and Passed the virtual time it took.
	Seed   uint64
	Passed time.Duration
	// Evictions is how many pods were evicted, and Requests how many requests there were.
	Evictions, Requests int
	// Broken are the rules that were broken, in one sentence each; Trace is what led to the first.
	Broken []string
	Trace  string
}

// String is what a person wants to know of a failure.
func (r Report) String() string {
	if len(r.Broken) == 0 {
		return fmt.Sprintf("seed %d: all rules were kept, %d evictions, %d requests, %s", r.Seed, r.Evictions, r.Requests, r.Passed)
	}
	return fmt.Sprintf("%s\nseed %d broke a rule: %s\nreplay: make simulate SEED=%d", r.Trace, r.Seed, r.Broken[0], r.Seed)
}

// Options are what a run can do differently.
type Options struct {
	// Verbose, if set, is told of everything.
	Verbose func(string)
	// TrustRequests has the checks not look at what requests say, only at what comes of them.
	TrustRequests bool
	// Keeps has starts kept in a ConfigMap, and NoManagedFields nodes without managedFields; both are by chance otherwise.
	Keeps, NoManagedFields bool
	// Policies has replicas read policies, Brake has them have an eviction brake too, and Paced a pace of nodes; all by chance otherwise.
	Policies, Brake, Paced bool
	// NoPolicies has no run have any.
	NoPolicies bool
}

// Run makes the run of a seed. It must be called in a bubble of testing/synctest, and needs nothing else in there.
func Run(seed uint64, options Options) Report {
	s := newSim(seed, options)
	for i := range s.plan.nodes {
		s.addNode(nodeName(i))
	}
	for range s.plan.pods {
		s.addPod(s.newPod())
	}
	s.beginPolicies()
	s.api.Put(keptStarts())
	s.start().lead()
	if !s.plan.calm {
		s.weatherChanges()
		if s.rng.IntN(2) == 0 {
			s.start()
		}
	}
	s.wait(time.Duration(s.rng.Int64N(int64(2 * time.Second))))
	for range s.plan.steps {
		for range 1 + s.rng.IntN(2) {
			s.next()
		}
		s.nextPolicySteps()
		time.Sleep(s.interval())
		s.reap()
		s.wait(time.Millisecond)
		if s.check(); s.failed() {
			break
		}
	}
	s.rest()
	return s.report()
}

// interval is how long to wait after a step: seldom until everything has happened, mostly while something goes on, and often
// until about a deadline.
func (s *sim) interval() time.Duration {
	scale := []time.Duration{10 * time.Millisecond, time.Second, time.Second, 10 * time.Second, 10 * time.Second, 100 * time.Second}
	d := time.Duration(s.rng.Int64N(int64(scale[s.rng.IntN(len(scale))])))
	if s.rng.IntN(3) > 0 {
		return d
	}
	if until := s.untilDeadline(); until > 0 {
		around := []time.Duration{5 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second}[s.rng.IntN(3)]
		return max(0, until+time.Duration(s.rng.Int64N(2*int64(around)))-around)
	}
	return d
}

// untilDeadline is the time until the next deadline that anybody has scheduled, or 0.
func (s *sim) untilDeadline() (until time.Duration) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, r := range s.replicas {
		for uid := range s.history.pods {
			at, scheduled := r.deadline(uid)
			if d := time.Until(at); scheduled && !r.ended && d > 0 && d < 10*time.Minute && (until == 0 || d < until) {
				until = d
			}
		}
	}
	return until
}

// check is done whenever everything stands still.
func (s *sim) check() {
	s.lock.Lock()
	for _, r := range s.replicas {
		r.countBrake()
	}
	s.lock.Unlock()
	s.checkSchedules()
	s.checkTrails()
	if s.plan.calm {
		s.checkStatus()
	}
	s.checkLate()
}

// rest ends the faults, waits until everything has come to rest, checks that it has, and ends all replicas.
func (s *sim) rest() {
	s.calmDown()
	for s.wait(settled + s.mayBeLate() + time.Second); time.Since(s.calmSince) < quiet+s.mayBeLate() && !s.failed(); s.wait(15 * time.Second) {
		s.check()
	}
	if !s.failed() {
		s.checkCaughtUp()
		s.checkLed()
		s.checkEvents()
		s.checkLines()
		s.checkStatus()
		s.checkSizes()
	}
	for _, r := range s.alive() {
		r.die(s.rng.IntN(2) == 0)
	}
	for _, r := range s.replicas {
		r.running.Wait()
	}
	for _, r := range s.replicas {
		r.kill()
	}
	s.stopOwners()
	s.wait(2 * time.Minute) // what is on its way still arrives
}

func (s *sim) report() Report {
	s.lock.Lock()
	defer s.lock.Unlock()
	r := Report{Seed: s.seed, Passed: time.Since(s.began), Evictions: len(s.history.evictions), Requests: s.total}
	for _, f := range s.failures {
		r.Broken = append(r.Broken, f.text)
	}
	if len(s.failures) > 0 {
		r.Trace = s.traceOf(s.failures[0].about)
	}
	return r
}

// traceOf are the last lines about a pod or node, and the node of that pod, until the first broken rule.
func (s *sim) traceOf(about string) string {
	const most = 30
	names := map[string]bool{about: true}
	for _, versions := range s.history.pods {
		for _, version := range versions {
			if pod := version.pod; pod != nil && pod.Name == about && pod.Spec.NodeName != "" {
				names[pod.Spec.NodeName] = true
			}
		}
	}
	var lines []string
	for _, e := range s.trace {
		line := s.line(e)
		for name := range names {
			if e.who == name || strings.HasPrefix(e.who, "policy-") || strings.HasPrefix(e.who, "namespace-") || strings.Contains(line+" ", name+" ") || (strings.HasPrefix(e.who, "replica") && !strings.HasPrefix(e.format, "sends")) {
				lines = append(lines, line)
				break
			}
		}
		if strings.HasPrefix(e.format, "BROKEN") {
			break
		}
	}
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
