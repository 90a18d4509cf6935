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
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/doctor"
)

const doctorLong = `Say whether taint-manager is set up right in this cluster, and what to do where it is not.

It checks whether the built-in controller is off; whether one replica leads, and one Deployment alone; versions; the permissions of the service
account and yours; clocks; policies, tolerations and disruption budgets that cannot have an effect; the disruption controller; nodes that need
the out-of-service taint; and pods that are evicted again and again. What it could not read it says.

Nothing is changed. Permissions are asked for by access reviews, which need permission to create subjectaccessreviews.

Exit codes: 0 when there is no warning and no error, 3 when the worst finding is a warning, 4 when it is an error,
` + otherExitCodes + ` A check that could not be made does not count. With --fail-on=Error
warnings do not count either.`

// The exit codes of doctor.
const (
	exitWarnings = 3
	exitErrors   = 4
)

type doctorOptions struct {
	*Common
	// failOn is the least severity that counts for the exit code: Error or Warning.
	failOn string
	// skip are the checks that are left out of the report.
	skip []string
}

func newDoctorCommand(common *Common) *cobra.Command {
	o := &doctorOptions{Common: common}
	cmd := &cobra.Command{
		Use: "doctor", Short: "Say whether taint-manager is set up right, and what to do", Long: doctorLong,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("doctor takes no arguments")
			}
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&o.failOn, "fail-on", string(doctor.Warning), "Least severity of a finding for which the exit code is not 0: Error or Warning.")
	cmd.Flags().StringSliceVar(&o.skip, "skip", nil, "Checks to leave out, such as BuiltInController where the built-in controller cannot be switched off.")
	severities := cobra.FixedCompletions([]cobra.Completion{string(doctor.Error), string(doctor.Warning)}, cobra.ShellCompDirectiveNoFileComp)
	for flag, complete := range map[string]completer{"fail-on": severities, "skip": cobra.NoFileCompletions} {
		if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // there is no such flag: a bug
		}
	}
	return cmd
}

func (o *doctorOptions) run(ctx context.Context) error {
	if failOn := doctor.Severity(o.failOn); failOn != doctor.Error && failOn != doctor.Warning {
		return usagef("--fail-on is %q, and must be %s or %s", o.failOn, doctor.Error, doctor.Warning)
	}
	reader, done, err := o.reader()
	if err != nil {
		return err
	}
	defer done()
	cluster, err := o.examine(ctx, reader)
	if err != nil {
		return err
	}
	done()
	report := doctor.Examine(cluster)
	if err := leaveOut(report, o.skip); err != nil {
		return err
	}
	if err := o.print(report, func(p *text.Printer) { printReport(p, report) }); err != nil {
		return err
	}
	return exitFor(report.Worst(), doctor.Severity(o.failOn))
}

// exitFor returns the exit code for the worst finding, or nil if that does not count.
func exitFor(worst, failOn doctor.Severity) error {
	switch {
	case worst == doctor.Error:
		return exitError(exitErrors)
	case worst == doctor.Warning && failOn == doctor.Warning:
		return exitError(exitWarnings)
	default:
		return nil
	}
}

// leaveOut takes the findings of some checks out of a report. Each check has a finding, so one without is a typing error.
func leaveOut(r *doctor.Report, checks []string) error {
	all := r.Checks()
	for _, check := range checks {
		if !slices.Contains(all, check) {
			return usagef("there is no check %q to skip: there are %s", check, strings.Join(all, ", "))
		}
	}
	r.Findings = slices.DeleteFunc(r.Findings, func(f doctor.Finding) bool { return slices.Contains(checks, f.Check) })
	return nil
}

// maxObjects is how many objects of a finding are named without -o wide.
const maxObjects = 5

// printReport prints findings, the worst first, each with what to do.
func printReport(p *text.Printer, r *doctor.Report) {
	table := &text.Table{Columns: []text.Column{{Name: "SEVERITY"}, {Name: "CHECK"}, {Name: "FINDING"}}}
	styles := map[doctor.Severity]text.Style{doctor.Error: text.Bad, doctor.Warning: text.Warn, doctor.Unknown: text.Faint, doctor.OK: text.Good}
	for _, finding := range r.Findings {
		seen := finding.Seen
		if named := named(finding.Objects, p.Wide); named != "" && (finding.Severity != doctor.OK || p.Wide) {
			seen += " " + named
		}
		table.Add(styles[finding.Severity], string(finding.Severity), finding.Check, seen)
		if finding.Do != "" {
			table.Add(text.Plain, " ", " ", "-> "+finding.Do)
		}
	}
	p.Table(table)
	fmt.Fprintf(p.Out, "\n%s\n", tally(r))
}

// named lists objects.
func named(objects []string, all bool) string {
	if len(objects) == 0 {
		return ""
	}
	shown, more := objects, ""
	if len(objects) > maxObjects && !all {
		shown, more = objects[:maxObjects], fmt.Sprintf(" and %d more (-o wide)", len(objects)-maxObjects)
	}
	return "[" + strings.Join(shown, ", ") + more + "]"
}

// tally counts findings.
func tally(r *doctor.Report) string {
	n := map[doctor.Severity]int{}
	for _, finding := range r.Findings {
		n[finding.Severity]++
	}
	return fmt.Sprintf("%s, %s, %d not known, %d for information, %d ok.", text.Count(n[doctor.Error], "error"), text.Count(n[doctor.Warning], "warning"),
		n[doctor.Unknown], n[doctor.Info], n[doctor.OK])
}
