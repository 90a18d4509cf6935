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

package controlplane

import "context"

// TB is what StartT uses of a testing.TB. Programs that are no tests need not link package testing.
type TB interface {
	Helper()
	Cleanup(func())
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Logf(format string, args ...any)
}

// StartT starts a control plane for a test, and stops it when the test ends. The test fails if a process ended that
// nobody had told to; if it fails for whatever reason, it logs the last lines of every process.
func StartT(t TB, options Options) *ControlPlane {
	t.Helper()
	cp, err := Start(t.Context(), options)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := cp.Crashed(); err != nil {
			t.Errorf("%v", err)
		}
		if t.Failed() {
			for _, process := range cp.processes() {
				t.Logf("the end of %s:\n%s", process.LogPath(), process.Tail(failureLines))
			}
		}
		if err := cp.Stop(); err != nil {
			t.Errorf("stopping the control plane: %v", err)
		}
	})
	return cp
}
