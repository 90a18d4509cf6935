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

package evictor

import (
	"net/http"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/brake"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/policy"
	"github.com/taint-manager/taint-manager/pkg/taintstart"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// braked has an evictor ask a brake that is on, because of other nodes, and ignores the taint "lost".
func braked(t *testing.T, e *Evictor) *brake.Brake {
	t.Helper()
	b, err := brake.New(brake.Config{
		MaxNodes: intstr.FromInt32(1), Window: 600 * time.Second, Cooldown: 60 * time.Second, IgnoreTaints: []string{"lost"}, Clock: clock.RealClock{},
	})
	if err != nil {
		t.Fatal(err)
	}
	rules := policy.NewRules(deadline.Rules{}, nil, nil)
	e.brake = NewBrake(BrakeConfig{
		Brake: b, Clock: clock.RealClock{}, Starts: e.starts, Labels: func(string) labels.Labels { return labels.Set{} },
		Rules: rules, Changes: policy.NewChanges(rules, clock.RealClock{}, 600*time.Second),
	})
	for _, node := range []string{"x", "y"} {
		taint := deadline.Taint{Key: "a", Start: time.Now()}
		b.Set(node, brake.Node{Taints: []deadline.Taint{taint}, Due: []brake.Due{{Taint: taint, From: time.Now()}}})
	}
	return b
}

// observe has the taint tracker see a node as it is now.
func observe(t *testing.T, api *apitest.Server, e *Evictor) {
	t.Helper()
	client, err := api.Client()
	if err != nil {
		t.Fatal(err)
	}
	node, err := client.CoreV1().Nodes().Get(t.Context(), "n", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e.starts.Observe("n", taintstart.Observe(node, time.Now(), 1))
}

// TestHeldBeforeAnyWrite has the brake be on: the pod gets no PATCH, and asks again after a while.
func TestHeldBeforeAnyWrite(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		b := braked(t, e)
		result, err := e.Evict(t.Context(), pod)
		if err != nil || result.Outcome != Held || result.By != brake.HeldByBrake || !result.Decision.Evict {
			t.Errorf("result %+v, error %v", result, err)
		}
		if result.RetryAfter < 60*time.Second || result.RetryAfter > 72*time.Second { // the cooldown
			t.Errorf("asks again after %v", result.RetryAfter)
		}
		if got := api.Requests(); !slices.Equal(got, []string{"GET /api/v1/nodes/n"}) {
			t.Errorf("requests %q", got)
		}
		b.Forget("x")
		b.Forget("y")
		time.Sleep(61 * time.Second)
		wants(t, e, pod, Deleted)
	})
}

// TestHeldByTheEvictionAPI is the same with a pod that is to be evicted.
func TestHeldByTheEvictionAPI(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		evicts(e)
		braked(t, e)
		wants(t, e, pod, Held)
		if api.Count("POST")+api.Count("GET "+podPath) != 0 {
			t.Errorf("requests %q", api.Requests())
		}
	})
}

// TestHeldAfterTheCondition has the brake go on between the PATCH and the DELETE.
func TestHeldAfterTheCondition(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		b := braked(t, e)
		b.Forget("x")
		b.Forget("y")
		time.Sleep(61 * time.Second)
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPatch {
				taint := deadline.Taint{Key: "a", Start: time.Now()}
				b.Add("x", brake.Due{Taint: taint, From: time.Now()})
			}
			return nil, nil
		}
		wants(t, e, pod, Held)
		if api.Count("DELETE") != 0 {
			t.Error("deleted")
		}
	})
}

// TestGoesByWhatIsIgnored has the node be lost as well.
func TestGoesByWhatIsIgnored(t *testing.T) {
	for name, test := range map[string]struct {
		taints []v1.Taint
		want   Outcome
	}{
		"both":              {[]v1.Taint{noExecute("a"), noExecute("lost")}, Deleted},
		"the other way":     {[]v1.Taint{noExecute("lost"), noExecute("a")}, Deleted},
		"that alone":        {[]v1.Taint{noExecute("lost")}, Deleted},
		"another, too":      {[]v1.Taint{noExecute("a"), noExecute("b")}, Held},
		"nothing is on":     {nil, NotDue},
		"what was not seen": {[]v1.Taint{noExecute("c")}, NotDue},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
				braked(t, e)
				api.Taint("n", test.taints...)
				if name == "another, too" {
					observe(t, api, e)
				}
				wants(t, e, pod, test.want)
			})
		})
	}
}

// TestWhatIsIgnoredWasDueWhenTheReadBegan has the pod fall due for the taint that is ignored while the node is being read: that read does not
// count.
func TestWhatIsIgnoredWasDueWhenTheReadBegan(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, _ *podcache.Pod) {
		braked(t, e)
		api.UpdatePod("p", func(pod *v1.Pod) {
			pod.Spec.Tolerations = []v1.Toleration{{Key: "lost", Operator: v1.TolerationOpExists, TolerationSeconds: ptr.To[int64](10)}}
		})
		pod := podcache.NewPod(api.Pod("p"), time.Now())
		api.Taint("n", noExecute("a"), noExecute("lost"))
		observe(t, api, e)
		time.Sleep(9800 * time.Millisecond)
		api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.URL.Path != nodePath {
				return nil, nil
			}
			return slow(req, 500*time.Millisecond)
		}
		before := api.Count("GET " + nodePath)
		wants(t, e, pod, Deleted)
		if n := api.Count("GET "+nodePath) - before; n != 2 {
			t.Errorf("%d reads of the node", n)
		}
	})
}

// TestATaintThatIsYoungByTheLiveNode has a taint go and come back, which the tracker has not seen yet: by that, it is older than the window.
func TestATaintThatIsYoungByTheLiveNode(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		observe(t, api, e)
		b := braked(t, e)
		time.Sleep(700 * time.Second)
		b.Forget("y")
		b.Add("x", brake.Due{Taint: deadline.Taint{Key: "a", Start: time.Now()}, From: time.Now()}) // as many as may
		api.Taint("n")
		time.Sleep(5 * time.Second)
		api.Taint("n", noExecute("a"))
		time.Sleep(time.Second)
		wants(t, e, pod, Held)
	})
}

// TestAskingTellsOfPolicies asks about a pod that is due for an old taint, because a policy has expired.
func TestAskingTellsOfPolicies(t *testing.T) {
	bubble(t, func(t *testing.T, _ *apitest.Server, e *Evictor, pod *podcache.Pod) {
		b := braked(t, e)
		b.Forget("x")
		b.Forget("y")
		time.Sleep(700 * time.Second)
		rules := policy.NewRules(deadline.Rules{Policies: []deadline.Policy{{Name: "keep", Mode: deadline.ModeKeep, Expires: time.Now()}}}, nil, nil)
		e.brake.Rules, e.brake.Changes = rules, policy.NewChanges(rules, clock.RealClock{}, 600*time.Second)
		taints := e.starts.Taints("n")
		if permission := e.brake.Ask(pod, labels.Set{}, taints, rules.Decide(pod, labels.Set{}, taints)); !permission.May() {
			t.Errorf("got %+v", permission)
		}
		if n := b.Status().Counting; n != 1 {
			t.Errorf("%d nodes count", n)
		}
	})
}

func noExecute(key string) v1.Taint { return v1.Taint{Key: key, Effect: v1.TaintEffectNoExecute} }

// TestATaintThatHasGoneIsNotTold has the caches see that the taint has gone while a decision on an older read is under way.
func TestATaintThatHasGoneIsNotTold(t *testing.T) {
	bubble(t, func(t *testing.T, api *apitest.Server, e *Evictor, pod *podcache.Pod) {
		b := braked(t, e)
		b.Forget("x")
		b.Forget("y")
		time.Sleep(61 * time.Second)
		decision := deadline.Decision{Evict: true, Deadline: time.Now(), Mode: deadline.ModeDelete, Taint: e.starts.Taints("n")[0]}
		if permission := e.brake.Ask(pod, labels.Set{}, e.starts.Taints("n"), decision); !permission.May() {
			t.Errorf("got %+v", permission)
		}
		if n := b.Status().Counting; n != 1 {
			t.Errorf("%d nodes count", n)
		}
		taints := e.starts.Taints("n")
		api.Taint("n")
		observe(t, api, e)
		var dues Dues
		dues.Add(decision, time.Now())
		e.brake.TellNode("n", dues, time.Time{})
		e.brake.Tell(pod, decision)
		if permission := e.brake.Ask(pod, labels.Set{}, taints, decision); permission.May() || !permission.Behind {
			t.Errorf("got %+v", permission)
		}
		if n := b.Status().Counting; n != 0 {
			t.Errorf("%d nodes count", n)
		}
	})
}

func TestDues(t *testing.T) {
	now := time.Now()
	step := func(from time.Duration, mode deadline.Mode, key string) deadline.Step {
		return deadline.Step{From: now.Add(from), Mode: mode, Taint: deadline.Taint{Key: key}}
	}
	decision := func(steps ...deadline.Step) deadline.Decision {
		first := steps[0]
		return deadline.Decision{Evict: true, Deadline: first.From, Mode: first.Mode, Taint: first.Taint, Then: steps[1:]}
	}
	var dues Dues
	dues.Add(deadline.Decision{}, now)
	dues.Add(decision(step(-5*time.Second, deadline.ModeEvict, "a"), step(5*time.Second, deadline.ModeDelete, "a"), step(9*time.Second, deadline.ModeDelete, "b")), now)
	dues.Add(decision(step(-9*time.Second, deadline.ModeDelete, "c"), step(-8*time.Second, deadline.ModeKeep, ""), step(7*time.Second, deadline.ModeDelete, "b")), now)
	dues.Add(decision(step(-7*time.Second, deadline.ModeDelete, "a"), step(8*time.Second, deadline.ModeKeep, "")), now)
	want := []brake.Due{
		{Taint: deadline.Taint{Key: "a"}, From: now.Add(-7 * time.Second)}, {Taint: deadline.Taint{Key: "b"}, From: now.Add(7 * time.Second)},
	}
	if !slices.Equal(dues.all, want) {
		t.Errorf("got %+v, want %+v", dues.all, want)
	}
}

func TestNoBrake(t *testing.T) {
	off, err := brake.New(brake.Config{Window: time.Second, Clock: clock.RealClock{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []*brake.Brake{nil, off} {
		none := NewBrake(BrakeConfig{Brake: b})
		if none != nil {
			t.Fatal("there is a brake")
		}
		none.Tell(nil, deadline.Decision{Evict: true})
		if permission := none.AskByCaches(nil, deadline.Decision{Evict: true}); !permission.May() || !permission.Decision.Evict {
			t.Errorf("got %+v", permission)
		}
	}
}
