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
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/server/healthz"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/taint-manager/taint-manager/pkg/brake"
	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// TestTheBrakeIsAsConfigured has each setting have an effect.
func TestTheBrakeIsAsConfigured(t *testing.T) {
	now := testingclock.NewFakePassiveClock(time.Unix(1e9, 0))
	made := func(document string) *brake.Brake {
		t.Helper()
		inFile(t, header+document)
		o, text := completed(t, "--config=c.yaml")
		if text != "" {
			t.Fatal(text)
		}
		b, err := newBrake(o, now)
		if err != nil {
			t.Fatal(err)
		}
		b.SetTotal(100)
		return b
	}
	if made("").Enabled() {
		t.Error("it is on by default")
	}
	share := made("evictionBrake: {maxNodes: 30%, minNodes: 50, windowSeconds: 7, cooldownSeconds: 8, ignoreTaints: [x]}\n")
	if s := share.Status(); !s.Enabled || s.Limit != 49 || s.Window != 7*time.Second || s.Cooldown != 8*time.Second {
		t.Errorf("got %+v", s)
	}
	if !share.Ignores(deadline.Taint{Key: "x"}) || share.Ignores(deadline.Taint{Key: "node.kubernetes.io/not-ready"}) {
		t.Error("ignores other taints")
	}
	pace := made("nodePace: {nodesPerMinute: 600, burst: 2}\n")
	pace.SetLeading(true)
	now.SetTime(now.Now().Add(time.Second))
	began := 0
	for _, node := range []string{"a", "b", "c"} {
		if pace.May(node, brake.Due{Taint: deadline.Taint{Key: "y", Start: now.Now()}, From: now.Now()}).Allowed {
			began++
		}
	}
	if !pace.Enabled() || pace.Status().Enabled || began != 2 {
		t.Errorf("%d nodes began, brake %+v", began, pace.Status())
	}
}

// TestProductionConfiguration reads the file of the overlay for production.
func TestProductionConfiguration(t *testing.T) {
	file, errs := readConfig("../../../manifests/overlays/production/taint-manager.yaml")
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got := file.config.EvictionBrake.MaxNodes.String(); got != "30%" {
		t.Errorf("the brake is at %s", got)
	}
}

func TestABrakeThatIsOnIsToldOf(t *testing.T) {
	text := ""
	check := brakeCheck{func() string { return text }}
	served := newHandler(NewOptions(), checks{ready: []healthz.HealthChecker{check}})
	for why, want := range map[string]string{"": "[+]eviction-brake ok", "5 of 6 nodes; 3 may": "[+]eviction-brake (5 of 6 nodes; 3 may) ok"} {
		text = why
		answer := httptest.NewRecorder()
		served.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz?verbose", http.NoBody))
		if got := answer.Body.String(); answer.Code != http.StatusOK || !strings.Contains(got, want) {
			t.Errorf("%d, %s, want %q", answer.Code, got, want)
		}
	}
}
