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
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	// budgetLabel is on the pods of a budget, with its name.
	budgetLabel = "bench.taint-manager.test/budget"
	// budgetTimeout is how long the disruption controller may take to count all budgets.
	budgetTimeout = 5 * time.Minute
)

// guard is disruption budgets, and how many pods each covers.
type guard struct{ budgets, perBudget, minAvailable int }

func (g guard) pods() int { return g.budgets * g.perBudget }

func budgetName(i int) string { return fmt.Sprintf("bench-budget-%d", i) }

// budgetNamespace is the namespace of a budget and of its pods.
func (o *options) budgetNamespace(i int) string { return namespaceName(i % o.namespaces) }

// guarded is the pod of a number, and the name of its budget. Pods of one budget are on different nodes, as a scheduler spreads them; and the pods with
// numbers next to each other are of different budgets, so that who evicts them in this order waits for no budget.
func (o *options) guarded(g guard, number int) (ref podRef, budget string) {
	i, nth := number%g.budgets, number/g.budgets
	return podRef{
		Namespace: o.budgetNamespace(i),
		Name:      fmt.Sprintf("%s-%05d", budgetName(i), nth),
		Node:      nodeName((i + nth) % o.nodes),
	}, budgetName(i)
}

// inBudget has a pod covered by a budget.
func inBudget(name string) builders.Change {
	return func(pod *corev1.Pod) { pod.Labels[budgetLabel] = name }
}

// fillGuarded makes the pods and the budgets, and returns when the disruption controller has counted them.
func (b *bench) fillGuarded(ctx context.Context, g guard) ([]podRef, error) {
	if err := errors.Join(b.removeBudgets(ctx), b.clear(ctx)); err != nil {
		return nil, err
	}
	pods, err := b.makePods(ctx, g.pods(), func(ctx context.Context, i int) (podRef, error) {
		ref, budget := b.guarded(g, i)
		return b.createPod(ctx, ref, i, inBudget(budget))
	})
	if err != nil {
		return nil, err
	}
	if err := loop.Each(ctx, fillWorkers, g.budgets, func(ctx context.Context, i int) error { return b.createBudget(ctx, g, i) }); err != nil {
		return nil, err
	}
	first, _ := b.guarded(g, 0)
	return pods, errors.Join(b.weigh(ctx, first), b.awaitBudgets(ctx, g))
}

func (b *bench) createBudget(ctx context.Context, g guard, i int) error {
	_, err := b.client.PolicyV1().PodDisruptionBudgets(b.budgetNamespace(i)).Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: budgetName(i)},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: ptr.To(intstr.FromInt(g.minAvailable)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{budgetLabel: budgetName(i)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making budget %d: %w", i, err)
	}
	return nil
}

// awaitBudgets waits until the status of each budget says what is true.
func (b *bench) awaitBudgets(ctx context.Context, g guard) error {
	err := loop.Until(ctx, stormPoll, budgetTimeout, func(ctx context.Context) error {
		budgets, err := b.client.PolicyV1().PodDisruptionBudgets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(budgets.Items) != g.budgets {
			return fmt.Errorf("there are %d, want %d", len(budgets.Items), g.budgets)
		}
		for i := range budgets.Items {
			if budget := &budgets.Items[i]; !g.counted(budget) {
				return fmt.Errorf("the status of %s is %+v", budget.Name, budget.Status)
			}
		}
		return nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("waiting for the disruption controller to count the budgets: %w", err), b.disruption.Crashed())
	}
	return nil
}

// counted reports whether the status of a budget is that of one whose pods are all ready.
func (g guard) counted(budget *policyv1.PodDisruptionBudget) bool {
	status := &budget.Status
	return status.ObservedGeneration == budget.Generation && int(status.CurrentHealthy) == g.perBudget &&
		int(status.DisruptionsAllowed) == g.perBudget-g.minAvailable
}

func (b *bench) removeBudgets(ctx context.Context) error {
	for i := range b.namespaces {
		err := b.client.PolicyV1().PodDisruptionBudgets(namespaceName(i)).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("removing budgets: %w", err)
		}
	}
	return nil
}
