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
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	bystanderName = "bench-bystander"
	// bystanderInterval is the time between two calls of the bystander.
	bystanderInterval = 50 * time.Millisecond
)

// bystander is somebody else who uses the API server: an account of another namespace, which writes to a ConfigMap again and again.
type bystander struct {
	client kubernetes.Interface
}

func (b *bench) newBystander(ctx context.Context) (*bystander, error) {
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"patch"}}}
	_, config, err := b.cp.ServiceAccount(ctx, canaryName, bystanderName, rules)
	if err != nil {
		return nil, err
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: bystanderName}}
	_, err = b.client.CoreV1().ConfigMaps(canaryName).Create(ctx, object, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("ConfigMap of the bystander: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client of the bystander: %w", err)
	}
	return &bystander{client}, nil
}

// watch makes calls until it is stopped, and then returns how long they took in the mean. A call that is slow does not keep the next
// from being made.
func (y *bystander) watch(ctx context.Context) (stop func() (mean time.Duration, err error)) {
	ctx, cancel := context.WithCancel(ctx)
	var calls, running sync.WaitGroup
	var mu sync.Mutex
	var sum time.Duration
	var n int
	var failure error
	call := func() {
		began := time.Now()
		patch := fmt.Appendf(nil, `{"data":{"at":"%d"}}`, began.UnixNano())
		_, err := y.client.CoreV1().ConfigMaps(canaryName).Patch(context.WithoutCancel(ctx), bystanderName, types.MergePatchType, patch, metav1.PatchOptions{})
		mu.Lock()
		defer mu.Unlock()
		sum, n = sum+time.Since(began), n+1
		if err != nil {
			failure = err
		}
	}
	running.Go(func() {
		for loop.Sleep(ctx, bystanderInterval) == nil {
			calls.Go(call)
		}
	})
	return func() (time.Duration, error) {
		cancel()
		running.Wait()
		calls.Wait()
		if failure != nil {
			return 0, fmt.Errorf("call of the bystander: %w", failure)
		}
		return sum / time.Duration(max(1, n)), nil
	}
}
