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
	"testing"
	"time"

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
