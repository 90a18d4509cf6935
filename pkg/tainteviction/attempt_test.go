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
	"errors"
	"net/http"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// attempts returns the number of deleted pods by the label attempt.
func (f *fixture) attempts() map[string]uint64 {
	f.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.Fatal(err)
	}
	attempts := map[string]uint64{}
	for _, family := range families {
		if family.GetName() != "taint_manager_eviction_lateness_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			attempts[metric.GetLabel()[0].GetValue()] += metric.GetHistogram().GetSampleCount()
		}
	}
	return attempts
}

// TestOnlyAttemptsAfterAFailureAreRetries has a pod that is due by the caches only, and is checked again until it is due.
func TestOnlyAttemptsAfterAFailureAreRetries(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("p", "n", tolerating("a", 10))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(9)
		f.api.Lag("nodes", 10*time.Second)
		f.api.Taint("n")
		f.wait(4) // A read serves for 1 s; the first attempt after that is the fifth at the latest, within 2.6 s of the first.
		f.exists(true, "p")
		if f.api.Count("GET /api/v1/nodes/n") < 2 {
			t.Error("the node was not read again")
		}
		f.api.Taint("n", taintOf("b"))
		f.wait(5)
		f.exists(false, "p")
		if got := f.attempts(); got["first"] != 1 || got["retry"] != 0 {
			t.Errorf("attempts %v, though none failed", got)
		}
	})
	bubble(t, func(f *fixture) {
		failed := false
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodDelete && !failed {
				failed = true
				return apitest.Failure(apierrors.NewInternalError(errors.New("once"))), nil
			}
			return nil, nil
		}
		f.api.AddPod("p", "n")
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(5)
		f.exists(false, "p")
		if got := f.attempts(); got["first"] != 0 || got["retry"] != 1 {
			t.Errorf("attempts %v, though the first failed", got)
		}
	})
}
