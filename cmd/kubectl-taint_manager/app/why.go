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
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

const whyLong = `Say why a pod goes or went because of taints, or why it does not.`

type why struct {
	*Common
	namespace, name string
}

func newWhyCommand(common *Common) *cobra.Command {
	o := &why{Common: common}
	return &cobra.Command{
		Use:               "why POD",
		Short:             "Say why a pod goes or went because of taints, or why it does not",
		Long:              whyLong + exitCodes,
		ValidArgsFunction: common.completePods(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(args); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
}

func (o *why) complete(args []string) (err error) {
	if len(args) != 1 {
		return usagef("name one pod, and its namespace with -n: kubectl taint-manager why POD")
	}
	if o.name = strings.TrimPrefix(strings.TrimPrefix(args[0], "pods/"), "pod/"); o.name == "" || strings.Contains(o.name, "/") {
		return usagef("%q is not the name of a pod", args[0])
	}
	o.namespace, err = o.Common.namespace()
	return err
}

func (o *why) run(ctx context.Context) error {
	reader, done, err := o.reader()
	if err != nil {
		return err
	}
	defer done()
	pod, err := reader.Kube.CoreV1().Pods(o.namespace).Get(ctx, o.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	s, err := reader.Read(ctx, snapshot.Scope{Nodes: []string{pod.Spec.NodeName}})
	if err != nil {
		return err
	}
	done()
	result := explain.ExplainPod(s, pod)
	return o.print(result, func(p *text.Printer) { printPod(p, result) })
}

// printPod prints why a pod goes, or does not.
func printPod(p *text.Printer, e *explain.Pod) {
	fmt.Fprintf(p.Out, "Pod:      %s/%s\n", e.Pod.Namespace, e.Pod.Name)
	fmt.Fprintf(p.Out, "Node:     %s\n", e.Node)
	fmt.Fprintf(p.Out, "Outcome:  %s (%s)\n", e.Fate.Outcome, e.Fate.Reason)
	if !e.Fate.Deadline.IsZero() {
		fmt.Fprintf(p.Out, "Deadline: %s\n", when(p, e.Fate.Deadline, e.At))
	}
	if len(e.Taints) == 0 {
		return
	}
	fmt.Fprintln(p.Out)
	table := &text.Table{Columns: []text.Column{{Name: "TAINT"}, {Name: "SINCE"}, {Name: "BY"}, {Name: "DEADLINE"}, {Name: "TOLERATION"}}}
	for _, taint := range e.Taints {
		deadline := ""
		if !taint.Fate.Deadline.IsZero() {
			deadline = when(p, taint.Fate.Deadline, e.At)
		}
		table.Add(text.Plain, taint.Taint, when(p, taint.Start, e.At), string(taint.StartFrom), deadline, explain.DescribeToleration(taint.Toleration))
	}
	p.Table(table)
}

// when returns a time as people say it, and with -o wide the absolute one too.
func when(p *text.Printer, t, now time.Time) string {
	if p.Wide {
		return fmt.Sprintf("%s (%s)", text.Absolute(t), text.Relative(t, now))
	}
	return text.Relative(t, now)
}
