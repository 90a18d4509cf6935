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
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// Exit codes of plan.
const (
	exitEvicts  = 3
	exitBlocked = 4
)

const planLong = `Say what would become of the pods on some nodes if taints were added or removed now. Nothing is changed.

Each pod is shown with the time at which it would go, how, by which policy, and the toleration that decides. Budgets are used up in the order
in which the pods go: each pod alone may look fine where all of them together are not. Shown as well are pods that nothing makes again (bare),
pods whose volumes are on the node, and pods whose replacements find no room on other nodes. That last one is an estimate, by requests, taints,
node selector and node affinity alone.

--policies tries TaintEvictionPolicies before they are applied: each takes the place of one of its name. They are checked as the controller
checks them; the API server checks more: see kubectl apply --dry-run=server.

A taint to remove that none of the nodes has is an error, as it is for kubectl taint.

The eviction brake and the pace of nodes, which only delay, do not count here.

Exit codes: 0 if no pod would go, 3 if pods would go, 4 if a disruption budget would block some of them,
` + otherExitCodes

const planExample = `  # What if this node had this taint?
  kubectl taint-manager plan node-1 --taint example.com/maintenance:NoExecute

  # And with a policy that is not applied yet?
  kubectl taint-manager plan -l pool=spot --taint example.com/maintenance:NoExecute --policies policy.yaml

  # What if this taint was removed?
  kubectl taint-manager plan node-1 --remove example.com/maintenance`

type plan struct {
	*Common
	selector       string
	taints, remove []string
	policyFile     string
	room           bool
	allNamespaces  bool

	change   explain.Change
	policies []*unstructured.Unstructured
	// found tells which of the taints to remove a node has.
	found []bool
}

func newPlanCommand(common *Common) *cobra.Command { return (&plan{Common: common}).command() }

func (o *plan) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "plan (NODE... | -l SELECTOR) [--taint key=value:NoExecute] [--remove key]",
		Short:             "Say what would become of the pods on nodes if taints were added or removed",
		Long:              planLong,
		Example:           planExample,
		ValidArgsFunction: o.completeNodes(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(args); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.selector, "selector", "l", "", "Select nodes by their labels, such as pool=spot.")
	flags.StringArrayVar(&o.taints, "taint", nil, "A taint to add, as key=value:NoExecute. It takes the place of one with the same key and effect. May be repeated.")
	flags.StringArrayVar(&o.remove, "remove", nil, "A taint to remove, as key, key=value or key:effect. One of the nodes at least must have it. May be repeated.")
	flags.StringVar(&o.policyFile, "policies", "", "Path of a file with TaintEvictionPolicies to try, or - for standard input.")
	flags.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "Plan for pods of all namespaces. It is the default, and comes before -n.")
	flags.BoolVar(&o.room, "room", true, "Look whether replacements find room on other nodes. That reads all pods of the cluster.")
	completeFlags(cmd, map[string]completer{
		"selector": cobra.NoFileCompletions,
		"taint":    completeTaints(o.plannedTaints, true),
		"remove":   completeTaints(o.removableTaints(&o.selector), false),
		"policies": cobra.FixedCompletions([]string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt),
	})
	return cmd
}

func (o *plan) complete(nodes []string) (err error) {
	switch {
	case len(nodes) == 0 && o.selector == "":
		return usagef("name nodes, or select them with -l")
	case len(nodes) > 0 && o.selector != "":
		return usagef("name nodes or select them with -l, not both")
	case len(o.taints)+len(o.remove) == 0 && o.policyFile == "":
		return usagef("say what to try: --taint, --remove or --policies")
	}
	if o.change.Nodes, err = nodeNames(nodes); err != nil {
		return err
	}
	if o.change.Add, err = parseTaints(o.taints); err != nil {
		return err
	}
	if o.change.Remove, err = parsePatterns(o.remove); err != nil {
		return err
	}
	if o.policyFile != "" {
		o.policies, err = readPolicies(o.policyFile, o.In)
	}
	return err
}

func (o *plan) run(ctx context.Context) error {
	reader, done, err := o.reader()
	if err != nil {
		return err
	}
	defer done()
	result, err := o.by(ctx, reader)
	if err != nil {
		return err
	}
	done()
	if err := o.print(result, func(p *text.Printer) { printPlan(p, result) }); err != nil {
		return err
	}
	switch {
	case result.Totals.Blocked > 0:
		return exitError(exitBlocked)
	case result.Totals.Now+result.Totals.Later > 0:
		return exitError(exitEvicts)
	default:
		return nil
	}
}

// by makes the plan with the clients of a reader.
func (o *plan) by(ctx context.Context, reader *snapshot.Reader) (_ *explain.Plan, err error) {
	if o.selector != "" {
		if o.change.Nodes, err = o.selected(ctx, reader); err != nil {
			return nil, err
		}
	}
	workloads := explain.NewWorkloads(o.change.Nodes)
	now, err := reader.Read(ctx, o.scope(workloads))
	if err != nil {
		return nil, err
	}
	for _, name := range o.change.Nodes {
		if now.Nodes[name] == nil {
			return nil, fmt.Errorf("there is no node %q", name)
		}
	}
	if err := o.notFound(); err != nil {
		return nil, err
	}
	if workloads.HasClaims() {
		claims, unread, err := reader.LocalClaims(ctx)
		if err != nil {
			return nil, err
		}
		workloads.LocalClaims, now.Unread = claims, append(now.Unread, unread...)
	}
	after, err := o.withPolicies(ctx, reader, now)
	if err != nil {
		return nil, err
	}
	if !o.room {
		workloads.IgnoreRoom()
	}
	return explain.MakePlan(now, after, &o.change, workloads), nil
}

// find notes which of the taints to remove a node has. A snapshot has only those of them that may evict.
func (o *plan) find(node *v1.Node) {
	for i, pattern := range o.change.Remove {
		o.found[i] = o.found[i] || slices.ContainsFunc(node.Spec.Taints, func(taint v1.Taint) bool { return pattern.Matches(&taint) })
	}
}

// notFound returns an error for each taint to remove that no node has, as kubectl taint does.
func (o *plan) notFound() error {
	var errs []error
	for i, pattern := range o.change.Remove {
		if !o.found[i] {
			errs = append(errs, fmt.Errorf("taint %q not found on %s", pattern, nodesInWords(o.change.Nodes)))
		}
	}
	return errors.Join(errs...)
}

// nodesInWords names a node, or says how many there are.
func nodesInWords(names []string) string {
	if len(names) == 1 {
		return "node " + names[0]
	}
	return fmt.Sprintf("any of %d nodes", len(names))
}

// scope says what is read: to know the room on other nodes, all nodes and all pods.
func (o *plan) scope(workloads *explain.Workloads) snapshot.Scope {
	planned := sets.New(o.change.Nodes...)
	o.found = make([]bool, len(o.change.Remove))
	scope := snapshot.Scope{Namespace: o.podNamespace(o.allNamespaces), Budgets: true, Whole: func(object runtime.Object) {
		if node, is := object.(*v1.Node); is && planned.Has(node.Name) {
			o.find(node)
		}
		workloads.Add(object)
	}}
	if scope.Namespace != "" {
		o.room = false // the pods of one namespace do not tell
	}
	if !o.room {
		scope.Nodes, scope.Pods = o.change.Nodes, snapshot.PodsOnNodes
		return scope
	}
	scope.Pods, scope.Keep = snapshot.BoundPods, func(pod *v1.Pod) bool { return planned.Has(pod.Spec.NodeName) }
	return scope
}

// selected returns the names of the nodes that the selector selects.
func (o *plan) selected(ctx context.Context, reader *snapshot.Reader) ([]string, error) {
	s, err := reader.Read(ctx, snapshot.Scope{NodeSelector: o.selector})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(s.Nodes))
	for name := range s.Nodes {
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no node has labels %q", o.selector)
	}
	slices.Sort(names)
	return names, nil
}

// withPolicies returns the cluster with the policies of the file.
func (o *plan) withPolicies(ctx context.Context, reader *snapshot.Reader, now *snapshot.Snapshot) (*snapshot.Snapshot, error) {
	if len(o.policies) == 0 {
		return now, nil
	}
	after, err := reader.TryPolicies(ctx, now, o.policies)
	if err != nil {
		return nil, err
	}
	for _, policy := range o.policies {
		if err := after.Policies.Err(policy.GetName()); err != nil {
			return nil, usagef("%s: policy %s: %w", o.policyFile, policy.GetName(), err)
		}
	}
	return after, nil
}
