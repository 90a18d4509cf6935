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

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

func TestWrongUsage(t *testing.T) {
	suite.OursOnly(t, "about our own command line")
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("neither: [yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no such file", []string{"--kubeconfig=/does/not/exist"}, 1, "/does/not/exist"},
		{"not a kubeconfig", []string{"--kubeconfig=" + garbage}, 1, garbage},
		{"outside of a cluster", nil, 1, "--kubeconfig"},
		{"no such flag", []string{"--no-such-flag"}, 2, "--no-such-flag"},
		{"wrong value", []string{"--max-concurrent-evictions=0"}, 2, "--max-concurrent-evictions=0"},
		{"a Lease that nobody could hold", []string{"--leader-elect-lease-duration=900ms", "--leader-elect-renew-deadline=600ms",
			"--leader-elect-retry-period=200ms"}, 2, "--leader-elect-lease-duration=900ms: must be 1s or more"},
		{"argument", []string{"start"}, 2, "start"},
	} {
		t.Run(test.name, func(t *testing.T) {
			output, code := suite.Command(t, test.args...)
			if code != test.code || !strings.Contains(output, test.says) {
				t.Errorf("exit code %d, want %d with %q: %s", code, test.code, test.says, output)
			}
			if lines := strings.Count(output, "\n"); lines > test.code { // usage errors point to --help, on a line of its own
				t.Errorf("%d lines: %s", lines, output)
			}
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	suite.OursOnly(t, "about our own command line")
	for flag, says := range map[string]string{"--help": "--evict-finished-pods", "--version": "taint-manager v"} {
		if output, code := suite.Command(t, flag); code != 0 || !strings.Contains(output, says) {
			t.Errorf("%s: exit code %d: %s", flag, code, output)
		}
	}
}

func TestServerUnreachable(t *testing.T) {
	suite.OursOnly(t, "about our own log and endpoints")
	s := suite.Alone(t)
	port, err := controlplane.FreePort()
	s.Must(err)
	kubeconfig := s.Redirect(s.Account("unreachable", launcher.Rules()), fmt.Sprintf("https://127.0.0.1:%d", port))
	controller := s.Start(harness.Options{Name: "unreachable", LeaderElect: true, Kubeconfig: kubeconfig, Unready: true})
	s.Eventually("complaints", 20*time.Second, func(context.Context) error {
		return complains(s, controller, "Cannot read from the API server")
	})
	s.Proxy(port) // now it can be reached
	recovers(s)
	s.Must(controller.Stop()) // before the proxy, so that it can release its Lease
}

func TestPermissionsMissing(t *testing.T) {
	suite.OursOnly(t, "about our own log and endpoints")
	s := suite.Alone(t)
	kubeconfig := s.Account("no-pods", harness.RulesWithout("pods"))
	controller := s.Start(harness.Options{Name: "no-pods", Kubeconfig: kubeconfig, Unready: true})
	s.Eventually("complaints", 20*time.Second, func(context.Context) error {
		return complains(s, controller, "grant list and watch on pods")
	})
	s.Account("no-pods", launcher.Rules())
	recovers(s)
}

// complains says whether the controller runs, is not ready and has said why.
func complains(s *harness.Scene, controller *harness.Controller, what string) error {
	log, err := controller.Log()
	if err != nil {
		return err
	}
	if !strings.Contains(log, what) {
		return fmt.Errorf("%q is not logged", what)
	}
	if status, body := s.Ask("/readyz", ""); status != http.StatusInternalServerError {
		return fmt.Errorf("readyz: %d: %s", status, body)
	}
	if status, body := s.Ask("/livez", ""); status != http.StatusOK {
		return fmt.Errorf("livez: %d: %s", status, body)
	}
	return nil
}

// recovers waits until the controller is ready, and has it evict a pod.
func recovers(s *harness.Scene) {
	s.T.Helper()
	s.Eventually("readiness", time.Minute, func(context.Context) error {
		if status, body := s.Ask("/readyz", ""); status != http.StatusOK {
			return fmt.Errorf("readyz: %d: %s", status, body)
		}
		return nil
	})
	node := s.Node()
	pod := s.Pod(node)
	s.Evicted(pod, harness.Due(s.Taint(node, builders.NoExecute("ill")), 0))
}

func TestEvictionForbidden(t *testing.T) {
	suite.OursOnly(t, "about our own log and endpoints")
	s := suite.Alone(t)
	rules := launcher.Rules()
	rules[0].Verbs = []string{"get", "list", "watch"} // of pods, not delete
	controller := s.Start(harness.Options{Name: "no-delete", Kubeconfig: s.Account("no-delete", rules), Unready: true})
	node := s.Node()
	pod := s.Pod(node)
	s.Running(pod)
	tainted := s.Taint(node, builders.NoExecute("ill"))
	for _, what := range []string{"not allowed to delete pods", "Not allowed: grant"} {
		s.Eventually("complaints", 20*time.Second, func(context.Context) error { return complains(s, controller, what) })
	}
	s.Quiet(pod, tainted.After.Add(2*time.Second))
	s.Account("no-delete", launcher.Rules())
	granted := timing.Now()
	s.Evicted(pod, harness.Due(tainted, 0).Extend(granted.After.Sub(tainted.After)+8*time.Second))
	recovers(s)
}

func TestConditionForbidden(t *testing.T) {
	suite.OursOnly(t, "a permission that the built-in one cannot do without")
	s := suite.Alone(t)
	s.Start(harness.Options{Name: "no-status", Kubeconfig: s.Account("no-status", harness.RulesWithout("pods/status")), Unready: true})
	node := s.Node()
	pod := s.Pod(node)
	s.Running(pod)
	s.Evicted(pod, harness.Due(s.Taint(node, builders.NoExecute("ill")), 0).Extend(3*time.Second)) // it is starting
	if condition := builders.ConditionOf(s.Last(pod), corev1.DisruptionTarget); condition != nil {
		t.Errorf("the condition was written all the same: %v", condition)
	}
}

// TestServerWithoutStreamingLists has an API server refuse lists that are streamed: with 422 as an older one, or one without the feature
// gate WatchList, and with others as one that has just started. Lists are made in pages then, at the start and again later.
func TestServerWithoutStreamingLists(t *testing.T) {
	suite.OursOnly(t, "about our own log and endpoints")
	for _, code := range []int{http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusForbidden} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			s := suite.Alone(t)
			proxy := s.Proxy(0)
			proxy.RefuseStreamingLists(code)
			controller := s.Start(harness.Options{Name: fmt.Sprint("refused-", code), LeaderElect: true, Proxy: proxy})
			recovers(s)
			proxy.Expire()
			s.Eventually("lists again", time.Minute, func(context.Context) error {
				if n := len(proxy.Lists()); n < 6 { // at the start, again, and once more because the watch after that has expired
					return fmt.Errorf("%d lists of pods and nodes", n)
				}
				return nil
			})
			recovers(s)
			for _, list := range proxy.Lists() {
				if query := list.Query(); query.Get("limit") != "500" || query.Has("resourceVersion") {
					t.Errorf("%s is not a consistent list in pages", list)
				}
			}
			log, err := controller.Log()
			s.Must(err)
			if code == http.StatusUnprocessableEntity && strings.Contains(log, "Cannot read") {
				t.Errorf("complains of what is no failure:\n%s", log)
			}
			s.Must(controller.Stop()) // before the proxy, so that it can release its Lease
		})
	}
}
