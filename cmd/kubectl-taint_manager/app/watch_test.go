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

package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// watched is a watch of the node "node-a" of a model API server, in virtual time. It begins at 2000-01-01T00:00:00Z.
type watched struct {
	*apitest.Server
	verb   *watchVerb
	reader *snapshot.Reader
	out    bytes.Buffer
	began  time.Time
}

// watchTest runs a test of a node with a taint that is a minute old, and pods on it.
func watchTest(t *testing.T, test func(t *testing.T, w *watched)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := apitest.New()
		server.Linger = true
		server.Put(&v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "taint-manager-starts"}})
		server.AddNode("node-a", v1.Taint{Key: "gone", Effect: v1.TaintEffectNoExecute, TimeAdded: ptr.To(metav1.NewTime(time.Now().Add(-2 * time.Second)))})
		reader, err := snapshot.NewReader(&rest.Config{Host: "http://model", Transport: server})
		if err != nil {
			t.Fatal(err)
		}
		reader.Starts = types.NamespacedName{Namespace: "kube-system", Name: "taint-manager-starts"}
		w := &watched{Server: server, reader: reader, began: time.Now()}
		w.verb = &watchVerb{Common: NewCommon(genericiooptions.IOStreams{Out: &w.out, ErrOut: &w.out}), nodes: []string{"node-a"}}
		test(t, w)
	})
}

// run watches until that ends, and returns the error and for how long it took.
func (w *watched) run(ctx context.Context) (time.Duration, error) {
	err := w.verb.follow(ctx, w.reader, &lineDisplay{out: &w.out})
	return time.Since(w.began), err
}

// after does something in a while.
func (w *watched) after(wait time.Duration, do func()) { time.AfterFunc(wait, do) }

// terminate has a pod deleted, with a grace period of 30 s.
func (w *watched) terminate(name string, finalizers ...string) {
	w.UpdatePod(name, func(pod *v1.Pod) {
		pod.Finalizers = finalizers
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = ptr.To(metav1.NewTime(time.Now().Add(30*time.Second))), ptr.To[int64](30)
	})
}

// tolerating has a pod tolerate all taints, for some seconds or for ever.
func tolerating(seconds *int64) func(*v1.Pod) {
	return func(pod *v1.Pod) {
		pod.Spec.Tolerations = []v1.Toleration{{Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute, TolerationSeconds: seconds}}
	}
}

// between fails the test if a watch did not end within bounds.
func between(t *testing.T, got, least, most time.Duration) {
	t.Helper()
	if got < least || got > most {
		t.Errorf("it ended after %s, want between %s and %s", got, least, most)
	}
}

// TestWatchEndsWhenPodsAreGone has pods that go at once, one that goes later, and some that do not go.
func TestWatchEndsWhenPodsAreGone(t *testing.T) {
	watchTest(t, func(t *testing.T, w *watched) {
		w.AddPod("now-0", "node-a")
		w.AddPod("now-1", "node-a")
		w.AddPod("later", "node-a", tolerating(ptr.To[int64](20)))
		w.AddPod("elsewhere", "node-b")
		w.AddPod("daemon", "node-a", tolerating(nil), func(pod *v1.Pod) {
			pod.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: "daemon", Controller: ptr.To(true)}}
		})
		w.AddPod("agent", "node-a", tolerating(nil))
		w.AddPod("static", "node-a", func(pod *v1.Pod) { pod.Annotations = map[string]string{v1.MirrorPodAnnotationKey: "x"} })
		w.AddPod("job", "node-a", func(pod *v1.Pod) { pod.Status.Phase = v1.PodSucceeded })
		w.after(2*time.Second, func() { w.terminate("now-0") })
		w.after(2*time.Second, func() { w.terminate("now-1") })
		w.after(4*time.Second, func() { w.RemovePod("now-0") })
		w.after(9*time.Second, func() { w.RemovePod("now-1") })
		w.after(20*time.Second, func() { w.terminate("later") })
		w.after(33*time.Second, func() { w.RemovePod("later") })
		took, err := w.run(t.Context())
		if err != nil {
			t.Error(err)
		}
		between(t, took, 33*time.Second, 34*time.Second)
		goldenText(t, "watch-lines.txt", w.out.Bytes())
	})
}

// TestWatchTimesOut has a pod that a finalizer keeps.
func TestWatchTimesOut(t *testing.T) {
	watchTest(t, func(t *testing.T, w *watched) {
		w.AddPod("stuck", "node-a")
		w.terminate("stuck", "example.com/hold")
		w.verb.timeout = 5 * time.Minute
		took, err := w.run(t.Context())
		var exit exitError
		if !errors.As(err, &exit) || exit != 2 {
			t.Errorf("error %v, want the exit code 2", err)
		}
		between(t, took, 5*time.Minute, 5*time.Minute)
		goldenText(t, "watch-timeout.txt", w.out.Bytes())
	})
}

// TestWatchIsInterrupted has the user end it.
func TestWatchIsInterrupted(t *testing.T) {
	watchTest(t, func(t *testing.T, w *watched) {
		w.AddPod("now", "node-a")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := w.run(ctx)
		var exit exitError
		if !errors.As(err, &exit) || exit != 1 {
			t.Errorf("error %v, want the exit code 1", err)
		}
	})
}

// TestWatchSurvivesBrokenWatches has watches end, forgotten by the API server, and an API server that is away for a minute in which the pod
// goes.
func TestWatchSurvivesBrokenWatches(t *testing.T) {
	watchTest(t, func(t *testing.T, w *watched) {
		w.AddPod("first", "node-a")
		w.AddPod("second", "node-a")
		var away atomic.Bool
		w.Intercept = func(*http.Request) (*http.Response, error) {
			if away.Load() {
				return nil, errors.New("the API server is away")
			}
			return nil, nil
		}
		w.after(5*time.Second, func() {
			w.CutWatches("pods", true)
			w.RemovePod("first")
		})
		w.after(20*time.Second, func() {
			away.Store(true)
			w.CutWatches("pods", true)
			w.RemovePod("second")
		})
		w.after(80*time.Second, func() { away.Store(false) })
		took, err := w.run(t.Context())
		if err != nil {
			t.Error(err)
		}
		between(t, took, 80*time.Second, 120*time.Second)
		for _, want := range []string{"1 of 2 gone", "2 of 2 gone", "No news, trying again: watching pods on node node-a: the API server is away\n"} {
			if !strings.Contains(w.out.String(), want) {
				t.Errorf("%q is not in\n%s", want, w.out.String())
			}
		}
	})
}

// TestWatchWithLittlePermission may get a ConfigMap and a node, and not list them.
func TestWatchWithLittlePermission(t *testing.T) {
	for refused, want := range map[string]string{
		"/api/v1/namespaces/kube-system/configmaps": "Not read: the watch of ConfigMap (",
		"/api/v1/nodes": "watching node node-a: ",
	} {
		watchTest(t, func(t *testing.T, w *watched) {
			w.AddPod("now", "node-a")
			w.Intercept = func(r *http.Request) (*http.Response, error) {
				if r.URL.Path != refused {
					return nil, nil
				}
				return apitest.Failure(apierrors.NewForbidden(schema.GroupResource{Resource: "these"}, "", errors.New("no permission"))), nil
			}
			w.after(5*time.Second, func() { w.RemovePod("now") })
			took, err := w.run(t.Context())
			if said := fmt.Sprint(w.out.String(), err); !strings.Contains(said, want) {
				t.Errorf("%s: %q is not in\n%s", refused, want, said)
			}
			if fails := refused == "/api/v1/nodes"; fails != (err != nil) {
				t.Errorf("%s: error %v", refused, err)
			} else if !fails {
				between(t, took, 5*time.Second, 6*time.Second)
			}
		})
	}
}

// TestWatchNeedsATaint has the taint taken back while a pod waits: nothing makes the node empty any more.
func TestWatchNeedsATaint(t *testing.T) {
	watchTest(t, func(t *testing.T, w *watched) {
		w.AddPod("later", "node-a", tolerating(ptr.To[int64](300)))
		w.after(10*time.Second, func() { w.Taint("node-a") })
		took, err := w.run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "node node-a has no taint that evicts pods, and 1 pods that stay") {
			t.Errorf("error %v", err)
		}
		between(t, took, 10*time.Second, 11*time.Second)
	})
}

// TestWatchNeedsANode has none of that name.
func TestWatchNeedsANode(t *testing.T) {
	watchTest(t, func(t *testing.T, w *watched) {
		w.verb.nodes = []string{"no-such-node"}
		if _, err := w.run(t.Context()); !apierrors.IsNotFound(err) {
			t.Errorf("error %v, want one of 404", err)
		}
	})
}

// TestWatchGolden has the picture on a terminal of a cluster with all that pods wait for.
func TestWatchGolden(t *testing.T) {
	c := loadCluster(t)
	whole := map[types.UID]*v1.Pod{}
	for _, pod := range c.whole {
		whole[pod.UID] = pod
	}
	departures := explain.NewDepartures([]string{"node-a", "node-b", "node-c"})
	departures.Update(snapshot.New(c.Input), whole)
	// Ten seconds later cart-0 is gone.
	c.At = noon.Add(10 * time.Second)
	c.Pods = slices.DeleteFunc(c.Pods, func(pod *podcache.Pod) bool { return pod.Name == "cart-0" })
	progress := departures.Update(snapshot.New(c.Input), whole)
	broken := errors.New("watching pods on node node-a: the API server is away")
	golden(t, "watch", func(p *text.Printer) { printProgress(p, progress, broken) })
}

// TestWatchScreen has the second picture take the place of the first, and of a low terminal only the first lines shown.
func TestWatchScreen(t *testing.T) {
	var out bytes.Buffer
	width, height := 80, 24
	display := &screenDisplay{
		printer: func() *text.Printer { return &text.Printer{Out: &out, Width: width} },
		screen:  &screen{out: &out, size: func() (int, int) { return width, height }},
	}
	for _, step := range []struct {
		gone, width, height int
		want                string
	}{
		{0, 80, 24, "node-a has no taint that evicts\x1b[K\n  ░░░░░░░░░░░░░░░░░░░░ 0 of 3 gone, 0 terminating, 3 to go\x1b[K\n\x1b[J"},
		{1, 80, 24, "\r\x1b[2Anode-a has no taint that evicts\x1b[K\n  ██████░░░░░░░░░░░░░░ 1 of 3 gone, 0 terminating, 2 to go\x1b[K\n\x1b[J"},
		{2, 80, 2, "\r\x1b[2A… and 2 more lines, for a higher terminal\x1b[K\n\x1b[J"},
		{2, 28, 24, "\x1b[H\x1b[2Jnode-a has no taint that\x1b[K\n  evicts\x1b[K\n  █████████████░░░░░░░ 2\x1b[K\n    of 3 gone, 0\x1b[K\n    terminating, 1 to go\x1b[K\n\x1b[J"},
		{2, 15, 4, "\x1b[H\x1b[2Jnode-a has no …\x1b[K\n  that evicts\x1b[K\n… and 3 more l…\x1b[K\n\x1b[J"},
	} {
		width, height = step.width, step.height
		progress := &explain.Progress{Nodes: []explain.NodeProgress{{Node: "node-a", Exists: true, ToGo: 3 - step.gone, Gone: step.gone}}}
		if err := display.show(progress, nil); err != nil {
			t.Fatal(err)
		}
		if out.String() != step.want {
			t.Errorf("%dx%d: got %q, want %q", width, height, out.String(), step.want)
		}
		out.Reset()
	}
	width = 40
	if err := display.end(&explain.Progress{Nodes: []explain.NodeProgress{{Node: "node-a", Exists: true, ToGo: 1, Gone: 2}}}, "interrupted"); err != nil {
		t.Fatal(err)
	}
	if want := "\r\x1b[Jnode-a: interrupted, with 1 pod still\n  there, 2 gone\n"; out.String() != want {
		t.Errorf("the end: got %q, want %q", out.String(), want)
	}
}

// TestWatchWaitsForAPause has pauses, which are taken back, and policies of mode Keep that may stay for ever.
func TestWatchWaitsForAPause(t *testing.T) {
	some := map[string]any{"mode": "Keep", "taints": []any{map[string]any{"key": "example.com/maintenance"}},
		"podSelector": map[string]any{"matchExpressions": []any{map[string]any{"key": "no", "operator": "DoesNotExist"}}}}
	for _, test := range []struct {
		what       string
		spec       map[string]any
		precedence int64
		done       bool
	}{
		{"a pause of everything", map[string]any{"mode": "Keep"}, 0, false},
		{"a rule for everything", map[string]any{"mode": "Keep"}, 10, true},
		{"a pause of a taint", some, 0, false},
		{"a rule for a taint", some, 10, true},
	} {
		c := loadCluster(t)
		policy := c.Policies[0].DeepCopy()
		policy.SetName("stop")
		policy.Object["spec"] = runtime.DeepCopyJSON(test.spec)
		policy.Object["spec"].(map[string]any)["matchingPrecedence"] = test.precedence
		c.Policies = append(c.Policies[:0], policy)
		c.Pods = slices.DeleteFunc(c.Pods, func(pod *podcache.Pod) bool { return pod.Name != "cart-0" })
		progress := explain.NewDepartures([]string{"node-a"}).Update(snapshot.New(c.Input), nil)
		node := &progress.Nodes[0]
		if progress.Done != test.done || test.done == (node.ToGo == 1) || test.done != (node.Stay.Kept == 1) {
			t.Errorf("%s: done: %t, %d to go, %d kept", test.what, progress.Done, node.ToGo, node.Stay.Kept)
		}
		if !test.done && (len(node.Waits) != 1 || node.Waits[0].For != "held by policy stop (Keep)" || !node.AtLatest.IsZero()) {
			t.Errorf("%s: it waits for %+v, until %v", test.what, node.Waits, node.AtLatest)
		}
	}
}
