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
	"bytes"
	"testing"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// outputs returns flags with an output format, and what is written with them.
func outputs(t *testing.T, format string) (common *Common, out, errOut *bytes.Buffer) {
	t.Helper()
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	common = NewCommon(streams)
	common.Output.addFlags(pflag.NewFlagSet("", pflag.ContinueOnError))
	common.Output.Format = format
	return common, out, errOut
}

// TestNamesAloneAreOnStandardOutput has a result that is limited, and says so elsewhere.
func TestNamesAloneAreOnStandardOutput(t *testing.T) {
	common, out, errOut := outputs(t, "name")
	result := &explain.Plan{
		Header: explain.Header{
			Unread: []snapshot.Unread{{What: "policies", Error: "forbidden", Means: "in which mode a pod goes, and whether a policy keeps it"}},
			Notes:  []string{"policy a holds all evictions"},
		},
		Pods: []explain.PlannedPod{{Pod: explain.Ref{Name: "web"}, Fate: explain.Fate{Outcome: explain.Due}}},
	}
	if err := common.print(result, func(*text.Printer) {}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "pod/web\n"; got != want {
		t.Errorf("standard output: got %q, want %q", got, want)
	}
	want := "Not read: policies (forbidden). Not known because of that: in which mode a pod goes, and whether a policy keeps it.\nNote: policy a holds all evictions.\n"
	if got := errOut.String(); got != want {
		t.Errorf("standard error: got %q, want %q", got, want)
	}
}

// TestYAMLDocuments prints two results in one run, as with --watch.
func TestYAMLDocuments(t *testing.T) {
	common, out, _ := outputs(t, "yaml")
	for i := range 2 {
		kind := metav1.TypeMeta{APIVersion: explain.APIVersion, Kind: "PodExplanation"}
		result := &explain.Pod{
			Header: explain.Header{TypeMeta: kind, At: time.Date(2026, time.March, 1, 12, 0, i, 0, time.UTC)}, Pod: explain.Ref{Name: "web"}, Summary: "It stays",
		}
		if err := common.print(result, func(*text.Printer) {}); err != nil {
			t.Fatal(err)
		}
	}
	const want = `apiVersion: kubectl.taint-manager.io/v1alpha1
at: "2026-03-01T12:00:00Z"
exists: false
kind: PodExplanation
pod:
  name: web
summary: It stays
---
apiVersion: kubectl.taint-manager.io/v1alpha1
at: "2026-03-01T12:00:01Z"
exists: false
kind: PodExplanation
pod:
  name: web
summary: It stays
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
