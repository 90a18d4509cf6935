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
	"slices"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// The values of --dry-run.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

const (
	// fieldManager is who writes policies, for managedFields.
	fieldManager = "kubectl-taint_manager"
	// acknowledgeWithin is for how long the controller is waited for.
	acknowledgeWithin, acknowledgePoll = 5 * time.Second, 200 * time.Millisecond
	// countWithin is for how long resume reads what the pause holds, before it ends it.
	countWithin = 5 * time.Second
)

// pauseFlags are the flags that pause and resume have in common.
type pauseFlags struct {
	*Common
	name, dryRun string
	overwrite    bool
}

func (o *pauseFlags) addFlags(cmd *cobra.Command, overwrite string) {
	flags := cmd.Flags()
	flags.StringVar(&o.name, "name", defaultPause, "Name of the policy.")
	flags.StringVar(&o.dryRun, "dry-run", dryRunNone, `Must be "none", "client" or "server". With client nothing is sent, with server nothing is stored.`)
	flags.BoolVar(&o.overwrite, "overwrite", false, overwrite)
	completeFlags(cmd, map[string]completer{
		"name":    o.completePauses(),
		"dry-run": cobra.FixedCompletions([]string{dryRunNone, dryRunClient, dryRunServer}, cobra.ShellCompDirectiveNoFileComp),
	})
}

func (o *pauseFlags) validate() error {
	if o.dryRun != dryRunNone && o.dryRun != dryRunClient && o.dryRun != dryRunServer {
		return usagef(`--dry-run %s: must be "none", "client" or "server"`, o.dryRun)
	}
	return nil
}

// options returns what the API server is told about a dry run.
func (o *pauseFlags) options() []string {
	if o.dryRun == dryRunServer {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// pauseWriter writes or deletes the policy of a pause.
type pauseWriter struct {
	*pauseFlags
	reader *snapshot.Reader
	client dynamic.ResourceInterface
	// now is the API time when the policies had been read, and user who we are.
	now  time.Time
	user string
	// policies are all that there are. before is the one of our name, or nil, and pause what it is.
	policies []*unstructured.Unstructured
	before   *unstructured.Unstructured
	pause    *explain.Pause
	notes    []string
	// snapshot has the pods on the nodes whose taints may evict. Without known they could not be read.
	snapshot *snapshot.Snapshot
	known    bool
}

// newPauseWriter reads what decides whether a policy may be written: the policies, and who the user is.
func newPauseWriter(ctx context.Context, flags *pauseFlags, reader *snapshot.Reader) (*pauseWriter, error) {
	w := &pauseWriter{pauseFlags: flags, reader: reader, client: reader.Dynamic.Resource(v1alpha1.GroupVersion.WithResource("taintevictionpolicies"))}
	policies, err := snapshot.List(ctx, reader, "policies", metav1.ListOptions{}, w.client.List, snapshot.Whole[unstructured.Unstructured])
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("the API server has no TaintEvictionPolicy, so taint-manager cannot be paused: kubectl apply -k manifests/crd")
	case err != nil:
		return nil, fmt.Errorf("reading policies: %w", err)
	}
	w.now = reader.Now()
	for i := range policies {
		w.policies = append(w.policies, &policies[i])
		if policies[i].GetName() == w.name {
			w.before = &policies[i]
		}
	}
	if w.before != nil {
		policy, err := explain.DecodePolicy(w.before)
		if err != nil {
			return nil, err
		}
		var is bool
		if w.pause, is = explain.PauseOf(policy); !is {
			return nil, fmt.Errorf("policy %s is no pause: its mode is %s and its precedence %d; name another one with --name",
				w.name, policy.Spec.Mode, ptr.Deref(policy.Spec.MatchingPrecedence, 0))
		}
	}
	review, err := reader.Kube.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err == nil {
		w.user = review.Status.UserInfo.Username
	} else {
		w.notes = append(w.notes, "the API server did not say who you are, so the pause does not say who made it: "+err.Error())
	}
	return w, nil
}

// others returns the names of the pauses that are on.
func (w *pauseWriter) others() (names []string) {
	for _, object := range w.policies {
		policy, err := explain.DecodePolicy(object)
		if err != nil {
			continue // the controller says what is wrong with it
		}
		if pause, is := explain.PauseOf(policy); is && !pause.Over(w.now) {
			names = append(names, policy.Name)
		}
	}
	return names
}

// mayReplace returns an error if the pause that there is belongs to somebody else.
func (w *pauseWriter) mayReplace(verb string) error {
	if w.before == nil || w.overwrite || w.pause.Over(w.now) || w.user != "" && w.user == w.pause.CreatedBy {
		return nil
	}
	return fmt.Errorf("policy %s is a pause by %s, %s: it holds %s; to %s it all the same, add --overwrite",
		w.name, orUnknown(w.pause.CreatedBy), until(w.printer(), w.pause, w.now), w.pause.What(), verb)
}

// begin makes a policy, or replaces one.
func (w *pauseWriter) begin(ctx context.Context, spec v1alpha1.TaintEvictionPolicySpec) (*explain.PauseResult, error) {
	if err := w.mayReplace("replace"); err != nil {
		return nil, err
	}
	policy := &v1alpha1.TaintEvictionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "TaintEvictionPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: w.name, Annotations: map[string]string{}}, Spec: spec,
	}
	if w.user != "" {
		policy.Annotations[v1alpha1.CreatedByAnnotation] = w.user
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(policy)
	if err != nil {
		return nil, fmt.Errorf("encoding policy %s: %w", w.name, err)
	}
	object := &unstructured.Unstructured{Object: fields}
	result := &explain.PauseResult{Policy: w.name, Action: explain.PauseCreated}
	switch {
	case w.before != nil:
		result.Action, result.Before = explain.PauseReplaced, w.pause
		object = w.before.DeepCopy() // with its resourceVersion: somebody else may write it at the same time
		object.Object["spec"] = fields["spec"]
		annotations := object.GetAnnotations()
		delete(annotations, v1alpha1.CreatedByAnnotation)
		if w.user != "" {
			annotations = setAt(annotations, v1alpha1.CreatedByAnnotation, w.user)
		}
		object.SetAnnotations(annotations)
		if w.dryRun != dryRunClient {
			object, err = w.client.Update(ctx, object, metav1.UpdateOptions{
				FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict, DryRun: w.options(),
			})
		}
	case w.dryRun != dryRunClient:
		object, err = w.client.Create(ctx, object, metav1.CreateOptions{
			FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict, DryRun: w.options(),
		})
	}
	if err != nil {
		return nil, fmt.Errorf("writing policy %s: %w", w.name, err)
	}
	if result.Pause, _ = explain.PauseOf(policy); w.dryRun == dryRunNone {
		result.Acknowledged = w.acknowledged(ctx, object)
	}
	w.read(ctx) // which may take minutes: what it shows does not keep the policy from being written
	return w.finish(ctx, result, object), nil
}

func setAt(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

// end deletes the policy.
func (w *pauseWriter) end(ctx context.Context) (*explain.PauseResult, error) {
	if err := w.mayReplace("end"); err != nil {
		return nil, err
	}
	reading, cancel := ctx, context.CancelFunc(func() {})
	if w.dryRun == dryRunNone {
		reading, cancel = context.WithTimeout(ctx, countWithin)
	}
	defer cancel()
	w.read(reading) // before: afterwards they go
	if w.dryRun != dryRunClient {
		err := w.client.Delete(ctx, w.name, metav1.DeleteOptions{DryRun: w.options(), Preconditions: &metav1.Preconditions{
			UID: ptr.To(w.before.GetUID()), ResourceVersion: ptr.To(w.before.GetResourceVersion()),
		}})
		if err != nil {
			return nil, fmt.Errorf("deleting policy %s: %w", w.name, err)
		}
	}
	return w.finish(ctx, &explain.PauseResult{Policy: w.name, Action: explain.PauseDeleted, Before: w.pause}, w.before), nil
}

// read reads the pods on the nodes whose taints may evict. If they cannot be read, the snapshot has none and says so: a pause must not fail because
// of what it only shows.
func (w *pauseWriter) read(ctx context.Context) {
	s, err := w.reader.Read(ctx, snapshot.Scope{Pods: snapshot.PodsOnTaintedNodes})
	if w.snapshot, w.known = s, err == nil; err != nil {
		w.snapshot = snapshot.New(snapshot.Input{
			At: w.reader.Clock.Now(), Server: w.reader.Server, Choices: w.reader.Choices, Policies: w.policies,
			Unread: []snapshot.Unread{{What: "nodes and pods", Error: err.Error(), Means: heldNotKnown}},
		})
	}
}

// heldNotKnown is what is not known without nodes, pods or labels of namespaces.
const heldNotKnown = "how many pods the pause holds"

// held counts what the policy holds.
func (w *pauseWriter) held(ctx context.Context, policy *unstructured.Unstructured) (held explain.HeldPods, known bool) {
	if !w.known {
		return held, false
	}
	with, err := w.reader.TryPolicies(ctx, w.snapshot, []*unstructured.Unstructured{policy})
	if err == nil {
		var without *snapshot.Snapshot
		if without, err = w.reader.TryPolicies(ctx, w.snapshot, nil, w.name); err == nil {
			return explain.HeldBy(with, without, w.name), true
		}
	}
	w.snapshot.Unread = append(w.snapshot.Unread, snapshot.Unread{What: "namespaces", Error: err.Error(), Means: heldNotKnown})
	return held, false
}

// finish says what has been done, with what the policy holds. It does not fail: that has been done.
func (w *pauseWriter) finish(ctx context.Context, result *explain.PauseResult, policy *unstructured.Unstructured) *explain.PauseResult {
	held, known := w.held(ctx, policy)
	result.Held, result.HeldUnknown = held, !known
	header := explain.NewHeader("PauseResult", w.snapshot)
	header.Notes = slices.DeleteFunc(header.Notes, func(note string) bool { return note == "policy "+w.name+" holds all evictions" })
	header.Notes = append(header.Notes, w.notes...)
	if result.Action != explain.PauseDeleted && w.dryRun == dryRunNone && !result.Acknowledged {
		header.Notes = append(header.Notes, fmt.Sprintf("taint-manager has not reported within %s that it follows the policy: see kubectl taint-manager doctor", acknowledgeWithin))
	}
	if result.Header = header; w.dryRun != dryRunNone {
		result.DryRun = w.dryRun
	}
	return result
}

// acknowledged waits until the controller has reported that it follows a version of the policy, and reports whether it did in time.
func (w *pauseWriter) acknowledged(ctx context.Context, written *unstructured.Unstructured) bool {
	err := wait.PollUntilContextTimeout(ctx, acknowledgePoll, acknowledgeWithin, false, func(ctx context.Context) (bool, error) {
		object, err := w.client.Get(ctx, w.name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		policy, err := explain.DecodePolicy(object)
		if err != nil {
			return false, err
		}
		return object.GetUID() == written.GetUID() && policy.Status.ObservedGeneration >= written.GetGeneration() &&
			meta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionAccepted), nil
	})
	return err == nil
}
