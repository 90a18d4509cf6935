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
	"math/rand/v2"
	"sync"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

const (
	// maxLag is how far behind a watch may be while it is connected.
	maxLag = 20 * time.Second
	// maxRequests of one run: more can only be a loop.
	maxRequests = 50_000
)

// plan is what a seed fixes for the whole run.
type plan struct {
	steps, nodes, pods, concurrency int
	// calm says that nothing fails: then every pod goes on time.
	calm bool
	// keeps says that there is a ConfigMap which keeps starts over restarts.
	keeps bool
	// elects says that replicas elect who leads; otherwise that is assigned, to several at a time or none.
	elects bool
	// crowds says that many pods come at once at times, which takes long to run.
	crowds bool
	// noStreaming says that the API server streams no lists, and noManagedFields that nodes have none.
	noStreaming, noManagedFields bool
	// permanent is what is wrong for the whole run, and swallows that a proxy swallows the bookmark that ends a streaming list.
	permanent *kindFault
	swallows  bool
	// bookmarks is the time between two bookmarks of a watch, maxPage how long a page of a list is; 0 for none.
	bookmarks time.Duration
	maxPage   int
	// apiSkew is by how much the API server's clock is wrong, writerSkew by how much those of its other clients may be, and
	// ownSkew by how much those of replicas may be.
	apiSkew, writerSkew, ownSkew time.Duration
	// policies is what there is of policies. It is drawn from chance of its own, as all that has to do with policies is: a run without
	// policies is what it would be if there were none.
	policies policyPlan
}

func newPlan(r *rand.Rand) plan {
	p := plan{steps: 6 + r.IntN(16), nodes: 1 + r.IntN(3), pods: 2 + r.IntN(8), concurrency: []int{1, 2, 4, 6}[r.IntN(4)]}
	if r.IntN(10) == 0 {
		p.steps = 60
	}
	p.calm = r.IntN(4) == 0
	p.keeps = r.IntN(2) == 0
	p.crowds = r.IntN(12) == 0
	p.noStreaming = r.IntN(4) == 0
	p.noManagedFields = r.IntN(8) == 0
	if !p.calm && r.IntN(5) == 0 {
		a := drawPermanent(r)
		p.permanent, p.crowds, p.concurrency = &a, false, max(p.concurrency, 4)
	}
	p.elects = r.IntN(3) == 0
	p.swallows = !p.calm && r.IntN(16) == 0
	p.bookmarks = []time.Duration{0, time.Minute, time.Minute, 5 * time.Second}[r.IntN(4)]
	p.maxPage = []int{0, 0, 1, 3}[r.IntN(4)]
	if r.IntN(3) == 0 {
		p.apiSkew = about(r, []time.Duration{5 * time.Second, time.Hour}[r.IntN(2)])
	}
	if r.IntN(3) == 0 {
		p.ownSkew = []time.Duration{5 * time.Second, 5 * time.Minute, time.Hour}[r.IntN(3)]
	}
	if r.IntN(3) == 0 {
		p.writerSkew = []time.Duration{2 * time.Second, 40 * time.Second, 6 * time.Minute}[r.IntN(3)]
	}
	return p
}

// about is up to d, or down to -d.
func about(r *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(2*d)+1)) - d
}

// sim is one run.
type sim struct {
	seed uint64
	rng  *rand.Rand
	// chance is the source of chance of all that has to do with policies.
	chance  *rand.Rand
	plan    plan
	api     *apitest.Server
	began   time.Time
	options Options

	lock       sync.Mutex
	history    *history
	profile    profile
	outages    map[string]time.Time
	kindFaults []kindFault
	bequests   map[types.UID]bequest
	replicas   []*replica
	byName     map[string]*replica
	names      int
	total      int
	cuts       map[string]int
	// told counts the tries to write the Event of a pod.
	told map[types.UID]int
	// owners are those of pods; nil for none.
	owners *owners
	// calmSince is when all faults ended; zero before.
	calmSince time.Time
	trace     []entry
	failures  []failure
}

// entry is a line of the trace.
type entry struct {
	at     time.Time
	who    string
	format string
	args   []any
}

// failure is a rule that was broken.
type failure struct{ about, text string }

// newSim makes a cluster, within a bubble.
func newSim(seed uint64, options Options) *sim {
	rng := rand.New(rand.NewPCG(seed, 1))
	plan := newPlan(rng)
	plan.keeps = plan.keeps || options.Keeps
	plan.noManagedFields = plan.noManagedFields || options.NoManagedFields
	chance := dice(seed, "policies", 0)
	plan.policies = newPolicyPlan(chance, options)
	plan.nodes = max(plan.nodes, plan.policies.nodes)
	s := &sim{
		seed: seed, rng: rng, chance: chance, plan: plan, api: apitest.New(), began: time.Now(), options: options,
		history: newHistory(plan.apiSkew), outages: map[string]time.Time{}, byName: map[string]*replica{}, cuts: map[string]int{},
		told: map[types.UID]int{}, bequests: map[types.UID]bequest{},
	}
	s.api.Linger = true
	s.api.Now = func() time.Time { return time.Now().Add(plan.apiSkew) }
	s.api.Changed = func(o apitest.Object, gone bool) {
		s.lock.Lock()
		defer s.lock.Unlock()
		s.history.record(o, gone)
	}
	s.api.Deliver = s.deliver
	s.api.Bookmarks, s.api.MaxPage = plan.bookmarks, plan.maxPage
	s.api.Delivered = func(client, resource string, e apitest.Event) {
		s.lock.Lock()
		defer s.lock.Unlock()
		if resource == "pods" || resource == "nodes" || otherResource(e.Object) != "" {
			s.byName[client].view.delivered(resource, e)
			if node, isNode := e.Object.(*v1.Node); isNode && e.Type != "BOOKMARK" {
				s.byName[client].endEvicting(node, e.Type == "DELETED")
			}
		}
	}
	return s
}

// ownSkew is by how much the clock of a replica is wrong.
func (s *sim) ownSkew() time.Duration { return about(s.rng, s.plan.ownSkew) }

// deliver says what becomes of an event of a watch: at times its connection ends, or an error takes its place.
func (s *sim) deliver(client, resource string, e apitest.Event) apitest.Delivery {
	s.lock.Lock()
	defer s.lock.Unlock()
	what := client + " " + resource
	s.cuts[what]++
	r := dice(s.seed, what, s.cuts[what])
	switch {
	case s.plan.swallows && e.Type == "BOOKMARK" && len(e.Object.GetAnnotations()) > 0:
		return apitest.Swallowed
	case r.Float64() >= s.profile.cuts:
		return apitest.Written
	default:
		return []apitest.Delivery{apitest.Torn, apitest.Torn, apitest.Expired, apitest.TooMany}[r.IntN(4)]
	}
}

// note writes a line of the trace.
func (s *sim) note(who, format string, args ...any) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.noteLocked(who, format, args...)
}

func (s *sim) noteLocked(who, format string, args ...any) {
	e := entry{time.Now(), who, format, args}
	s.trace = append(s.trace, e)
	if s.options.Verbose != nil {
		s.options.Verbose(s.line(e))
	}
}

func (s *sim) line(e entry) string {
	return fmt.Sprintf("%s %s: %s", s.clock(e.at), e.who, fmt.Sprintf(e.format, e.args...))
}

// clock writes a moment as the seconds since the beginning.
func (s *sim) clock(t time.Time) string {
	if !t.Before(never()) {
		return "never"
	}
	seconds := float64(t.Unix()-s.began.Unix()) + float64(t.Nanosecond()-s.began.Nanosecond())/1e9 // a Duration ends at 292 years
	return fmt.Sprintf("%.3fs", seconds)
}

// violation notes that a rule is broken, about a pod or node.
func (s *sim) violation(about, format string, args ...any) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.fail(about, format, args...)
}

func (s *sim) fail(about, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.noteLocked(about, "BROKEN: %s", text)
	s.failures = append(s.failures, failure{about, text})
}

func (s *sim) failed() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return len(s.failures) > 0
}

// must ends the run on an error that cannot be.
func (s *sim) must(err error) {
	if err != nil {
		panic(fmt.Sprintf("seed %d: %v", s.seed, err))
	}
}

// wait lets time pass, and the bubble come to a standstill.
func (s *sim) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// logger is that of a replica: silent, unless the whole trace is wanted.
func (s *sim) logger(name string) logr.Logger {
	if s.options.Verbose == nil {
		return logr.Discard()
	}
	return funcr.New(func(_, args string) { s.note(name, "logs %s", args) }, funcr.Options{Verbosity: 4})
}
