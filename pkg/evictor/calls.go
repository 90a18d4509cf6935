package evictor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/podcache"
)

const (
	// callTimeout bounds each call. The API server works on one for 60 s at most, for as long as it waits for webhooks that may
	// fail: a call that we gave up before would be made again and again, and never come about.
	callTimeout = 70 * time.Second

	// conditionMessage is the built-in controller's, as is podcache.DisruptionReason: Job's podFailurePolicy and people look for these.
	conditionMessage = "Taint manager: deleting due to NoExecute taint"

	// metadataOnly asks for no more than the metadata of what was deleted. An answer without a body cannot be asked for.
	metadataOnly = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
)

// conditionPatch is the part of a pod that is written. A pod of another UID refuses it.
type conditionPatch struct {
	Metadata struct {
		UID types.UID `json:"uid"`
	} `json:"metadata"`
	Status struct {
		Conditions []v1.PodCondition `json:"conditions"`
	} `json:"status"`
}

// patchCondition writes the condition by a strategic merge patch: the list of conditions merges by type. Not by server-side
// apply, which upstream tried and had to take back.
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

// getPod reads the pod of that name from the API server's storage.
func (e *Evictor) getPod(ctx context.Context, pod *podcache.Pod) (*v1.Pod, error) {
	live := &v1.Pod{}
	err := e.call(ctx, true, func(ctx context.Context, api rest.Interface) error {
		return api.Get().Namespace(pod.Namespace()).Resource("pods").Name(pod.Name).MaxRetries(0).Do(ctx).Into(live)
	})
	if err != nil {
		return nil, fmt.Errorf("reading pod: %w", err)
	}
	return live, nil
}

// deletePod sends the DELETE for this pod, and for this version of it where it has one, unless waiting for a connection makes
// the reading too old that it was decided on. The limiter has been waited for.
func (e *Evictor) deletePod(ctx context.Context, live *v1.Pod, answered time.Time) error {
	options := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: ptr.To(live.UID)}}
	if live.ResourceVersion != "" {
		options.Preconditions.ResourceVersion = ptr.To(live.ResourceVersion)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if age := e.clock.Since(answered); age > maxAge {
			cancel(fmt.Errorf("no connection in time: node and pod were read %s ago", age))
		}
	}})
	err := e.call(ctx, false, func(ctx context.Context, api rest.Interface) error {
		return api.Delete().Namespace(live.Namespace).Resource("pods").Name(live.Name).Body(options).
			SetHeader("Accept", metadataOnly).MaxRetries(0).Do(ctx).Error()
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// getNode reads a node. The node reader has waited for the limiter already.
func (e *Evictor) getNode(ctx context.Context, name string) (*v1.Node, error) {
	node := &v1.Node{}
	err := e.call(ctx, false, func(ctx context.Context, api rest.Interface) error {
		return api.Get().Resource("nodes").Name(name).MaxRetries(0).Do(ctx).Into(node)
	})
	return node, err
}

// call makes a call with a timeout, after waiting for the limiter where limited says so.
func (e *Evictor) call(ctx context.Context, limited bool, do func(context.Context, rest.Interface) error) error {
	if limited {
		if err := e.limiter.Wait(ctx); err != nil {
			return fmt.Errorf("waiting for the client's rate limit: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return do(ctx, e.client.RESTClient())
}

// isUIDMismatch says whether a PATCH was refused because another pod has the name now: metadata.uid cannot be changed.
func isUIDMismatch(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Code != http.StatusUnprocessableEntity || status.Status().Details == nil {
		return false
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Field == "metadata.uid" {
			return true
		}
	}
	return false
}
