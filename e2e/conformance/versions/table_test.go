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

package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	utilversion "k8s.io/apimachinery/pkg/util/version"

	"github.com/taint-manager/taint-manager/e2e/conformance/gotest"
	"github.com/taint-manager/taint-manager/e2e/framework/results"
)

func runs() []*versionRun {
	names := []string{"TestA", "TestB", "TestC"}
	return []*versionRun{
		{
			version: utilversion.MustParseSemantic("1.29.15"), names: names, took: 301400 * time.Millisecond,
			tests: []gotest.Test{
				{Name: "TestA", Outcome: gotest.Pass}, {Name: "TestB", Outcome: gotest.Pass},
				{Name: "TestC", Outcome: gotest.Skip, Output: "=== RUN   TestC\n    row_test.go:12: no such API\n--- SKIP: TestC (0.00s)\n"},
			},
		},
		{version: utilversion.MustParseSemantic("1.30.14"), err: errors.New("building kube-apiserver: exit status 1\nx.go:1")},
		{
			version: utilversion.MustParseSemantic("1.37.2"), names: names, took: time.Minute, server: results.Server{StreamingLists: true},
			// TestC did not end.
			tests: []gotest.Test{{Name: "TestA", Outcome: gotest.Pass}, {Name: "TestB", Outcome: gotest.Fail}},
		},
	}
}

func TestMarkdown(t *testing.T) {
	const want = `| Kubernetes | streaming lists by default | passed | failed | not possible | time |
|---|---|---|---|---|---|
| 1.29.15 | no | 2 | 0 | 1 | 5m1s |
| 1.37.2 | yes | 1 | 2 | 0 | 1m0s |

- 1.29.15: ValidatingAdmissionPolicy is beta and off by default; switched on
- 1.29.15: TestC is not possible: no such API
- 1.30.14: not tested: building kube-apiserver: exit status 1
- 1.37.2: TestB failed
- 1.37.2: TestC failed
`
	if got := markdown(runs()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestProblems(t *testing.T) {
	err := problems(runs())
	if exitCode(err) != 1 {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{"1.30.14: building", "1.37.2: TestB failed", "1.37.2: TestC failed"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said: %v", want, err)
		}
	}
	if err := problems(runs()[:1]); err != nil {
		t.Errorf("what is not possible is a failure: %v", err)
	}
}

func TestLineWriter(t *testing.T) {
	var out bytes.Buffer
	w := &lineWriter{out: &out}
	for _, text := range []string{"a\n", "b", "c\nd"} {
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	if got := out.String(); got != "a\nb\nc\nd\n" {
		t.Errorf("got %q", got)
	}
}
