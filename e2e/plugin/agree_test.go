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

package plugin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
)

const (
	// clusters is how many random clusters are compared, each a node with four pods and policies of its own.
	clusters = 200
	// agrees is by how much the plugin and the controller may differ about a deadline.
	agrees = 2 * time.Second
	// punctual is how late an eviction may be that nothing holds up, on a machine that also runs all of this.
	punctual = 3 * time.Second
	// askers run the plugin at the same time.
	askers = 3
)

// change stands for the time of the change in what plan said before it was made.
var change = time.Unix(0, 0)

// says is what the plugin says of a pod, or what the controller did to it.
type says struct {
	goes                                  bool
	deadline                              time.Time
	taint, reason, policy, mode, tolerate string
}

// fate is what is read of the plugin's output.
type fate struct {
	Outcome, Reason, Mode, Taint, Policy string
	Deadline                             time.Time
	Toleration                           *corev1.Toleration
	AtLatest, ModeUnknown                bool
}

func (f fate) says() says {
	s := says{goes: f.Outcome == "Due" || f.Outcome == "Scheduled", deadline: f.Deadline, taint: f.Taint, reason: f.Reason, policy: f.Policy, mode: f.Mode}
	if f.Toleration != nil {
		s.tolerate = fmt.Sprintf("tolerated for %ds", *f.Toleration.TolerationSeconds)
	} else if s.goes {
		s.tolerate = "not tolerated"
	}
	return s
}

// TestPlanAndWhyAgreeWithTheController says that the controller evicts the pods that the plugin said, when it said, for the taint, the
// toleration and the policy that it said, and no others.
func TestPlanAndWhyAgreeWithTheController(t *testing.T) {
	w, ctx := shared, t.Context()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const namespace = "agree"
	must(t, w.cp.Namespace(ctx, namespace))
	watch, err := podwatch.Start(ctx, w.client, namespace)
	must(t, err)
	process, err := launcher.Start(ctx, w.cp, launcher.Options{Binary: w.manager, Args: []string{"--logging-format=json", "--v=2"}})
	must(t, err)
	defer func() { must(t, process.Stop()) }()

	all := make([]randomCluster, clusters)
	for i := range all {
		all[i] = newRandomCluster(r, i, namespace)
	}
	w.create(t, all)
	planned := w.plan(t)
	tainted := w.taint(t, all)
	why := w.why(t, all, planned)

	last := time.Now().Add((lateSeconds + 30 + 20) * time.Second)
	var pods []*corev1.Pod
	for _, c := range all {
		pods = append(pods, c.pods...)
	}
	watch.Await(ctx, last, func(*podwatch.Sightings) bool { return false })
	did := evictions(t, process.LogPath())
	tolerated := w.tolerated(t, namespace)
	going := map[string]time.Time{}
	watch.Await(ctx, time.Now().Add(time.Second), func(seen *podwatch.Sightings) bool {
		for _, pod := range pods {
			going[pod.Name] = seen.Of(pod).Going
		}
		return true
	})
	evicted := 0
	for i, c := range all {
		for _, pod := range c.pods {
			got := did[pod.Name]
			got.tolerate = tolerated[pod.Name]
			if got.goes {
				evicted++
			}
			want, known := planned[pod.Name]
			if !known {
				t.Errorf("plan did not show pod %s", pod.Name)
				continue
			}
			want.deadline = tainted[i].from.Add(want.deadline.Sub(change))
			compare(t, "plan", pod.Name, want, got, going[pod.Name], tainted[i].to.Sub(tainted[i].from))
			if asked, was := why[pod.Name]; was {
				compare(t, "why", pod.Name, asked, got, going[pod.Name], 0)
			}
		}
	}
	t.Logf("%d pods of %d clusters: the controller evicted %d; plan was asked about all, why about %d", len(pods), clusters, evicted, len(why))
	if evicted < len(pods)/4 || len(why) < clusters/2 {
		t.Errorf("too few to prove anything")
	}
}

// compare compares what was said of a pod with what became of it. The deadline that was said may be later by some time, in which its node was
// tainted.
func compare(t *testing.T, verb, pod string, want, got says, going time.Time, later time.Duration) {
	t.Helper()
	about, deadline, did := want.deadline, want, got
	deadline.deadline, did.deadline = time.Time{}, time.Time{}
	if deadline != did && (want.goes || got.goes) {
		t.Errorf("%s said of pod %s: %+v\nthe controller did: %+v", verb, pod, want, got)
		return
	}
	if !want.goes {
		return
	}
	if off := got.deadline.Sub(about); off < -agrees || off > later+agrees {
		t.Errorf("%s said that pod %s is due at %v; the controller had %v: %v later", verb, pod, about, got.deadline, off)
	}
	if off := going.Sub(about); off < -agrees || off > later+agrees+punctual {
		t.Errorf("%s said that pod %s is due at %v; it went %v later", verb, pod, about, off)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// create makes nodes, policies and pods, and waits until the controller has all policies.
func (w *world) create(t *testing.T, all []randomCluster) {
	t.Helper()
	ctx := t.Context()
	names := make([]string, 0, len(all))
	for i := range all {
		c := &all[i]
		_, err := controlplane.CreateNode(ctx, w.client, c.name, c.node)
		must(t, err)
		names = append(names, c.name)
		for _, policy := range c.policies {
			_, err := w.policies.Create(ctx, policy, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
			must(t, err)
			// Whether there is a policy of mode Evict decides how bad doctor finds what other tests make.
			t.Cleanup(func() { must(t, w.policies.Delete(context.Background(), policy.GetName(), metav1.DeleteOptions{})) })
		}
	}
	must(t, controlplane.WaitForNodes(ctx, w.client, names...))
	for i := range all {
		for p, pod := range all[i].pods {
			made, err := w.client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
			must(t, err)
			all[i].pods[p] = made
		}
	}
	must(t, loop.Until(ctx, 200*time.Millisecond, time.Minute, func(ctx context.Context) error {
		list, err := w.policies.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if _, has := list.Items[i].Object["status"]; !has {
				return fmt.Errorf("policy %s has no status", list.Items[i].GetName())
			}
		}
		return nil
	}))
}

// plan asks what the taints would do, and returns what it says by pod. Its deadlines are as if the change was made at the time change.
func (w *world) plan(t *testing.T) map[string]says {
	t.Helper()
	answers := map[string]says{}
	for set, taints := range taintSets() {
		args := []string{"plan", "-l", fmt.Sprintf("%s=set-%d", setLabel, set), "-o", "json"}
		for _, taint := range taints {
			args = append(args, "--taint", taint.ToString())
		}
		output, code, err := w.ask(t.Context(), w.kubeconfig, args...)
		must(t, err)
		var answer struct {
			At     time.Time
			Unread []any
			Notes  []string
			Pods   []struct {
				Pod  struct{ Name string }
				Fate fate
			}
		}
		must(t, json.Unmarshal(output, &answer))
		goes := false
		for _, pod := range answer.Pods {
			s := pod.Fate.says()
			if goes = goes || s.goes; s.goes {
				s.deadline = change.Add(s.deadline.Sub(answer.At))
			}
			answers[pod.Pod.Name] = s
		}
		if len(answer.Unread)+len(answer.Notes) > 0 || (code == 3) != goes {
			t.Errorf("%v: exit code %d, pods go: %t, unread: %v, notes: %v", args, code, goes, answer.Unread, answer.Notes)
		}
	}
	return answers
}

// during are the times between which the API server did something: when it was asked to, and when its answer was read. On a busy machine there
// are seconds between the two.
type during struct{ from, to time.Time }

// taint taints all nodes, and returns when.
func (w *world) taint(t *testing.T, all []randomCluster) []during {
	t.Helper()
	times := make([]during, len(all))
	for i, c := range all {
		must(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
			node, err := w.client.CoreV1().Nodes().Get(t.Context(), c.name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			node.Spec.Taints = append(node.Spec.Taints, taintSets()[c.set]...)
			times[i].from = time.Now()
			_, err = w.client.CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{})
			times[i].to = time.Now()
			return err
		}))
	}
	return times
}

// why asks about the last pod of each cluster that has time left, and returns what it says.
func (w *world) why(t *testing.T, all []randomCluster, planned map[string]says) map[string]says {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), (lateSeconds-15)*time.Second)
	defer cancel()
	names, answers := make(chan string), map[string]says{}
	var lock sync.Mutex
	var asking sync.WaitGroup
	for range askers {
		asking.Go(func() {
			for name := range names {
				output, _, err := w.ask(ctx, w.kubeconfig, "why", name, "-n", "agree", "-o", "json")
				if ctx.Err() != nil {
					continue // no time left
				}
				var answer struct {
					Fate   fate
					Unread []any
				}
				if err == nil {
					err = json.Unmarshal(output, &answer)
				}
				lock.Lock()
				if answers[name] = answer.Fate.says(); err != nil || len(answer.Unread) > 0 || answer.Fate.AtLatest || answer.Fate.ModeUnknown {
					t.Errorf("why %s: %v, %+v", name, err, answer)
				}
				lock.Unlock()
			}
		})
	}
	for _, c := range all {
		// Of the others, some go before they can be asked about.
		if pod := c.pods[3]; !planned[pod.Name].goes || planned[pod.Name].deadline.Sub(change) > lateSeconds*time.Second-time.Second {
			names <- pod.Name
		}
	}
	close(names)
	asking.Wait()
	return answers
}

// evictions returns what the controller did, by its log.
func evictions(t *testing.T, path string) map[string]says {
	t.Helper()
	log, err := os.Open(path)
	must(t, err)
	defer log.Close()
	did := map[string]says{}
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct {
			Msg, Taint, Reason, Mode, Policy string
			Pod                              struct{ Name string }
			Deadline                         float64 // milliseconds of Unix time
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Msg != "Evicted pod" {
			continue
		}
		s := says{goes: true, deadline: time.UnixMicro(int64(line.Deadline * 1000)), taint: line.Taint, reason: line.Reason, policy: line.Policy, mode: line.Mode}
		if s.mode == "" {
			s.mode = "Delete"
		}
		did[line.Pod.Name] = s
	}
	return did
}

// tolerated returns what Events say of the toleration of each evicted pod.
func (w *world) tolerated(t *testing.T, namespace string) map[string]string {
	t.Helper()
	events, err := w.client.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=TaintManagerEviction"})
	must(t, err)
	all := map[string]string{}
	for i := range events.Items {
		event := &events.Items[i]
		for part := range strings.SplitSeq(event.Message, ", ") {
			part, _, _ = strings.Cut(part, ";")
			if part == "not tolerated" || strings.HasPrefix(part, "tolerated for ") {
				all[event.InvolvedObject.Name], _, _ = strings.Cut(part, " by ")
			}
		}
	}
	return all
}
