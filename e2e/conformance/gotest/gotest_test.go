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

package gotest

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFollow(t *testing.T) {
	output := strings.Join([]string{
		`{"Action":"build-output","Output":"x.go:1: syntax error\n"}`,
		`{"Action":"output","Output":"control plane: building etcd (once)\n"}`,
		`{"Action":"output","Output":"control plane: ready\n"}`,
		`{"Action":"run","Test":"TestA"}`,
		`{"Action":"output","Test":"TestA","Output":"=== RUN   TestA\n"}`,
		`{"Action":"run","Test":"TestB"}`,
		`{"Action":"output","Test":"TestB/sub","Output":"wrong\n"}`,
		`{"Action":"fail","Test":"TestB/sub","Elapsed":1}`,
		`{"Action":"output","Test":"TestA","Output":"--- PASS: TestA\n"}`,
		`{"Action":"pass","Test":"TestA","Elapsed":2.5}`,
		`{"Action":"fail","Test":"TestB","Elapsed":3}`,
		`{"Action":"skip","Test":"TestC"}`,
		`{"Action":"fail","Elapsed":4}`,
		`FAIL no JSON`,
	}, "\n")
	var progress bytes.Buffer
	var ended []Test
	result := follow(strings.NewReader(output), Options{Progress: &progress, Ended: func(test Test) { ended = append(ended, test) }})
	want := []Test{
		{"TestB/sub", Fail, time.Second, "wrong\n"},
		{"TestA", Pass, 2500 * time.Millisecond, "=== RUN   TestA\n--- PASS: TestA\n"},
		{"TestB", Fail, 3 * time.Second, ""},
		{"TestC", Skip, 0, ""},
	}
	if !slices.Equal(result.Tests, want) || !slices.Equal(ended, want) {
		t.Errorf("got %+v and told %+v, want %+v", result.Tests, ended, want)
	}
	if got, want := progress.String(), "x.go:1: syntax error\ncontrol plane: building etcd (once)\n"; got != want {
		t.Errorf("progress %q, want %q", got, want)
	}
	if !strings.Contains(result.Output, "control plane: ready\n") {
		t.Errorf("what is said outside of tests is lost: %q", result.Output)
	}
	if !want[0].Subtest() || want[1].Subtest() {
		t.Error("tests are taken for subtests, or the other way round")
	}
}

func TestList(t *testing.T) {
	names, err := List(t.Context(), "^TestRow(Event|TimeAdded)$")
	if err != nil || !slices.Equal(names, []string{"TestRowEvent", "TestRowTimeAdded"}) {
		t.Errorf("got %v, %v", names, err)
	}
	for _, tests := range []string{"^TestNone$", "("} {
		if names, err := List(t.Context(), tests); err == nil {
			t.Errorf("%s: %v", tests, names)
		}
	}
}
