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
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	basemetrics "k8s.io/component-base/metrics"

	"github.com/taint-manager/taint-manager/pkg/audit"
	"github.com/taint-manager/taint-manager/pkg/metrics"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
	"github.com/taint-manager/taint-manager/pkg/tainteviction"
)

// replica is one controller from its start to its end, and what the checks know of it. What follows a restart is another one.
type replica struct {
	sim        *sim
	name       string
	controller *tainteviction.Controller
	started    time.Time
	// life ends when the process is killed: nothing reaches it any more, nor it the API server.
	life context.Context
	kill context.CancelFunc
	// stop ends Run, stopLeading ends Lead; nil while it does not lead.
	stop, stopLeading context.CancelFunc
	// led is closed when the last Lead has returned.
	led     chan struct{}
	running sync.WaitGroup
	ended   bool

	// config is how it reaches the API server, clock its own clock.
	config *rest.Config
	clock  ownClock

	// What follows is guarded by the sim's lock. leadsSince is zero while it does not lead, and ledUntil is when it last ceased to.
	leadsSince, ledUntil time.Time
	view                 *view
	calls                map[string]int
	// pages are those of lists of which more are to come, by resource.
	pages map[string][]arrival
	// unmarkable are the pods of which a PATCH did not go well.
	unmarkable map[types.UID]bool
	// conflicts are the DELETEs of each pod that failed by another version, podReads the last reads of each.
	conflicts map[types.UID]int
	podReads  map[types.UID]podRead
	// reads are the reads of each node that were answered well.
	reads map[string][]nodeRead
	// budget is what is left of the reads of each node that are allowed.
	budget map[string]*readBudget
	trail  *trail
	restraint
}

// keptStarts is the ConfigMap that keeps starts, as an operator makes it.
func keptStarts() *v1.ConfigMap {
	return &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "starts"}}
}

// start starts a replica that does not lead.
func (s *sim) start() *replica {
	r := &replica{
		clock: ownClock{skew: s.ownSkew()},
		sim:   s, name: fmt.Sprintf("replica-%d", len(s.replicas)), started: time.Now(),
		view: newView(s.plan.apiSkew), calls: map[string]int{}, conflicts: map[types.UID]int{}, podReads: map[types.UID]podRead{},
		pages: map[string][]arrival{}, unmarkable: map[types.UID]bool{}, reads: map[string][]nodeRead{}, budget: map[string]*readBudget{},
		restraint: newRestraint(),
	}
	r.trail = newTrail(r)
	r.life, r.kill = context.WithCancel(context.Background())
	serverClock := serverclock.New(r.clock)
	config := &rest.Config{Host: "http://model", Transport: serverClock.Wrap(transport{r}), QPS: -1, UserAgent: r.name}
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	r.config = config
	client, err := kubernetes.NewForConfig(config)
	s.must(err)
	reading, err := podcache.NewClient(config)
	s.must(err)
	evicting, err := podcache.NewClientWithOwners(config)
	s.must(err)
	m, err := metrics.New(func(basemetrics.Registerable) error { return nil })
	s.must(err)
	c := tainteviction.Config{
		Informers: reading, Evictions: evicting, Events: client, Clock: r.clock, ServerClock: serverClock, ConcurrentEvictions: s.plan.concurrency, Metrics: m,
		Audit: audit.New(r.trail, audit.Metrics{Lines: m.AuditLines, Errors: m.AuditErrors}), Identity: r.name,
	}
	if s.plan.keeps {
		c.Starts = nameOf(keptStarts())
	}
	r.usePolicies(&c, client)
	r.controller, err = tainteviction.New(c)
	s.must(err)
	var ctx context.Context
	ctx, r.stop = context.WithCancel(klog.NewContext(context.Background(), s.logger(r.name)))
	r.running.Go(func() { r.controller.Run(ctx) })
	s.lock.Lock()
	s.replicas = append(s.replicas, r)
	s.byName[r.name] = r
	s.lock.Unlock()
	s.note(r.name, "starts")
	return r
}

// deadline is when a replica has scheduled a pod, or false where it has not.
func (r *replica) deadline(uid types.UID) (time.Time, bool) {
	at, scheduled := r.controller.Deadline(uid)
	return at.Add(-r.clock.skew), scheduled
}

// dated takes in the Date of an answer.
func (r *replica) dated(answer *http.Response) {
	r.sim.lock.Lock()
	defer r.sim.lock.Unlock()
	r.view.apiClock.dated(answer, time.Now())
}

// resign has the replica lead no more.
func (r *replica) resign() {
	r.sim.note(r.name, "leads no more")
	r.stopLeading()
	r.stopLeading = nil
}

// die ends the process: at once, with all its connections, or as on SIGTERM.
func (r *replica) die(atOnce bool) {
	r.ended = true
	if r.stopLeading != nil {
		r.resign()
	}
	if atOnce {
		r.sim.note(r.name, "is killed")
		r.kill()
		r.stop()
		return
	}
	r.sim.note(r.name, "is stopped")
	r.running.Go(func() {
		if r.led != nil {
			<-r.led
		}
		r.stop()
	})
}
