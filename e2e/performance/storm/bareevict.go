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

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// evictByAPI makes the calls of mode Evict for one pod: it reads the pod, and sends the eviction of that version. It returns true if the
// API server asks for another eviction later. Who decides nothing does not know when that is: it goes to the end of the line.
func (c *bareClient) evictByAPI(ctx context.Context, ref podRef) (again bool, err error) {
	pod, err := c.client.CoreV1().Pods(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		return false, fmt.Errorf("reading pod %s: %w", ref.Name, err)
	}
	eviction := &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name, Annotations: map[string]string{
			"taint-manager.io/requested-by": bareAccount, "taint-manager.io/reason": "taint " + stormTaint + ":NoExecute, policy " + evictPolicy,
		}},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &ref.UID, ResourceVersion: ptr.To(pod.ResourceVersion)}},
	}
	err = c.client.CoreV1().RESTClient().Post().Namespace(ref.Namespace).Resource("pods").Name(ref.Name).SubResource("eviction").
		Body(eviction).MaxRetries(0).Do(ctx).Error() // the typed client waits and retries
	switch {
	case apierrors.IsTooManyRequests(err), apierrors.IsConflict(err), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("evicting pod %s: %w", ref.Name, err)
	}
	c.events <- eventAbout(ref, pod.ResourceVersion)
	return false, nil
}
