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

package budget

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	policyinformers "k8s.io/client-go/informers/policy/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// errorLogInterval is the shortest time between two errors logged for budgets that cannot be read.
const errorLogInterval = 10 * time.Second

// newInformer returns an informer of all budgets that tells a tracker of them, and whether it has told of all.
func newInformer(client kubernetes.Interface, t *Tracker) (cache.SharedIndexInformer, cache.InformerSynced, error) {
	informer := policyinformers.NewTypedPodDisruptionBudgetInformer(client, metav1.NamespaceAll, 0, policyinformers.PodDisruptionBudgetIndexers{})
	if err := informer.SetTransform(compact); err != nil {
		return nil, nil, fmt.Errorf("informer of disruption budgets: %w", err)
	}
	errorLog := &rate.Sometimes{Interval: errorLogInterval}
	if err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		logger := klog.FromContext(ctx)
		if !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err) {
			logger.V(2).Info("List or watch of disruption budgets ended, retrying", "reason", err.Error())
			return
		}
		errorLog.Do(func() {
			logger.Error(err, "Not allowed to read disruption budgets, so evictions find out by trying; grant list and watch on poddisruptionbudgets")
		})
	}); err != nil {
		return nil, nil, fmt.Errorf("informer of disruption budgets: %w", err)
	}
	handled, err := informer.AddTypedEventHandler(policyinformers.PodDisruptionBudgetHandlerFuncs{
		AddFunc:    t.observe,
		UpdateFunc: func(_, budget *policyv1.PodDisruptionBudget) { t.observe(budget) },
		DeleteFunc: func(deleted policyinformers.DeletedPodDisruptionBudget) {
			t.remove(deleted.GetNamespace(), deleted.GetName())
		},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("handling events of disruption budgets: %w", err)
	}
	return informer, handled.HasSynced, nil
}

// compact drops what is not read of a budget.
func compact(obj any) (any, error) {
	budget, ok := obj.(*policyv1.PodDisruptionBudget)
	if !ok {
		return obj, nil // a tombstone
	}
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: budget.Namespace, Name: budget.Name, UID: budget.UID, ResourceVersion: budget.ResourceVersion, Generation: budget.Generation,
		},
		Spec: policyv1.PodDisruptionBudgetSpec{
			Selector: budget.Spec.Selector, UnhealthyPodEvictionPolicy: budget.Spec.UnhealthyPodEvictionPolicy,
		},
		Status: policyv1.PodDisruptionBudgetStatus{
			ObservedGeneration: budget.Status.ObservedGeneration, DisruptionsAllowed: budget.Status.DisruptionsAllowed,
			CurrentHealthy: budget.Status.CurrentHealthy, DesiredHealthy: budget.Status.DesiredHealthy,
			DisruptedPods: budget.Status.DisruptedPods,
		},
	}, nil
}
