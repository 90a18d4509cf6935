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
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/pkg/explain"
)

// pluginCommand is how people call the plugin.
const pluginCommand = "kubectl taint-manager"

// exitPodsGo is the exit code of plan where pods would go. See the README of the plugin.
const exitPodsGo = 3

// plugin is the kubectl plugin, as a program.
type plugin struct{ binary, kubeconfig string }

// buildPlugin builds the plugin. It reads with the permissions of an administrator.
func buildPlugin(ctx context.Context, s *screen, cp *controlplane.ControlPlane) (*plugin, error) {
	began := time.Now()
	binary, err := launcher.Build(ctx, cp.Dir(), launcher.Plugin)
	if err != nil {
		return nil, err
	}
	s.say(line{{fmt.Sprintf("  the kubectl plugin is built after %s", since(began)), dim}})
	return &plugin{binary, cp.AdminKubeconfig()}, nil
}

// run runs the plugin, and returns what it prints. It fails if the exit code is another one than the one that is wanted.
func (p *plugin) run(ctx context.Context, want int, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, p.binary, append(args, "--kubeconfig", p.kubeconfig)...)
	var output, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &problems
	code := 0
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		return "", fmt.Errorf("%s: %w", pluginCommand, err)
	}
	if code != want {
		return "", fmt.Errorf("%s %s: exit code %d, not %d\n%s", pluginCommand, strings.Join(args, " "), code, want, problems.String())
	}
	return output.String(), nil
}

// show runs the plugin, and shows the command and what it prints.
func (p *plugin) show(ctx context.Context, s *screen, want int, args ...string) error {
	s.say(line{{pluginCommand + " " + strings.Join(args, " "), accent}})
	output, err := p.run(ctx, want, args...)
	for each := range strings.Lines(output) {
		s.say(line{{"  " + strings.TrimRight(each, "\n"), normal}})
	}
	return err
}

// plan shows what would become of the pods of nodes if they were tainted, and returns what is wrong with that.
func (d *demo) plan(ctx context.Context, nodes ...string) (wrong []string, err error) {
	args := append([]string{"plan"}, nodes...)
	args = append(args, "--taint", fmt.Sprintf("%s=%s:NoExecute", taintKey, taintValue))
	if err := d.plugin.show(ctx, d.screen, exitPodsGo, args...); err != nil {
		return nil, err
	}
	before := time.Now()
	output, err := d.plugin.run(ctx, exitPodsGo, append(args, "-o", "json")...)
	if err != nil {
		return nil, err
	}
	var plan explain.Plan
	if err := json.Unmarshal([]byte(output), &plan); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return checkPlan(d.ledger, plan.Pods, nodes, before, time.Now()), nil
}

// checkPlan says what is wrong with a plan that was asked for between two times.
func checkPlan(l *ledger, plan []explain.PlannedPod, nodes []string, before, after time.Time) (wrong []string) {
	planned := make(map[types.UID]explain.Fate)
	for _, each := range plan {
		planned[types.UID(each.Pod.UID)] = each.Fate
	}
	for _, p := range l.sorted(func(p *pod) bool { return slices.Contains(nodes, p.node) }) {
		fate, found := planned[p.uid]
		if !found {
			wrong = append(wrong, fmt.Sprintf("the plan leaves out %s", p.name))
			continue
		}
		delete(planned, p.uid)
		if problem := planDifference(p.tolerates, fate, before, after); problem != "" {
			wrong = append(wrong, fmt.Sprintf("the plan says of %s %s", p.name, problem))
		}
	}
	if len(planned) > 0 {
		wrong = append(wrong, fmt.Sprintf("the plan has %d pods that are not on these nodes", len(planned)))
	}
	return wrong
}

// planDifference says how a planned fate differs from what the rules say of a pod that is tainted between two times.
func planDifference(t tolerance, fate explain.Fate, before, after time.Time) string {
	want := explain.Scheduled
	switch t {
	case tolerance{}:
		want = explain.Due
	case tolerance{forever: true}:
		want = explain.Stays
	}
	switch {
	case fate.Outcome != want:
		return fmt.Sprintf("%s, not %s", fate.Outcome, want)
	case want == explain.Stays:
		return ""
	case fate.Deadline.Before(before.Add(t.duration()).Truncate(time.Second)), fate.Deadline.After(after.Add(t.duration() + slack)):
		return fmt.Sprintf("that it goes at %s, and not %s from %s", fate.Deadline, t.duration(), before)
	}
	return ""
}

// ask shows why a pod that tolerated the taint for a while has gone, and returns what is wrong with that.
func (d *demo) ask(ctx context.Context) (wrong []string, err error) {
	gone := d.ledger.sorted(func(p *pod) bool { return p.changed != nil && !p.left.IsZero() })
	if len(gone) == 0 {
		return []string{"no pod has gone that may be asked about"}, nil
	}
	p := gone[0]
	args := []string{"why", p.name, "-n", namespace}
	if err := d.plugin.show(ctx, d.screen, 0, args...); err != nil {
		return nil, err
	}
	output, err := d.plugin.run(ctx, 0, append(args, "-o", "json")...)
	if err != nil {
		return nil, err
	}
	var why explain.Pod
	if err := json.Unmarshal([]byte(output), &why); err != nil {
		return nil, fmt.Errorf("why: %w", err)
	}
	return checkWhy(why, p), nil
}

// checkWhy says what is wrong with what the plugin says of a pod that tolerated the taint for a while and has gone.
func checkWhy(why explain.Pod, p *pod) (wrong []string) {
	tolerated := fmt.Sprintf("tolerated for %ds", p.toleratesNow().seconds)
	switch removal := why.Removal; {
	case why.Exists:
		wrong = append(wrong, fmt.Sprintf("why says that %s exists, which has gone", p.name))
	case removal == nil || !removal.Ours:
		wrong = append(wrong, fmt.Sprintf("why does not say that taint-manager evicted %s", p.name))
	case !strings.Contains(removal.Message, taintKey+"="+taintValue+":NoExecute"), !strings.Contains(removal.Message, tolerated):
		wrong = append(wrong, fmt.Sprintf("why does not name the taint and %q, but says of %s %q", tolerated, p.name, removal.Message))
	}
	return wrong
}
