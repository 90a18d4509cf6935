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

package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// statusInterval is the time between two looks at what changed in the status of policies.
const statusInterval = 500 * time.Millisecond

// StatusWriter writes the status of policies. There is one writer for a cluster: the holder of the Lease.
type StatusWriter struct {
	client   dynamic.Interface
	source   *Source
	tally    *Tally
	written  map[string]writtenStatus
	errorLog *rate.Sometimes
}

// writtenStatus is the status that was written last of a policy.
type writtenStatus struct {
	uid    types.UID
	status v1alpha1.TaintEvictionPolicyStatus
	// unsure says that another one was sent since, and failed. It may have taken effect all the same.
	unsure bool
}

// NewStatusWriter returns a writer of the status of the source's policies, by the counts of a tally.
func NewStatusWriter(client dynamic.Interface, source *Source, tally *Tally) *StatusWriter {
	return &StatusWriter{client: client, source: source, tally: tally, errorLog: &rate.Sometimes{Interval: errorLogInterval}}
}

// Run keeps the status of all policies up to date until ctx is done. It must not run twice at the same time.
func (w *StatusWriter) Run(ctx context.Context) {
	w.written = map[string]writtenStatus{} // another replica may have written meanwhile
	wait.UntilWithContext(ctx, w.writeChanged, statusInterval)
}

// writeChanged writes each status that differs from the one written last. A status that cannot be written is written later.
func (w *StatusWriter) writeChanged(ctx context.Context) {
	states := w.source.set.states()
	for name := range w.written {
		if _, exists := states[name]; !exists {
			delete(w.written, name)
		}
	}
	for name, policy := range states {
		before := w.written[name]
		if before.uid == policy.uid {
			policy.conditions = before.status.Conditions
		}
		now := policy.status(w.tally.Counts(name))
		if before.uid == policy.uid && !before.unsure && reflect.DeepEqual(before.status, now) {
			continue
		}
		err := w.write(ctx, name, policy.uid, now)
		switch {
		case err == nil:
			w.written[name] = writtenStatus{uid: policy.uid, status: now}
		case ctx.Err() != nil, apierrors.IsNotFound(err), apierrors.IsConflict(err):
			// gone, or another policy has the name: the watch tells
		default:
			before.unsure = true
			w.written[name] = before
			w.errorLog.Do(func() {
				klog.FromContext(ctx).Error(err, "Cannot write the status of a policy, retrying; grant patch on "+resource().Resource+"/status to the service account")
			})
			return
		}
	}
}

// write writes a status. The UID in the patch makes the API server refuse it for another policy of the name.
func (w *StatusWriter) write(ctx context.Context, name string, uid types.UID, status v1alpha1.TaintEvictionPolicyStatus) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": uid}, "status": status})
	if err != nil {
		return fmt.Errorf("encoding the status of policy %s: %w", name, err)
	}
	_, err = w.client.Resource(resource()).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// status returns the status of a policy.
func (s state) status(counts Counts) v1alpha1.TaintEvictionPolicyStatus {
	status := v1alpha1.TaintEvictionPolicyStatus{
		ObservedGeneration: s.generation,
		Conditions:         append([]metav1.Condition(nil), s.conditions...),
		ScheduledPods:      ptr.To(int32(counts.Pods[Scheduled])),
		BlockedPods:        ptr.To(int32(counts.Pods[Blocked])),
		PreviewPods:        ptr.To(int32(counts.Pods[Previewed])),
		KeptPods:           ptr.To(int32(counts.Pods[Kept])),
		Nodes:              ptr.To(int32(counts.Nodes)),
	}
	accepted := metav1.Condition{
		Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: "Accepted", Message: "The policy applies.", ObservedGeneration: s.generation,
	}
	if s.err != nil {
		accepted.Status, accepted.Reason = metav1.ConditionFalse, "Invalid"
		accepted.Message = s.err.Error() + "; until this is corrected, the pods that the policy may be about are kept"
		if s.accepted {
			accepted.Message = s.err.Error() + "; the version that was accepted last still applies"
		}
	}
	inProgress := metav1.Condition{
		Type: v1alpha1.ConditionEvictionInProgress, Status: metav1.ConditionFalse, Reason: "NoPodScheduled",
		Message: "No pod has a deadline by this policy.", ObservedGeneration: s.generation,
	}
	if scheduled, blocked := counts.Pods[Scheduled], counts.Pods[Blocked]; scheduled > 0 {
		inProgress.Status, inProgress.Reason = metav1.ConditionTrue, "PodsScheduled"
		inProgress.Message = fmt.Sprintf("%d pods have a deadline by this policy; disruption budgets block %d of them.", scheduled, blocked)
	}
	meta.SetStatusCondition(&status.Conditions, accepted)
	meta.SetStatusCondition(&status.Conditions, inProgress)
	return status
}
