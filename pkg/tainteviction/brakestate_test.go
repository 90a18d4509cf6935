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

package tainteviction

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// annotations are those of the ConfigMap.
func (f *fixture) annotations() map[string]string {
	f.Helper()
	client, err := f.api.Client()
	if err != nil {
		f.Fatal(err)
	}
	config, err := client.CoreV1().ConfigMaps("kube-system").Get(f.Context(), "starts", metav1.GetOptions{})
	if err != nil {
		f.Fatal(err)
	}
	return config.Annotations
}

// brakeEvents are the Events about our Deployment, in order of time, as reason, type and count.
func (f *fixture) brakeEvents() (texts []string) {
	events := f.api.Events("Deployment", "taint-manager")
	slices.SortFunc(events, func(a, b *v1.Event) int { return a.FirstTimestamp.Compare(b.FirstTimestamp.Time) })
	for _, e := range events {
		texts = append(texts, fmt.Sprintf("%s %s %d", e.Type, e.Reason, e.Count))
	}
	return texts
}

func (f *fixture) expectBrakeEvents(want ...string) {
	f.Helper()
	if got := f.brakeEvents(); !slices.Equal(got, want) {
		f.Errorf("Events about the Deployment: %q, want %q", got, want)
	}
}

// answered is an answer with an object.
func answered(object any) *http.Response {
	body, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}
}

func TestBrakeIsShown(t *testing.T) {
	bubble(t, func(f *fixture) {
		var looked atomic.Int32
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.URL.Path != "/apis/apps/v1/namespaces/kube-system/deployments/taint-manager" {
				return nil, nil
			}
			looked.Add(1)
			return answered(&appsv1.Deployment{
				TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Name: "taint-manager", UID: "ours"},
			}), nil
		}
		f.fleet(5, 2)
		f.start(braked())
		f.wait(10)
		if text := f.c.BrakeText(); text != "" {
			t.Errorf("before, it says %q", text)
		}
		f.taintAll(0, 4, taintOf("a"))
		f.wait(2)
		const why = "Holding evictions since 2000-01-01T00:00:10Z: 5 of 6 nodes have pods due for a taint younger than 10m0s or because of a policy; " +
			"3 may; most for a:NoExecute (5). Evictions go on 1m0s after it is 3 or fewer: remove the taint from 2, or wait until 2000-01-01T00:11:10Z"
		if text := f.c.BrakeText(); text != why {
			t.Errorf("it says %q, want %q", text, why)
		}
		f.expectBrakeEvents("Warning TaintManagerEvictionBrakeOn 1")
		if e := f.api.Events("Deployment", "taint-manager")[0]; e.InvolvedObject.UID != "ours" || e.Namespace != "kube-system" ||
			e.InvolvedObject.APIVersion != "apps/v1" || !strings.Contains(e.Message, "; 3 may; most for a:NoExecute") {
			t.Errorf("Event %+v", e)
		}
		if got := f.annotations(); got[BrakeMessageAnnotation] != why || !strings.HasPrefix(got[BrakeAnnotation], `{"on":true,"since":"2000-01-01T00:00:10.`) {
			t.Errorf("annotations %q", got)
		}
		f.taintAll(0, 4)
		f.wait(65)
		if text := f.c.BrakeText(); text != "" {
			t.Errorf("after, it says %q", text)
		}
		f.expectBrakeEvents("Warning TaintManagerEvictionBrakeOn 1", "Normal TaintManagerEvictionBrakeOff 1")
		if got := f.annotations(); got[BrakeMessageAnnotation] != "" || got[BrakeAnnotation] != "" {
			t.Errorf("annotations %q", got)
		}
		if looked.Load() != 1 {
			t.Errorf("looked up the Deployment %d times", looked.Load())
		}
	})
}

// TestBrakeOverARestart restarts while it is on. Three nodes have been emptied then.
func TestBrakeOverARestart(t *testing.T) {
	for name, test := range map[string]func(f *fixture){
		"nodes that were emptied count": func(f *fixture) {
			f.stop()
			f.wait(5)
			f.start(braked())
			f.wait(100)
			f.counts("taint_manager_eviction_brake_nodes", 6)
			f.expectLeft(0, 0, 0, 2, 2, 2)
			f.expectBrakeEvents("Warning TaintManagerEvictionBrakeOn 1", "Warning TaintManagerEvictionBrakeOn 1")
			f.wait(510)
			f.expectLeft(0, 0, 0, 2, 2, 2)
			f.wait(70)
			f.expectLeft(0, 0, 0, 0, 0, 0)
		},
		"the cooldown goes on": func(f *fixture) {
			f.taintAll(0, 2)
			f.wait(20)
			f.stop()
			f.wait(5)
			f.start(braked())
			f.wait(25)
			f.expectLeft(0, 0, 0, 2, 2, 2)
			f.counts("taint_manager_eviction_brake_on", 1)
			f.wait(15)
			f.expectLeft(0, 0, 0, 0, 0, 0)
			f.counts("taint_manager_eviction_brake_on", 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				f.fleet(6, 2)
				f.start(braked())
				f.wait(10)
				f.taintAll(0, 5, taintOf("a"))
				f.wait(10)
				f.expectLeft(0, 0, 0, 2, 2, 2)
				test(f)
			})
		})
	}
}

// TestBrakeOfAPauseOverARestart restarts after a policy was deleted: that is nowhere but in the state.
func TestBrakeOfAPauseOverARestart(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.fleet(5, 2)
		f.policy("pause", "{matchingPrecedence: 0, mode: Keep}")
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(700)
		f.deletePolicy("pause")
		f.wait(3)
		f.stop()
		f.start(braked())
		f.wait(300)
		f.counts("taint_manager_eviction_brake_nodes", 5)
		f.expectLeft(2, 2, 2, 2, 2)
		f.wait(370)
		f.expectLeft(0, 0, 0, 0, 0)
	})
}

// TestBrakeOfAPolicyThatWentBetweenProcesses deletes a policy while no process runs, as an uninstallation of the CRD at an upgrade does.
func TestBrakeOfAPolicyThatWentBetweenProcesses(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.fleet(5, 2)
		f.policy("delete", "{matchingPrecedence: 7, mode: Delete, taints: [{key: other}], minTaintAgeSeconds: 5}")
		f.policy("pause", "{matchingPrecedence: 0, mode: Keep}")
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(700)
		f.stop()
		f.wait(5)
		f.start(braked()) // nothing has changed
		f.wait(5)
		f.expectLeft(2, 2, 2, 2, 2)
		f.counts("taint_manager_eviction_brake_nodes", 0)
		f.stop()
		f.deletePolicy("pause")
		f.wait(5)
		f.start(braked())
		f.wait(300)
		f.expectLeft(2, 2, 2, 2, 2)
		f.counts("taint_manager_eviction_brake_nodes", 5)
		f.wait(370)
		f.expectLeft(0, 0, 0, 0, 0)
	})
}

// TestBrakeOfAFollower has a replica that does not lead know the same, write nothing, and then lead.
func TestBrakeOfAFollower(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(5, 2)
		f.startFollower(braked())
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(5)
		if f.c.BrakeText() == "" {
			t.Error("the brake is off")
		}
		f.counts("taint_manager_eviction_brake_on", 0) // the leader shows it
		f.expectBrakeEvents()
		if got := f.annotations(); len(got) != 0 {
			t.Errorf("annotations %q", got)
		}
		ctx, cancel := context.WithCancel(f.context())
		led := make(chan struct{})
		go func() { defer close(led); f.c.Lead(ctx) }()
		f.wait(3)
		f.expectLeft(2, 2, 2, 2, 2)
		f.expectBrakeEvents("Warning TaintManagerEvictionBrakeOn 1")
		if got := f.annotations(); got[BrakeMessageAnnotation] == "" {
			t.Errorf("annotations %q", got)
		}
		cancel()
		<-led
		assisting, stop := context.WithCancel(f.context())
		assisted := make(chan struct{})
		go func() { defer close(assisted); f.c.Assist(assisting) }()
		f.wait(3)
		f.expectLeft(2, 2, 2, 2, 2)
		stop()
		<-assisted
	})
}
