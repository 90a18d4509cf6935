package harness

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	admission "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// WebhookOptions say which calls an admission webhook is asked about, in the scene's namespace.
type WebhookOptions struct {
	// Mutating makes it a mutating webhook: those are called one after another, validating ones all at once.
	Mutating bool
	// Operation and Resource, such as DELETE and "pods", or UPDATE and "pods/status", are the calls.
	Operation admissionv1.OperationType
	Resource  string
	// Labels, if any, are those of the pods that it is asked about.
	Labels map[string]string
	// FailurePolicy is Fail unless set.
	FailurePolicy admissionv1.FailurePolicyType
	// Timeout is how long the API server waits for an answer, in whole seconds; 10 s unless set.
	Timeout time.Duration
	// Probe makes a call that the webhook is asked about, and changes nothing. It need not be set for deletions and creations
	// of pods, nor for updates of pods and pods/status.
	Probe func(ctx context.Context) error
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

// Deny refuses all with a code.
func Deny(code int32) Answer {
	return func(context.Context, *admission.AdmissionRequest) *admission.AdmissionResponse {
		return &admission.AdmissionResponse{Result: &metav1.Status{Status: metav1.StatusFailure, Code: code, Message: "denied by a test"}}
	}
}

// Webhook is an admission webhook: its server, and its registration.
type Webhook struct {
	scene   *Scene
	name    string
	options WebhookOptions
	server  *http.Server
	ended   chan error
	calls   atomic.Int64

	mu     sync.Mutex
	answer Answer
}

// Webhook starts an admission webhook that lets all pass, and returns when the API server asks it. It ends with the test. The
// name tells several of one scene apart.
func (s *Scene) Webhook(name string, o WebhookOptions) *Webhook {
	s.T.Helper()
	w := &Webhook{scene: s, name: s.Namespace + "-" + name, options: o, ended: make(chan error, 1), answer: Allow}
	if w.options.Probe == nil {
		w.options.Probe = w.probe()
	}
	listener, err := (&net.ListenConfig{}).Listen(s.Context(), "tcp", "127.0.0.1:0")
	s.Must(err)
	w.server = &http.Server{
		Handler:           http.HandlerFunc(w.serve),
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12},
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	certFile, keyFile := s.CP.ServingCert()
	go func() { w.ended <- w.server.ServeTLS(listener, certFile, keyFile) }()
	s.T.Cleanup(w.end)
	s.Must(w.register(s.Context(), "https://"+listener.Addr().String()))
	s.Eventually("webhook "+name, policyTimeout, func(ctx context.Context) error {
		if err := w.options.Probe(ctx); err != nil || w.Calls() > 0 {
			return err
		}
		return errors.New("not asked yet")
	})
	w.calls.Store(0)
	return w
}

// Answers makes the webhook do this with all requests from now on.
func (w *Webhook) Answers(answer Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

// Down takes the webhook's server away for good. It stays registered.
func (w *Webhook) Down() {
	w.scene.T.Helper()
	w.scene.Must(w.server.Close())
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
	answer := w.answer
	w.mu.Unlock()
	review.Response = answer(request.Context(), review.Request)
	if review.Response == nil {
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	review.Response.UID, review.Request = review.Request.UID, nil
	response.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(response).Encode(review) // who gave up needs no answer
}

// register tells the API server about the webhook.
func (w *Webhook) register(ctx context.Context, url string) error {
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
		meta      = metav1.ObjectMeta{Name: w.name}
		name      = w.name + ".e2e.test"
		client    = admissionv1.WebhookClientConfig{URL: &url, CABundle: w.scene.CP.AdminConfig().CAData}
		namespace = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.scene.Namespace}}
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
		_, err = w.scene.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(ctx,
			&admissionv1.MutatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.MutatingWebhook{{
				Name: name, ClientConfig: client, Rules: rules, FailurePolicy: &policy, NamespaceSelector: namespace,
				ObjectSelector: object, SideEffects: effects, TimeoutSeconds: &timeout, AdmissionReviewVersions: versions,
			}}}, metav1.CreateOptions{})
	} else {
		_, err = w.scene.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx,
			&admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.ValidatingWebhook{{
				Name: name, ClientConfig: client, Rules: rules, FailurePolicy: &policy, NamespaceSelector: namespace,
				ObjectSelector: object, SideEffects: effects, TimeoutSeconds: &timeout, AdmissionReviewVersions: versions,
			}}}, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("registering webhook %s: %w", w.name, err)
	}
	return nil
}

// end takes the registration away, so that nothing of the test's end is held up by it, and stops the server.
func (w *Webhook) end() {
	w.Answers(Allow)
	ctx, cancel := context.WithTimeout(context.Background(), policyTimeout)
	defer cancel()
	configurations := w.scene.Client.AdmissionregistrationV1()
	remove := configurations.ValidatingWebhookConfigurations().Delete
	if w.options.Mutating {
		remove = configurations.MutatingWebhookConfigurations().Delete
	}
	if err := remove(ctx, w.name, metav1.DeleteOptions{}); err != nil {
		w.scene.T.Logf("clearing: %v", err)
	} else {
		w.awaitEnd(ctx)
	}
	_ = w.server.Close()
	if err := <-w.ended; !errors.Is(err, http.ErrServerClosed) {
		w.scene.T.Errorf("the webhook's server ended: %v", err)
	}
}

// awaitEnd waits until the API server asks the webhook no longer.
func (w *Webhook) awaitEnd(ctx context.Context) {
	for ctx.Err() == nil {
		before := w.Calls()
		if err := w.options.Probe(ctx); err == nil && w.Calls() == before {
			return
		}
		time.Sleep(pollInterval)
	}
}

// probe returns a call that the webhook is asked about, on a pod of its own that nobody evicts.
func (w *Webhook) probe() func(ctx context.Context) error {
	w.scene.T.Helper()
	pods := w.scene.Client.CoreV1().Pods(w.scene.Namespace)
	dryRun := []string{metav1.DryRunAll}
	labelled := func(pod *corev1.Pod) {
		for key, value := range w.options.Labels {
			metav1.SetMetaDataLabel(&pod.ObjectMeta, key, value)
		}
	}
	if w.options.Operation == admissionv1.Create && w.options.Resource == "pods" {
		return func(ctx context.Context) error {
			_, err := pods.Create(ctx, Template("", Named(w.name), labelled), metav1.CreateOptions{DryRun: dryRun})
			return err
		}
	}
	pod := w.scene.Pod("", Named(w.name), labelled, NotScheduled)
	switch what := string(w.options.Operation) + " " + w.options.Resource; what {
	case "DELETE pods":
		return func(ctx context.Context) error {
			return pods.Delete(ctx, pod.Name, metav1.DeleteOptions{DryRun: dryRun})
		}
	case "UPDATE pods":
		return func(ctx context.Context) error {
			_, err := pods.Update(ctx, pod, metav1.UpdateOptions{DryRun: dryRun})
			return err
		}
	case "UPDATE pods/status":
		return func(ctx context.Context) error {
			_, err := pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{DryRun: dryRun})
			return err
		}
	default:
		w.scene.T.Fatalf("a webhook for %s needs a Probe", what)
		return nil
	}
}

// NotScheduled keeps the scheduler from a pod.
func NotScheduled(pod *corev1.Pod) { pod.Spec.SchedulerName = "nobody" }
