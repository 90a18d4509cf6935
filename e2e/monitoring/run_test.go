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

package monitoring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"time"

	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	// firesWithin is how long an alert may take to fire: the longest is for pods that have been due for 30 s, and two for what was changed more than a
	// shortened day ago. endsWithin is how long it may fire after the fault: a pod may back off for 30 s.
	firesWithin, endsWithin = 100 * time.Second, 60 * time.Second
	// loadInterval is the time between two pods of the load.
	loadInterval = 250 * time.Millisecond
)

// faults is a cluster in which faults are made, one after another.
type faults struct {
	*harness.Scene
	policies   dynamic.ResourceInterface
	prometheus *prometheus
	replicas   []*harness.Controller
	// third is a replica that was started for a fault.
	third *harness.Controller
	// phases are the faults that have been made.
	phases []*phase
}

// phase is the time of a fault, until what it caused has ended, and the alerts that may fire meanwhile.
type phase struct {
	name     string
	alerts   []string
	from, to time.Time
}

// fault makes a fault, waits until the first of the alerts fires, ends the fault, and waits until none of the alerts does.
func (r *faults) fault(name string, begin func() (end func()), alerts ...string) {
	r.T.Helper()
	p := &phase{name: name, alerts: alerts, from: time.Now()}
	end := begin()
	r.fires(&phase{name: name, alerts: alerts[:1], from: p.from})
	end()
	r.ends(p)
}

// fires waits until all alerts of a fault fire.
func (r *faults) fires(p *phase) {
	r.T.Helper()
	for _, alert := range p.alerts {
		r.Eventually(p.name+": "+alert+" fires", firesWithin, func(ctx context.Context) error {
			firing, err := r.prometheus.firing(ctx)
			if err == nil && !firing.Has(alert) {
				err = fmt.Errorf("only these fire: %v", firing.UnsortedList())
			}
			return err
		})
		first := time.Now()
		for _, series := range r.prometheus.between(fmt.Sprintf(`ALERTS{alertstate="firing",alertname=%q}`, alert), p.from, first) {
			first = series.Values[0].Timestamp.Time()
		}
		r.Saw("%s: %s fires after %.0f s", p.name, alert, first.Sub(p.from).Seconds())
	}
}

// ends waits until none of the alerts of a fault fires.
func (r *faults) ends(p *phase) {
	r.T.Helper()
	ended := time.Now()
	r.Eventually(p.name+": the alerts end", endsWithin, func(ctx context.Context) error {
		firing, err := r.prometheus.firing(ctx)
		if err == nil && firing.HasAny(p.alerts...) {
			err = fmt.Errorf("these fire: %v", firing.UnsortedList())
		}
		return err
	})
	p.to = time.Now()
	r.phases = append(r.phases, p)
	r.Saw("%s: over %.0f s after the fault has ended", p.name, p.to.Sub(ended).Seconds())
}

// settles waits until no alert fires, such as that nobody leads, from before the replicas were there. It returns since when.
func (r *faults) settles() time.Time {
	r.T.Helper()
	r.Eventually("no alert fires at first", endsWithin, func(ctx context.Context) error {
		n, err := r.prometheus.value(ctx, `count(ALERTS{alertstate="firing"})`)
		if err == nil && n != 0 {
			err = fmt.Errorf("%v fire", n)
		}
		return err
	})
	return time.Now()
}

// expectSilence fails the test if an alert has fired.
func (r *faults) expectSilence(began time.Time) {
	r.T.Helper()
	r.expectOnlyWhatWasWrong(began, time.Now())
	evicted, err := r.prometheus.value(r.Context(), "sum(taint_eviction_controller_pod_deletions_total)")
	r.Must(err)
	if evicted < 50 {
		r.T.Errorf("%v pods went, by which the silence shows nothing", evicted)
	}
	r.Saw("nothing fires while nothing is wrong")
}

// expectOnlyWhatWasWrong fails the test for each alert that fired while no fault was made that it is for.
func (r *faults) expectOnlyWhatWasWrong(from, to time.Time) {
	r.T.Helper()
	for _, series := range r.prometheus.between(`ALERTS{alertstate="firing"}`, from, to) {
		alert := string(series.Metric[model.AlertNameLabel])
		for _, sample := range series.Values {
			at := sample.Timestamp.Time()
			if !slices.ContainsFunc(r.phases, func(p *phase) bool {
				return slices.Contains(p.alerts, alert) && !at.Before(p.from) && !at.After(p.to.Add(2*interval))
			}) {
				r.T.Errorf("%s fired %.0f s after the start, when nothing was wrong that it is for: %s", alert, at.Sub(from).Seconds(), series.Metric)
				break
			}
		}
	}
}

// leads waits until one of the replicas leads.
func (r *faults) leads() {
	r.T.Helper()
	r.Eventually("one replica leads", 40*time.Second, func(ctx context.Context) error {
		n, err := r.prometheus.value(ctx, "sum(taint_manager_leading)")
		if err == nil && n != 1 {
			err = fmt.Errorf("%v lead", n)
		}
		return err
	})
}

// gone waits until pods go, for as long as a backoff takes.
func (r *faults) gone(pods []*corev1.Pod) {
	r.T.Helper()
	for i, outcome := range r.AwaitAll(pods, time.Now().Add(40*time.Second)) {
		if !outcome.Evicted {
			r.T.Errorf("pod %s is still there", pods[i].Name)
		}
	}
}

// policy creates a policy with a spec in YAML.
func (r *faults) policy(name, spec string) {
	r.T.Helper()
	object := &unstructured.Unstructured{}
	r.Must(yaml.Unmarshal([]byte("{apiVersion: policy.taint-manager.io/v1alpha1, kind: TaintEvictionPolicy, spec: "+spec+"}"), &object.Object))
	object.SetName(name)
	_, err := r.policies.Create(r.Context(), object, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	r.Must(err)
}

// load makes pods until the test ends, in a namespace of its own and on two nodes that are tainted all the time. They go at once, or some
// seconds later; every fourth is evicted by a policy.
func (r *faults) load() {
	beside := r.Beside("load")
	nodes := beside.Nodes(2)
	beside.Taint(nodes[0], builders.NoExecute("busy"))
	beside.Taint(nodes[1], builders.NoExecute("drain"))
	ctx, cancel := context.WithCancel(r.Context())
	failed := make(chan error, 1)
	go func() {
		var err error
		for i := 0; err == nil && ctx.Err() == nil; i++ {
			pod := builders.Pod(nodes[0], builders.Named(fmt.Sprint("load-", i)), builders.Tolerates("busy", int64(i%3)))
			if i%4 == 0 {
				pod.Spec.NodeName = nodes[1]
			}
			_, err = r.Client.CoreV1().Pods(beside.Namespace).Create(ctx, pod, metav1.CreateOptions{})
			_ = loop.Sleep(ctx, loadInterval)
		}
		failed <- err
	}()
	r.T.Cleanup(func() {
		cancel()
		if err := <-failed; err != nil && !errors.Is(err, context.Canceled) && !apierrors.IsTimeout(err) && !strings.Contains(err.Error(), "context canceled") {
			r.T.Errorf("making load: %v", err)
		}
	})
}
