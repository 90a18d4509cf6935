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

// Package webhook is an admission webhook: a server of this process, its registration, and what it answers.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	admission "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

// pollInterval is how often the API server is asked whether it knows of a change.
const pollInterval = 50 * time.Millisecond

// Options say which calls a webhook is asked about.
type Options struct {
	// Name is the name of its registration.
	Name string
	// Namespace is where the calls are.
	Namespace string
	// Mutating makes it a mutating webhook: those are called one after another, validating ones all at once.
	Mutating bool
	// Operation and Resource, such as DELETE and "pods", or UPDATE and "pods/status", are the calls.
	Operation admissionv1.OperationType
	Resource  string
	// Labels, if any, are those of the objects that it is asked about.
	Labels map[string]string
	// FailurePolicy is Fail unless set.
	FailurePolicy admissionv1.FailurePolicyType
	// Timeout is how long the API server waits for an answer, in whole seconds; 10 s unless set.
	Timeout time.Duration
}

// Answer is what a webhook does with a request: it returns a response, or nil to close the connection without one. The
// context ends when the API server has given up.
type Answer func(ctx context.Context, request *admission.AdmissionRequest) *admission.AdmissionResponse

// Allow lets all pass.
func Allow(context.Context, *admission.AdmissionRequest) *admission.AdmissionResponse {
	return &admission.AdmissionResponse{Allowed: true}
}

// AllowAfter lets all pass after some time.
func AllowAfter(d time.Duration) Answer {
	return func(ctx context.Context, request *admission.AdmissionRequest) *admission.AdmissionResponse {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			return Allow(ctx, request)
		}
	}
}

// NeverAnswer keeps the API server waiting for as long as it does.
func NeverAnswer(ctx context.Context, _ *admission.AdmissionRequest) *admission.AdmissionResponse {
	<-ctx.Done()
	return nil
}

// Webhook is an admission webhook.
type Webhook struct {
	*controlplane.Server
	client  kubernetes.Interface
	options Options
	calls   atomic.Int64

	mu     sync.Mutex
	answer Answer
	// broken is the HTTP status that all requests are answered with; 0 if they get an answer.
	broken int
}

// Start starts a webhook that lets all pass, and registers it. The API server begins to ask it some time later: see AwaitCalls.
func Start(ctx context.Context, cp *controlplane.ControlPlane, client kubernetes.Interface, o Options) (*Webhook, error) {
	w := &Webhook{client: client, options: o, answer: Allow}
	var err error
	if w.Server, err = cp.Serve(ctx, 0, http.HandlerFunc(w.serve)); err != nil {
		return nil, err
	}
	if err := w.register(ctx, cp.AdminConfig().CAData); err != nil {
		return nil, errors.Join(err, w.Stop())
	}
	return w, nil
}

// AwaitCalls makes a call that the webhook is to be asked about, again and again, until the API server asks. Calls counts from
// then on.
func (w *Webhook) AwaitCalls(ctx context.Context, within time.Duration, probe func(context.Context) error) error {
	err := loop.Until(ctx, pollInterval, within, func(ctx context.Context) error {
		if err := probe(ctx); err != nil || w.Calls() > 0 {
			return err
		}
		return errors.New("not asked yet")
	})
	if err != nil {
		return fmt.Errorf("waiting until the API server asks webhook %s: %w", w.options.Name, err)
	}
	w.calls.Store(0)
	return nil
}

// AwaitNoCalls makes such a call until the API server does not ask any more, or ctx is over.
func (w *Webhook) AwaitNoCalls(ctx context.Context, probe func(context.Context) error) {
	for ctx.Err() == nil {
		before := w.Calls()
		if err := probe(ctx); err == nil && w.Calls() == before {
			return
		}
		_ = loop.Sleep(ctx, pollInterval)
	}
}

// Answers makes the webhook do this with all requests from now on.
func (w *Webhook) Answers(answer Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer, w.broken = answer, 0
}

// Breaks makes the webhook answer all requests with an HTTP error from now on, until Answers is called.
func (w *Webhook) Breaks(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = status
}

// Calls counts the requests since the API server began to ask it.
func (w *Webhook) Calls() int { return int(w.calls.Load()) }

// serve answers one request of the API server.
func (w *Webhook) serve(response http.ResponseWriter, request *http.Request) {
	review := &admission.AdmissionReview{}
	if err := json.NewDecoder(request.Body).Decode(review); err != nil || review.Request == nil {
		http.Error(response, "not a review", http.StatusBadRequest)
		return
	}
	w.calls.Add(1)
	w.mu.Lock()
	answer, broken := w.answer, w.broken
	w.mu.Unlock()
	if broken != 0 {
		http.Error(response, "broken by the test", broken)
		return
	}
	review.Response = answer(request.Context(), review.Request)
	if review.Response == nil {
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	review.Response.UID, review.Request = review.Request.UID, nil
	response.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(response).Encode(review) // who gave up needs no answer
}

// register tells the API server about the webhook.
func (w *Webhook) register(ctx context.Context, authority []byte) error {
	o := w.options
	timeout := int32(10)
	if o.Timeout > 0 {
		timeout = int32(o.Timeout / time.Second)
	}
	policy := admissionv1.Fail
	if o.FailurePolicy != "" {
		policy = o.FailurePolicy
	}
	var (
		meta      = metav1.ObjectMeta{Name: o.Name}
		name      = o.Name + ".e2e.test"
		client    = admissionv1.WebhookClientConfig{URL: &w.URL, CABundle: authority}
		namespace = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: o.Namespace}}
		object    = &metav1.LabelSelector{MatchLabels: o.Labels}
		effects   = ptr.To(admissionv1.SideEffectClassNone)
		versions  = []string{"v1"}
		rules     = []admissionv1.RuleWithOperations{{
			Operations: []admissionv1.OperationType{o.Operation},
			Rule:       admissionv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{o.Resource}},
		}}
	)
	var err error
	if o.Mutating {
		_, err = w.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(ctx,
			&admissionv1.MutatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.MutatingWebhook{{
				Name: name, ClientConfig: client, Rules: rules, FailurePolicy: &policy, NamespaceSelector: namespace,
				ObjectSelector: object, SideEffects: effects, TimeoutSeconds: &timeout, AdmissionReviewVersions: versions,
			}}}, metav1.CreateOptions{})
	} else {
		_, err = w.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx,
			&admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.ValidatingWebhook{{
				Name: name, ClientConfig: client, Rules: rules, FailurePolicy: &policy, NamespaceSelector: namespace,
				ObjectSelector: object, SideEffects: effects, TimeoutSeconds: &timeout, AdmissionReviewVersions: versions,
			}}}, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("registering webhook %s: %w", o.Name, err)
	}
	return nil
}

// Unregister takes the registration away. The API server goes on asking for a moment.
func (w *Webhook) Unregister(ctx context.Context) error {
	configurations := w.client.AdmissionregistrationV1()
	remove := configurations.ValidatingWebhookConfigurations().Delete
	if w.options.Mutating {
		remove = configurations.MutatingWebhookConfigurations().Delete
	}
	if err := remove(ctx, w.options.Name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("taking away the registration of webhook %s: %w", w.options.Name, err)
	}
	return nil
}
