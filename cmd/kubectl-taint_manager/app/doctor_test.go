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
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/doctor"
	"github.com/taint-manager/taint-manager/pkg/explain"
)

func TestPrintReport(t *testing.T) {
	report := &doctor.Report{
		Header: explain.Header{At: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)},
		Findings: []doctor.Finding{
			{
				Severity: doctor.Error, Check: "BuiltInController", Seen: "The built-in controller is on, by the flags of kube-controller-manager.",
				Do: "Switch it off.", Objects: []string{"kube-system/kube-controller-manager-cp-1"},
			},
			{
				Severity: doctor.Warning, Check: "Budgets", Seen: "7 disruption budgets never allow an eviction.", Do: "Allow one pod at least.",
				Objects: []string{"shop/a", "shop/b", "shop/c", "shop/d", "shop/e", "shop/f", "shop/g"},
			},
			{Severity: doctor.Unknown, Check: "Permissions", Seen: "Cannot check what system:serviceaccount:kube-system:taint-manager may do: forbidden."},
			{Severity: doctor.Info, Check: "Policies", Seen: "Policy old expired at 2026-02-01T00:00:00Z.", Do: "If it is not wanted any more: kubectl delete tep old"},
			{Severity: doctor.OK, Check: "NodeClocks", Seen: "The clocks of 2 nodes agree with the API server's, by their Leases.", Objects: []string{"n1", "n2"}},
		},
	}
	golden(t, "doctor", func(p *text.Printer) { printReport(p, report) })
}

// TestDoctorExitCode has the exit code for each severity that is the worst one, with each value of --fail-on.
func TestDoctorExitCode(t *testing.T) {
	for _, c := range []struct {
		worst, failOn doctor.Severity
		want          int
	}{
		{doctor.Error, doctor.Warning, 4}, {doctor.Error, doctor.Error, 4},
		{doctor.Warning, doctor.Warning, 3}, {doctor.Warning, doctor.Error, 0},
		{doctor.Unknown, doctor.Warning, 0}, {doctor.Info, doctor.Warning, 0}, {doctor.OK, doctor.Warning, 0},
	} {
		got := 0
		var exit exitError
		if err := exitFor(c.worst, c.failOn); errors.As(err, &exit) {
			got = int(exit)
		} else if err != nil {
			t.Error(err)
		}
		if got != c.want {
			t.Errorf("%s with --fail-on=%s: exit code %d, want %d", c.worst, c.failOn, got, c.want)
		}
	}
}

// TestDoctorSkips leaves out checks, and refuses those that are not there.
func TestDoctorSkips(t *testing.T) {
	report := func() *doctor.Report {
		return &doctor.Report{Findings: []doctor.Finding{
			{Severity: doctor.Error, Check: "Leader"}, {Severity: doctor.Warning, Check: "Budgets"}, {Severity: doctor.Warning, Check: "Budgets"}, {Severity: doctor.OK, Check: "Clock"},
		}}
	}
	r := report()
	if err := leaveOut(r, []string{"Leader", "Budgets", "Leader"}); err != nil || strings.Join(r.Checks(), ",") != "Clock" || r.Worst() != doctor.OK {
		t.Errorf("left are %v, the worst is %s: %v", r.Checks(), r.Worst(), err)
	}
	err := leaveOut(report(), []string{"leader"})
	if want := `there is no check "leader" to skip: there are Budgets, Clock, Leader`; err == nil || err.Error() != want || !errors.As(err, &usageError{}) {
		t.Errorf("got %v, want a usageError %s", err, want)
	}
	cmd := NewCommand(genericiooptions.NewTestIOStreamsDiscard())
	cmd.SetArgs([]string{"doctor", "--fail-on=Info"})
	if err := cmd.ExecuteContext(t.Context()); err == nil || err.Error() != `--fail-on is "Info", and must be Error or Warning` || !errors.As(err, &usageError{}) {
		t.Errorf("got %v", err)
	}
}
