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

package evictor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptrace"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

const (
	// callTimeout bounds each call. The API server works on a call for 60 s at most, and may wait for webhooks all that time. A call that
	// was given up earlier would be retried again and again, and never succeed.
	callTimeout = 70 * time.Second

	// conditionMessage is that of the built-in controller, as is podcache.DisruptionReason. A Job's podFailurePolicy and people look for
	// these.
	conditionMessage = "Taint manager: deleting due to NoExecute taint"

	// requesterAnnotation and reasonAnnotation of an eviction say who asks for it, and why.
	requesterAnnotation, reasonAnnotation = "taint-manager.io/requested-by", "taint-manager.io/reason"
	requester                             = "taint-manager"

	// metadataOnly asks for the metadata of the deleted pod only. An answer without a body cannot be asked for.
	metadataOnly = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
)

// conditionPatch is the part of a pod that is written. The API server refuses it for a pod with another UID.
type conditionPatch struct {
	Metadata struct {
		UID types.UID `json:"uid"`
	} `json:"metadata"`
	Status struct {
		Conditions []v1.PodCondition `json:"conditions"`
	} `json:"status"`
}

// patchCondition writes the condition with a strategic merge patch, which merges the list of conditions by type. Upstream had to revert
// server-side apply.
func (e *Evictor) patchCondition(ctx context.Context, pod *podcache.Pod) (*v1.Pod, error) {
	var change conditionPatch
	change.Metadata.UID = pod.UID
	change.Status.Conditions = []v1.PodCondition{{
		Type:               v1.DisruptionTarget,
		Status:             v1.ConditionTrue,
		Reason:             podcache.DisruptionReason,
		Message:            conditionMessage,
		LastTransitionTime: metav1.NewTime(e.server.Now()),
		ObservedGeneration: pod.Generation,
	}}
	patch, err := json.Marshal(change)
	if err != nil {
		return nil, fmt.Errorf("encoding the condition: %w", err)
	}
	live := &v1.Pod{}
	err = e.call(ctx, false, func(ctx context.Context, api rest.Interface) error {
		return api.Patch(types.StrategicMergePatchType).Namespace(pod.Namespace()).Resource("pods").Name(pod.Name).
			SubResource("status").Body(patch).MaxRetries(0).Do(ctx).Into(live)
	})
	return live, err
}

// getPod reads the pod of that name, consistently: without a resourceVersion the API server does not answer from its cache. With limited
// set, it waits for the limiter before.
func (e *Evictor) getPod(ctx context.Context, pod *podcache.Pod, limited bool) (*v1.Pod, error) {
	live := &v1.Pod{}
	err := e.call(ctx, limited, func(ctx context.Context, api rest.Interface) error {
		return api.Get().Namespace(pod.Namespace()).Resource("pods").Name(pod.Name).MaxRetries(0).Do(ctx).Into(live)
	})
	if err != nil {
		return nil, fmt.Errorf("reading pod: %w", err)
	}
	return live, nil
}

// deletePod sends the DELETE for this pod, or its eviction, and for this version of it if it has one. It cancels the call if the wait for a
// connection makes the answer too old that was decided on. The caller has waited for the limiter.
func (e *Evictor) deletePod(ctx context.Context, live *v1.Pod, step deadline.Step, answered time.Time) error {
	options := &metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: ptr.To(live.UID)}, GracePeriodSeconds: gracePeriodOf(live, step.Policy),
	}
	if live.ResourceVersion != "" {
		options.Preconditions.ResourceVersion = ptr.To(live.ResourceVersion)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if age := e.clock.Since(answered); age > maxAge {
			cancel(fmt.Errorf("%w: node and pod were read %s ago", errNotSent, age))
		}
	}})
	err := e.call(ctx, false, func(ctx context.Context, api rest.Interface) error {
		if step.Mode == deadline.ModeEvict {
			return api.Post().Namespace(live.Namespace).Resource("pods").Name(live.Name).SubResource("eviction").
				Body(evictionOf(live, step, options)).MaxRetries(0).Do(ctx).Error()
		}
		return api.Delete().Namespace(live.Namespace).Resource("pods").Name(live.Name).Body(options).
			SetHeader("Accept", metadataOnly).MaxRetries(0).Do(ctx).Error()
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// evictionOf returns the eviction of a pod. Its annotations are for admission webhooks and the audit log: the API server stores no
// evictions.
func evictionOf(live *v1.Pod, step deadline.Step, options *metav1.DeleteOptions) *policyv1.Eviction {
	reason := "taint " + step.Taint.String()
	if step.Policy != nil {
		reason += ", policy " + step.Policy.Name
	}
	return &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: live.Namespace, Name: live.Name,
			Annotations: map[string]string{requesterAnnotation: requester, reasonAnnotation: reason},
		},
		DeleteOptions: options,
	}
}

// gracePeriodOf returns the grace period for a pod, or nil for its own. A policy shortens it only. A pod without one has none to shorten: it
// is deleted at once.
func gracePeriodOf(live *v1.Pod, policy *deadline.Policy) *int64 {
	if policy == nil || policy.GracePeriod <= 0 || policy.GracePeriod >= ptr.Deref(live.Spec.TerminationGracePeriodSeconds, 0) {
		return nil
	}
	return ptr.To(policy.GracePeriod)
}

// getNode reads a node consistently. The caller has waited for the limiter.
func (e *Evictor) getNode(ctx context.Context, name string) (*v1.Node, error) {
	node := &v1.Node{}
	err := e.call(ctx, false, func(ctx context.Context, api rest.Interface) error {
		return api.Get().Resource("nodes").Name(name).MaxRetries(0).Do(ctx).Into(node)
	})
	return node, err
}

// call makes a call with a timeout. With limited set, it waits for the limiter before.
func (e *Evictor) call(ctx context.Context, limited bool, do func(context.Context, rest.Interface) error) error {
	if limited {
		if err := e.waitForLimiter(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return do(ctx, e.client.RESTClient())
}

// waitForLimiter returns when the client's rate limit allows a call.
func (e *Evictor) waitForLimiter(ctx context.Context) error {
	if err := e.limiter.Wait(ctx); err != nil {
		return fmt.Errorf("waiting for the client's rate limit: %w", err)
	}
	return nil
}
