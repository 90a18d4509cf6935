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

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

const whyLong = `Say why a pod goes because of taints, and when, or why it does not.

Shown are each taint that may evict with the evidence for its start, the toleration that counts or why none does, the pod's binding, its
deadline, the policy that applies and why others do not, its disruption budgets with their numbers now, and Events about it. A pod that is
gone is explained by Events, which are kept for an hour by default: they also tell of others than taint-manager that delete pods.`

const whyExample = `  # Why is this pod evicted, and when?
  kubectl taint-manager why web-5d8c7 -n shop

  # The same with absolute times, or for a program
  kubectl taint-manager why web-5d8c7 -n shop -o wide
  kubectl taint-manager why web-5d8c7 -n shop -o jsonpath='{.fate.deadline}'`

type why struct {
	*Common
	namespace, name string
}

func newWhyCommand(common *Common) *cobra.Command {
	o := &why{Common: common}
	return &cobra.Command{
		Use:               "why POD",
		Short:             "Say why a pod goes or went because of taints, or why it does not",
		Long:              whyLong + exitCodes + "\nA pod of which nothing is known is a failure.",
		Example:           whyExample,
		ValidArgsFunction: common.completePod(),
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
	events, unread, err := reader.Events(ctx, "Pod", o.namespace, o.name)
	if err != nil {
		return err
	}
	pod, err := reader.Kube.CoreV1().Pods(o.namespace).Get(ctx, o.name, metav1.GetOptions{})
	gone := apierrors.IsNotFound(err)
	if err != nil && !gone {
		return fmt.Errorf("reading pod %s in namespace %s: %w", o.name, o.namespace, err)
	}
	scope := snapshot.Scope{Nodes: []string{}, Namespace: o.namespace, Budgets: true}
	if !gone && pod.Spec.NodeName != "" {
		scope.Nodes = append(scope.Nodes, pod.Spec.NodeName)
	}
	s, err := reader.Read(ctx, scope)
	if apierrors.IsNotFound(err) { // of the node
		scope.Nodes = []string{}
		s, err = reader.Read(ctx, scope)
	}
	if err != nil {
		return err
	}
	done()
	s.Unread = append(s.Unread, unread...)
	if gone {
		return o.show(explain.WhyGone(s, o.namespace, o.name, explain.Events(events, ""), len(unread) > 0))
	}
	return o.show(explain.Why(s, pod, explain.Events(events, string(pod.UID))))
}

// show prints an explanation. A pod of which nothing is known is a failure.
func (o *why) show(e *explain.Pod) error {
	if err := o.print(e, func(p *text.Printer) { printPod(p, e) }); err != nil {
		return err
	}
	if !e.Exists && len(e.Events) == 0 {
		return exitError(exitFailure)
	}
	return nil
}
