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

package variants

import (
	"os/exec"
	"testing"

	"github.com/taint-manager/taint-manager/pkg/testing/mutation"
)

// TestVariantsCompile has each variant apply to the source as it is now, and compile.
func TestVariantsCompile(t *testing.T) {
	for _, v := range All() {
		t.Run(v.Name, func(t *testing.T) {
			overlay, err := v.overlay(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			build := exec.CommandContext(t.Context(), "go", "build", overlay,
				"github.com/taint-manager/taint-manager/pkg/...", "github.com/taint-manager/taint-manager/cmd/taint-manager/app")
			if output, err := build.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

func TestAVariantThatChangesNothingIsAnError(t *testing.T) {
	for name, find := range map[string]string{"nothing like it": "l.noSuchMethod()", "more than once": "l.ended"} {
		v := Variant{Name: name, edits: []mutation.Edit{{In: "evictor.ConcurrencyLimiter.check", Find: find}}}
		if _, err := v.overlay(t.Context(), t.TempDir()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
