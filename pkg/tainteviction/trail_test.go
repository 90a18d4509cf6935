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
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/audit/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/audit"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// auditFile is what an audit log has been written to.
type auditFile struct {
	lock sync.Mutex
	data bytes.Buffer
}

func (a *auditFile) Write(data []byte) (int, error) {
	a.lock.Lock()
	defer a.lock.Unlock()
	return a.data.Write(data)
}

func (a *auditFile) Close() error { return nil }

// audited gives a controller an audit log.
func (a *auditFile) audited(c *Config) {
	c.Audit = audit.New(a, audit.Metrics{Lines: c.Metrics.AuditLines, Errors: c.Metrics.AuditErrors})
	c.Identity = "me"
}

// lines returns the lines so far, in order. No field may be unknown.
func (a *auditFile) lines(t *testing.T) (lines []v1alpha1.EvictionRecord) {
	t.Helper()
	a.lock.Lock()
	defer a.lock.Unlock()
	decoder := json.NewDecoder(bytes.NewReader(a.data.Bytes()))
	decoder.DisallowUnknownFields()
	for {
		var line v1alpha1.EvictionRecord
		if err := decoder.Decode(&line); errors.Is(err, io.EOF) {
			return lines
		} else if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
}

// expectLines compares what the lines are about: "pod outcome reason", with the number of attempts if that is not one for an eviction, or none
// for another line.
func (a *auditFile) expectLines(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, line := range a.lines(t) {
		text := fmt.Sprintf("%s %s %s", line.Pod.Name, line.Outcome, line.Reason)
		if usual := line.Outcome == v1alpha1.OutcomeEvicted || line.Outcome == v1alpha1.OutcomeSpared; usual != (line.Attempts == 1) || !usual && line.Attempts > 0 {
			text += fmt.Sprintf(" %d", line.Attempts)
		}
		got = append(got, text)
	}
	slices.Sort(got) // what happens at one moment has no order
	slices.Sort(want)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("lines:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func owned(pod *v1.Pod) {
	pod.OwnerReferences = []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: "not-the-controller", UID: "c"},
		{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-1", UID: "rs", Controller: ptr.To(true)},
	}
}

// TestLineOfAnEviction compares a line as a whole. Virtual time begins at midnight of 2000-01-01, and the taint is stored in the second after
// the pod was bound.
func TestLineOfAnEviction(t *testing.T) {
	bubble(t, func(f *fixture) {
		var file auditFile
		f.api.AddPod("p", "n", owned, tolerating("a", 10))
		f.start(file.audited)
		f.wait(1)
		f.api.Taint("n", v1.Taint{Key: "a", Value: "x", Effect: v1.TaintEffectNoExecute})
		f.wait(20)
		const want = `{"kind":"EvictionRecord","apiVersion":"audit.taint-manager.io/v1alpha1","time":"2000-01-01T00:00:11.400000000Z",` +
			`"outcome":"Evicted","reason":"TolerationEnds","pod":{"namespace":"default","name":"p","uid":"pod-2"},` +
			`"owner":{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-1","uid":"rs"},"node":"n",` +
			`"taint":{"key":"a","value":"x","effect":"NoExecute","start":"2000-01-01T00:00:01.400000000Z","startFrom":"FirstSight"},` +
			`"toleration":{"key":"a","operator":"Exists","tolerationSeconds":10},"mode":"Delete","binding":"2000-01-01T00:00:00.000000000Z",` +
			`"deadline":"2000-01-01T00:00:11.400000000Z","latenessSeconds":0,"attempts":1,"conditionWritten":true,"budgetOverridden":false,` +
			`"unversioned":false,"answerLost":false,"dryRun":false,"instance":"me","leader":true}` + "\n"
		if got := file.data.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

// TestLinesNameTheEvidence has taints that are dated in different ways.
func TestLinesNameTheEvidence(t *testing.T) {
	at := func(seconds int) time.Time { return time.Date(2000, time.January, 1, 0, 0, seconds, 0, time.UTC) }
	type evidence struct {
		start time.Time
		from  v1alpha1.Source
	}
	for name, test := range map[string]struct {
		taint func(*v1.Node)
		want  evidence
	}{
		"timeAdded": {func(n *v1.Node) {
			n.Spec.Taints, n.ManagedFields = []v1.Taint{added("a", at(50))}, nil
		}, evidence{at(51), v1alpha1.SourceTimeAdded}},
		"the last change": {func(n *v1.Node) {
			n.Spec.Taints = []v1.Taint{taintOf("a")}
			n.ManagedFields = []metav1.ManagedFieldsEntry{{
				Time: ptr.To(metav1.NewTime(at(60))), FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:taints":{}}}`),
			}}
		}, evidence{at(61), v1alpha1.SourceManagedFields}},
		"a timeAdded in the future": {func(n *v1.Node) {
			n.Spec.Taints, n.ManagedFields = []v1.Taint{added("a", at(500))}, nil
		}, evidence{at(100), v1alpha1.SourceFirstSight}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				time.Sleep(time.Until(at(99)) + 800*time.Millisecond)
				f.api.UpdateNode("n", test.taint)
				f.api.AddPod("p", "n")
				var file auditFile
				f.start(file.audited)
				f.wait(5)
				lines := file.lines(t)
				if len(lines) != 1 || lines[0].Taint == nil {
					t.Fatalf("got %+v", lines)
				}
				got := evidence{lines[0].Taint.Start.Time, lines[0].Taint.StartFrom}
				if got.from != test.want.from || got.start.Sub(test.want.start).Abs() > 250*time.Millisecond {
					t.Errorf("got %+v, want %+v", got, test.want)
				}
				if lines[0].Taint.NotReadyPeriodFrom != "" || lines[0].Toleration != nil {
					t.Errorf("got %+v", lines[0])
				}
			})
		})
	}
}

func added(key string, at time.Time) v1.Taint {
	taint := taintOf(key)
	taint.TimeAdded = ptr.To(metav1.NewTime(at))
	return taint
}

// TestLinesOfCancellations has scheduled evictions be withdrawn, each for another cause.
func TestLinesOfCancellations(t *testing.T) {
	bubble(t, func(f *fixture) {
		var file auditFile
		for _, name := range []string{"tolerant", "deleted", "removed", "finished", "replaced", "retimed", "untainted"} {
			f.api.AddPod(name, "n", tolerating("a", 100))
		}
		f.start(file.audited)
		f.api.Taint("n", taintOf("a"))
		f.wait(10)
		f.api.UpdatePod("tolerant", func(pod *v1.Pod) { pod.Spec.Tolerations[0].TolerationSeconds = nil })
		f.wait(1)
		f.api.UpdatePod("deleted", func(pod *v1.Pod) { pod.DeletionTimestamp = ptr.To(metav1.Now()) })
		f.wait(1)
		f.api.RemovePod("removed")
		f.wait(1)
		f.api.UpdatePod("finished", func(pod *v1.Pod) { pod.Status.Phase = v1.PodSucceeded })
		f.wait(1)
		f.api.Put(f.api.Pod("replaced").DeepCopy()) // nothing of interest changed
		f.api.UpdatePod("replaced", func(pod *v1.Pod) { pod.UID, pod.Spec.Tolerations = "another", nil; toleratingForever("a")(pod) })
		f.wait(1)
		f.api.UpdatePod("retimed", func(pod *v1.Pod) { pod.Spec.Tolerations[0].TolerationSeconds = ptr.To[int64](200) })
		f.wait(1)
		f.api.Taint("n")
		f.wait(1)
		file.expectLines(t, "tolerant Cancelled Tolerated", "deleted Cancelled Terminating", "removed Cancelled Gone", "finished Cancelled Finished",
			"replaced Cancelled NameReused", "retimed Cancelled NoTaint", "untainted Cancelled NoTaint")
		for _, line := range file.lines(t) {
			seconds := map[bool]int64{true: 200, false: 100}[line.Pod.Name == "retimed"]
			if line.Taint == nil || line.Taint.Key != "a" || line.Toleration == nil || *line.Toleration.TolerationSeconds != seconds ||
				line.Deadline.Sub(line.Taint.Start.Time) != time.Duration(seconds)*time.Second || line.LatenessSeconds != nil || line.Owner != nil {
				t.Errorf("a line does not say what was scheduled: %+v", line)
			}
		}
	})
}

// TestOneLineForEachCancellation has a taint come and go.
func TestOneLineForEachCancellation(t *testing.T) {
	bubble(t, func(f *fixture) {
		var file auditFile
		f.api.AddPod("p", "n", tolerating("a", 30))
		f.start(file.audited)
		for range 3 {
			f.api.Taint("n", taintOf("a"))
			f.wait(10)
			f.api.Taint("n")
			f.wait(10)
		}
		f.api.Taint("n", taintOf("a"))
		f.wait(40)
		const cancelled = "p Cancelled NoTaint"
		file.expectLines(t, cancelled, cancelled, cancelled, "p Evicted TolerationEnds")
	})
}

// TestLinesOfSparedPods has pods be due by the caches only, and the caches say so later.
func TestLinesOfSparedPods(t *testing.T) {
	for name, test := range map[string]struct {
		resource string
		behind   func(f *fixture)
		want     string
		owned    bool
	}{
		"the taint is gone":  {"nodes", func(f *fixture) { f.api.Taint("n") }, "p Spared NoTaint", false},
		"the node is gone":   {"nodes", func(f *fixture) { f.api.RemoveNode("n") }, "p Spared NoTaint", false},
		"another taint":      {"nodes", func(f *fixture) { f.api.Taint("n", taintOf("b")) }, "p Spared Tolerated", false},
		"the pod tolerates":  {"pods", func(f *fixture) { f.api.UpdatePod("p", toleratesForever) }, "p Spared Tolerated", true},
		"the pod is gone":    {"pods", func(f *fixture) { f.api.RemovePod("p") }, "p Cancelled Gone", false},
		"the pod is deleted": {"pods", func(f *fixture) { f.api.UpdatePod("p", deleteNow) }, "p Spared Terminating", true},
		"another has the name": {"pods", func(f *fixture) {
			f.api.RemovePod("p")
			f.api.AddPod("p", "m")
		}, "p Spared NameReused", false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				var file auditFile
				f.api.AddPod("p", "n", owned, tolerating("a", 10), toleratingForever("b"))
				f.start(file.audited)
				f.api.Taint("n", taintOf("a"))
				f.wait(9)
				f.api.Lag(test.resource, 20*time.Second)
				test.behind(f)
				f.wait(60) // many attempts, and then the watch
				lines := file.lines(t)
				if len(lines) != 1 || fmt.Sprintf("%s %s %s", lines[0].Pod.Name, lines[0].Outcome, lines[0].Reason) != test.want {
					t.Fatalf("got %+v, want %s", lines, test.want)
				}
				attempted := lines[0].Attempts == 1 || lines[0].Reason == v1alpha1.ReasonGone && lines[0].Attempts == 2 // looked again after 10 s
				if line := lines[0]; !attempted || line.Taint.Key != "a" || (line.Owner != nil) != test.owned || line.Deadline.After(line.Time.Time) {
					t.Errorf("got %+v", line)
				}
			})
		})
	}
}

func toleratesForever(pod *v1.Pod) { pod.Spec.Tolerations[0].TolerationSeconds = nil }

func deleteNow(pod *v1.Pod) { pod.DeletionTimestamp = ptr.To(metav1.Now()) }

// TestASparedPodIsEvictedLater has the taint be back when the watch is still behind.
func TestASparedPodIsEvictedLater(t *testing.T) {
	bubble(t, func(f *fixture) {
		var file auditFile
		f.api.AddPod("p", "n", tolerating("a", 10))
		f.start(file.audited)
		f.api.Taint("n", taintOf("a"))
		f.wait(9)
		f.api.Lag("nodes", 10*time.Second)
		f.api.Taint("n")
		f.wait(4)
		f.api.Taint("n", taintOf("b"))
		f.wait(30)
		lines := file.lines(t)
		if len(lines) != 2 || lines[0].Outcome != v1alpha1.OutcomeSpared || lines[1].Outcome != v1alpha1.OutcomeEvicted || lines[1].Taint.Key != "b" {
			t.Errorf("got %+v", lines)
		}
	})
}

// TestLinesOfRetries has DELETEs fail, with an answer and without one.
func TestLinesOfRetries(t *testing.T) {
	failing := func(f *fixture, times int32, answer func() (*http.Response, error)) {
		var failed atomic.Int32
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodDelete && failed.Add(1) <= times {
				return answer()
			}
			return nil, nil
		}
	}
	denied := func() (*http.Response, error) {
		return apitest.Failure(apierrors.NewForbidden(v1.Resource("pods"), "p", errors.New("denied"))), nil
	}
	for name, test := range map[string]struct {
		times  int32
		answer func() (*http.Response, error)
		lost   bool
	}{
		"denied":            {3, denied, false},
		"too many":          {2, func() (*http.Response, error) { return apitest.Failure(apierrors.NewTooManyRequests("x", 1)), nil }, false},
		"without an answer": {1, func() (*http.Response, error) { return nil, errors.New("connection lost") }, true},
		"an answer that says 500": {1, func() (*http.Response, error) {
			return apitest.Failure(apierrors.NewInternalError(errors.New("x"))), nil
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				var file auditFile
				failing(f, test.times, test.answer)
				f.api.AddPod("p", "n")
				f.start(file.audited)
				f.api.Taint("n", taintOf("a"))
				f.wait(60)
				file.expectLines(t, fmt.Sprintf("p Evicted Untolerated %d", test.times+1))
				if line := file.lines(t)[0]; line.AnswerLost != test.lost || fmt.Sprint(line.DelayedBy) != "[Failures]" || *line.LatenessSeconds <= 0 {
					t.Errorf("got %+v", line)
				}
			})
		})
	}
}

// TestLineOfAnEvictionWithoutAnswer has a DELETE take effect whose answer is lost. Whoever deleted the pod is not known then.
func TestLineOfAnEvictionWithoutAnswer(t *testing.T) {
	for _, linger := range []bool{false, true} {
		bubble(t, func(f *fixture) {
			var file auditFile
			f.api.Linger = linger
			f.api.Intercept = func(req *http.Request) (*http.Response, error) {
				if req.Method == http.MethodDelete {
					if linger {
						f.api.UpdatePod("p", deleteNow)
					} else {
						f.api.RemovePod("p")
					}
					return nil, errors.New("connection lost")
				}
				return nil, nil
			}
			f.api.AddPod("p", "n")
			f.start(file.audited)
			f.api.Taint("n", taintOf("a"))
			f.wait(30)
			lines := file.lines(t)
			want := map[bool]v1alpha1.Reason{false: v1alpha1.ReasonGone, true: v1alpha1.ReasonTerminating}[linger]
			if len(lines) != 1 || lines[0].Outcome != v1alpha1.OutcomeCancelled || lines[0].Reason != want || !lines[0].AnswerLost {
				t.Errorf("linger %v: got %+v", linger, lines)
			}
		})
	}
}

// TestALostAnswerIsRemembered has the taint go and come back before the watch shows what a DELETE without an answer has done.
func TestALostAnswerIsRemembered(t *testing.T) {
	bubble(t, func(f *fixture) {
		var file auditFile
		var once sync.Once
		f.api.Linger = true
		f.api.Intercept = func(req *http.Request) (response *http.Response, err error) {
			if req.Method == http.MethodDelete {
				once.Do(func() {
					f.api.Lag("pods", 20*time.Second)
					f.api.UpdatePod("p", deleteNow)
					err = errors.New("connection lost")
				})
			}
			return nil, err
		}
		f.api.AddPod("p", "n", tolerating("b", 1000))
		f.start(file.audited)
		f.api.Taint("n", taintOf("a"))
		f.wait(0.01)
		f.api.Taint("n")
		f.wait(5)
		f.api.Taint("n", taintOf("b"))
		f.wait(40)
		lines := file.lines(t)
		if len(lines) != 2 || lines[0].Reason != v1alpha1.ReasonNoTaint || lines[1].Reason != v1alpha1.ReasonTerminating || !lines[1].AnswerLost || lines[1].Attempts != 0 {
			t.Errorf("got %+v", lines)
		}
		if n := len(f.c.trail.evictions); n != 0 {
			t.Errorf("%d evictions are remembered", n)
		}
	})
}

// TestCancelledDuringAnAttempt has an attempt be under way while the watch shows that the pod need not go. The attempt tells what became of it.
func TestCancelledDuringAnAttempt(t *testing.T) {
	for name, test := range map[string]struct {
		fails bool
		again bool // whether the taint is back before the attempt ends
		want  []string
	}{
		"evicted all the same":        {false, false, []string{"p Evicted Untolerated"}},
		"the attempt fails":           {true, false, []string{"p Cancelled NoTaint 1"}},
		"back, and the attempt fails": {true, true, []string{"p Evicted Untolerated 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				var file auditFile
				var once sync.Once
				f.api.Intercept = func(req *http.Request) (response *http.Response, err error) {
					if req.Method == http.MethodDelete {
						once.Do(func() {
							f.api.Taint("n")
							time.Sleep(200 * time.Millisecond)
							if test.again {
								f.api.Taint("n", taintOf("a"))
								time.Sleep(200 * time.Millisecond)
							}
							if test.fails {
								response = apitest.Failure(apierrors.NewTooManyRequests("x", 1))
							}
						})
					}
					return response, nil
				}
				f.api.AddPod("p", "n")
				f.start(file.audited)
				f.api.Taint("n", taintOf("a"))
				f.wait(30)
				file.expectLines(t, test.want...)
				if n := len(f.c.trail.evictions); n != 0 {
					t.Errorf("%d evictions are remembered", n)
				}
			})
		})
	}
}

// TestOnlyWhoActsTells has a replica that does not lead, and then acts for a leader.
func TestOnlyWhoActsTells(t *testing.T) {
	bubble(t, func(f *fixture) {
		var file auditFile
		f.api.AddPod("cancelled", "n", tolerating("a", 10), toleratingForever("b"))
		f.api.AddPod("by-another", "n", tolerating("a", 10), tolerating("b", 20))
		f.api.AddPod("mine", "n", tolerating("a", 30), toleratingForever("b"))
		f.startFollower(file.audited)
		f.api.Taint("n", taintOf("a"))
		f.wait(5)
		f.api.Taint("n", taintOf("b"))
		f.api.RemovePod("by-another")
		f.wait(5)
		file.expectLines(t)
		f.api.Taint("n", taintOf("a"))
		ctx, cancel := context.WithCancel(f.context())
		ended := make(chan struct{})
		go func() { defer close(ended); f.c.Assist(ctx) }()
		f.wait(5)
		f.api.UpdatePod("cancelled", toleratesForever)
		f.wait(30)
		file.expectLines(t, "cancelled Cancelled Tolerated", "mine Evicted TolerationEnds")
		for _, line := range file.lines(t) {
			if line.Leader {
				t.Errorf("it does not lead: %+v", line)
			}
		}
		cancel()
		<-ended
		f.api.AddPod("later", "n", tolerating("a", 100))
		f.wait(1)
		f.api.Taint("n")
		f.wait(1)
		if n := len(file.lines(t)); n != 2 {
			t.Errorf("%d lines", n)
		}
	})
}

// TestLinesOfPolicies has pods be evicted under budgets, deleted after a while, previewed and kept.
func TestLinesOfPolicies(t *testing.T) {
	bubble(t, func(f *fixture) {
		var file auditFile
		f.api.AddPod("guarded", "n", of("app"), owned)
		f.api.AddBudget("app", "app", 1)
		f.api.ReconcileBudgets()
		f.start(file.audited, evicts(func(p *deadline.Policy) { p.DeleteAfter, p.GracePeriod = ptr.To[int64](60), 5 }))
		f.api.Taint("n", taintOf("a"))
		f.wait(50)
		file.expectLines(t)
		f.wait(30)
		lines := file.lines(t)
		if len(lines) != 1 {
			t.Fatalf("got %+v", lines)
		}
		line := lines[0]
		if line.Outcome != v1alpha1.OutcomeEvicted || !line.BudgetOverridden || line.Mode != v1alpha1.ModeDelete || line.Policy != "maintenance" ||
			fmt.Sprint(line.DelayedBy) != "[DisruptionBudget]" || ptr.Deref(line.GracePeriodSeconds, 0) != 5 || *line.LatenessSeconds < 60 || *line.LatenessSeconds > 61 {
			t.Errorf("got %+v", line)
		}
	})
	policyBubble(t, func(f *policyFixture) {
		var file auditFile
		f.policy("preview", "{matchingPrecedence: 1, mode: Preview, taints: [{key: a}]}")
		f.policy("delete", "{matchingPrecedence: 1, mode: Delete, taints: [{key: b}]}")
		f.api.AddPod("p", "n", tolerating("a", 10), tolerating("b", 100))
		f.start(file.audited)
		f.api.Taint("n", taintOf("a"))
		f.wait(30)
		file.expectLines(t, "p Previewed HeldByPolicy")
		if line := file.lines(t)[0]; line.Mode != v1alpha1.ModePreview || line.Policy != "preview" || line.Toleration == nil || len(line.Held) != 1 ||
			line.Deadline.Sub(line.Taint.Start.Time) != 10*time.Second || line.Held[0].Taint != "a:NoExecute" || line.Held[0].Policy != "preview" {
			t.Errorf("got %+v", line)
		}
		f.api.Taint("n", taintOf("b"))
		f.wait(10)
		f.policy("all", "{matchingPrecedence: 0, mode: Keep}")
		f.wait(1)
		file.expectLines(t, "p Previewed HeldByPolicy", "p Cancelled HeldByPolicy")
		if line := file.lines(t)[1]; line.Policy != "delete" || line.Mode != v1alpha1.ModeDelete || line.Held[0].Policy != "all" || line.Held[0].Mode != v1alpha1.ModeKeep {
			t.Errorf("got %+v", line)
		}
		f.deletePolicy("all")
		f.wait(100)
		file.expectLines(t, "p Previewed HeldByPolicy", "p Cancelled HeldByPolicy", "p Evicted TolerationEnds")
	})
}

// TestLinesOfADryRun has pods there before the process, and after it.
func TestLinesOfADryRun(t *testing.T) {
	bubble(t, func(f *fixture) {
		var file auditFile
		f.api.AddPod("before", "n")
		f.api.Taint("n", taintOf("a"))
		f.start(file.audited, func(c *Config) { c.Rules.DryRun = true })
		f.wait(5)
		f.api.AddPod("after", "n", tolerating("a", 10))
		f.wait(60)
		file.expectLines(t, "before Previewed HeldByPolicy", "after Previewed HeldByPolicy")
		for _, line := range file.lines(t) {
			if !line.DryRun || line.Held[0].Policy != "" || line.Deadline.IsZero() {
				t.Errorf("got %+v", line)
			}
		}
	})
}

// TestLineOfAHeldPod has the eviction brake hold pods.
func TestLineOfAHeldPod(t *testing.T) {
	bubble(t, func(f *fixture) {
		var file auditFile
		f.fleet(10, 1)
		f.start(file.audited, braked())
		f.wait(10)
		f.taintAll(0, 9, taintOf("a"))
		f.wait(3)
		evicted := len(file.lines(t))
		if evicted < 1 || evicted > 3 {
			t.Errorf("%d lines before the brake went on", evicted)
		}
		f.wait(800)
		lines := file.lines(t)
		if len(lines) != 10 {
			t.Fatalf("%d lines", len(lines))
		}
		for i, line := range lines {
			if held := fmt.Sprint(line.DelayedBy) == "[Hold]"; held != (i >= evicted) || held && *line.LatenessSeconds < 500 {
				t.Errorf("line %d: %+v", i, line)
			}
		}
	})
}

// TestVocabulary says that the values of the log are those of the decisions that it tells of.
func TestVocabulary(t *testing.T) {
	for _, reason := range []deadline.Reason{
		deadline.Untolerated, deadline.TolerationEnds, deadline.NoTaint, deadline.Tolerated, deadline.HeldByPolicy, deadline.IsTerminating,
		deadline.IsFinished, deadline.IsMirror,
	} {
		if !known(v1alpha1.Reason(reason), v1alpha1.ReasonUntolerated, v1alpha1.ReasonTolerationEnds, v1alpha1.ReasonNoTaint, v1alpha1.ReasonTolerated,
			v1alpha1.ReasonHeldByPolicy, v1alpha1.ReasonTerminating, v1alpha1.ReasonFinished, v1alpha1.ReasonMirrorPod) {
			t.Errorf("reason %s is not in the log", reason)
		}
	}
	for _, mode := range []deadline.Mode{deadline.ModeDelete, deadline.ModeEvict, deadline.ModePreview, deadline.ModeKeep} {
		if !known(v1alpha1.Mode(mode), v1alpha1.ModeDelete, v1alpha1.ModeEvict, v1alpha1.ModePreview, v1alpha1.ModeKeep) {
			t.Errorf("mode %s is not in the log", mode)
		}
	}
	for _, source := range []deadline.Source{deadline.ByTimeAdded, deadline.ByLastChange, deadline.ByRecord, deadline.ByFirstSight} {
		if !known(v1alpha1.Source(source), v1alpha1.SourceTimeAdded, v1alpha1.SourceManagedFields, v1alpha1.SourceConfigMap, v1alpha1.SourceFirstSight) {
			t.Errorf("source %s is not in the log", source)
		}
	}
}

func known[T comparable](value T, values ...T) bool { return slices.Contains(values, value) }
