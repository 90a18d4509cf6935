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
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// braked returns options for a controller with an eviction brake.
func braked(t *testing.T, name, settings string) harness.Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "taint-manager.yaml")
	config := "apiVersion: config.taint-manager.io/v1alpha1\nkind: TaintManagerConfiguration\nevictionBrake: {" + settings + "}\n"
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return harness.Options{Name: name, Args: []string{"--config=" + path}}
}

// brakeIs waits until /readyz?verbose says that the brake is on, or off.
func brakeIs(s *harness.Scene, on bool, within time.Duration) {
	s.T.Helper()
	s.Eventually(fmt.Sprintf("the brake is on: %t", on), within, func(context.Context) error {
		status, body := s.Ask("/readyz?verbose", "")
		if holds := strings.Contains(body, "[+]eviction-brake (Holding evictions since "); status != http.StatusOK || holds != on {
			return fmt.Errorf("%d: %s", status, body)
		}
		return nil
	})
}

// TestBrakeStopsAMistake taints ten nodes for 3 s, of which three may evict.
func TestBrakeStopsAMistake(t *testing.T) {
	suite.OursOnly(t, "it has no brake")
	s := suite.Alone(t)
	s.Start(braked(t, "braked", "maxNodes: 3, cooldownSeconds: 4"))
	const each = 4
	nodes := s.Nodes(10)
	pods := s.Many(len(nodes)*each, func(i int) *corev1.Pod { return builders.Pod(nodes[i/each], builders.Named(fmt.Sprintf("pod-%d", i))) })
	for _, node := range nodes {
		s.Taint(node, builders.NoExecute("mistake"))
	}
	brakeIs(s, true, 5*time.Second)
	s.Quiet(pods[len(pods)-1], time.Now().Add(3*time.Second))
	lost := s.Taint(nodes[9], builders.NoExecute("mistake"), builders.NoExecute(corev1.TaintNodeOutOfService))
	s.Evicted(pods[len(pods)-1], harness.Due(lost, 0)) // failover goes on
	seesTheBrake(t, s)
	var untainted timing.Moment
	for _, node := range nodes {
		untainted = s.Untaint(node)
	}
	s.Quiet(pods[each*8], untainted.After.Add(2*time.Second))
	brakeIs(s, false, 10*time.Second)
	emptied := map[int]bool{}
	for i, at := range s.Going(pods[:9*each]) {
		if !at.IsZero() {
			emptied[i/each] = true
		}
	}
	if len(emptied) > 3 {
		t.Errorf("pods of %d nodes went, of which 3 may", len(emptied))
	}
	s.Saw("pods of %d of 10 nodes went", len(emptied))
	tainted := s.Taint(nodes[8], builders.NoExecute("meant"))
	s.Evicted(pods[each*8], harness.Due(tainted, 0))
}

// seesTheBrake looks for what shows that the brake is on.
func seesTheBrake(t *testing.T, s *harness.Scene) {
	t.Helper()
	const why = "; most for mistake:NoExecute (10). Evictions go on 4s after it is 3 or fewer: remove the taint from 7, or wait until "
	s.Eventually("an Event on the Deployment", 10*time.Second, func(ctx context.Context) error {
		events, err := s.Client.CoreV1().Events(launcher.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=TaintManagerEvictionBrakeOn"})
		if err != nil {
			return err
		}
		others := func(e corev1.Event) bool { return !strings.Contains(e.Message, "most for mistake:NoExecute") }
		if events.Items = slices.DeleteFunc(events.Items, others); len(events.Items) != 1 {
			return fmt.Errorf("%d Events", len(events.Items))
		}
		e := events.Items[0]
		if about := e.InvolvedObject; e.Type != corev1.EventTypeWarning || about.Kind != "Deployment" || about.Name != launcher.Name ||
			!strings.HasPrefix(e.Message, "Holding evictions since ") {
			return fmt.Errorf("Event %+v", e)
		}
		return nil
	})
	s.Eventually("an annotation of the ConfigMap", 15*time.Second, func(ctx context.Context) error {
		config, err := s.Client.CoreV1().ConfigMaps(launcher.Namespace).Get(ctx, "taint-manager-starts", metav1.GetOptions{})
		if err == nil && !strings.Contains(config.Annotations["taint-manager.io/eviction-brake-message"], why) {
			err = fmt.Errorf("annotations %q", config.Annotations)
		}
		return err
	})
}

// TestBrakeHoldsWhatAPauseHeld deletes a policy that holds everything.
func TestBrakeHoldsWhatAPauseHeld(t *testing.T) {
	suite.OursOnly(t, "it knows no policies")
	alone := suite.Alone(t)
	s := policyScene{alone, alone.Policies()}
	s.Start(braked(t, "paused", "maxNodes: 2, windowSeconds: 6, cooldownSeconds: 1"))
	s.create("pause", "matchingPrecedence: 0, mode: Keep")
	nodes := s.Nodes(4)
	pods := s.Many(len(nodes), func(i int) *corev1.Pod { return builders.Pod(nodes[i], builders.Named(fmt.Sprintf("pod-%d", i))) })
	var tainted timing.Moment
	for _, node := range nodes {
		tainted = s.Taint(node, builders.NoExecute("ill"))
	}
	s.Quiet(pods[0], tainted.After.Add(8*time.Second)) // the taints are too old to count
	brakeIs(s.Scene, false, time.Second)
	deleted := s.delete("pause")
	brakeIs(s.Scene, true, 2*time.Second)
	outcomes := s.AwaitAll(pods, deleted.After.Add(15*time.Second))
	for i, outcome := range outcomes {
		s.Check(pods[i], outcome, harness.Due(deleted, 7))
	}
	brakeIs(s.Scene, false, 2*time.Second)
}
