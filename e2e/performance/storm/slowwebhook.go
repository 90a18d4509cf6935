package main

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
	"sync/atomic"
	"time"

	admission "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	webhookName = "bench.taint-manager.test"
	// webhookTakes is how long the webhook takes for each DELETE, of slowPods in one namespace. Within slowWithin they should be gone.
	webhookTakes = 6 * time.Second
	slowPods     = 200
	slowWithin   = 14 * time.Second
	// Beside them are quickPods of another namespace, on the same slowNodes, and as many on another node that is tainted quickLater.
	quickPods, slowNodes = 20, 10
	quickLater           = 3 * time.Second
)

// slowWebhook is an admission webhook that takes its time for each DELETE of a pod in the first namespace.
type slowWebhook struct {
	b      *bench
	server *http.Server
	ended  chan error
	calls  atomic.Int64
	slow   atomic.Bool
}

// startWebhook returns when the API server asks the webhook. It is quick until it is made slow.
func (b *bench) startWebhook(ctx context.Context) (*slowWebhook, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	w := &slowWebhook{b: b, ended: make(chan error, 1)}
	w.server = &http.Server{
		Handler: http.HandlerFunc(w.serve), ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ErrorLog: log.New(io.Discard, "", 0),
	}
	certFile, keyFile := b.cp.ServingCert()
	go func() { w.ended <- w.server.ServeTLS(listener, certFile, keyFile) }()
	if err := w.register(ctx, "https://"+listener.Addr().String()); err != nil {
		return nil, errors.Join(err, w.stop(ctx))
	}
	return w, nil
}

func (w *slowWebhook) serve(response http.ResponseWriter, request *http.Request) {
	review := &admission.AdmissionReview{}
	if err := json.NewDecoder(request.Body).Decode(review); err != nil || review.Request == nil {
		http.Error(response, "not a review", http.StatusBadRequest)
		return
	}
	w.calls.Add(1)
	if w.slow.Load() {
		_ = loop.Sleep(request.Context(), webhookTakes) // who gave up needs no answer
	}
	review.Response = &admission.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	review.Request = nil
	response.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(response).Encode(review)
}

// register has the API server ask the webhook.
func (w *slowWebhook) register(ctx context.Context, url string) error {
	client := w.b.client
	_, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: webhookName},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name:              webhookName,
			ClientConfig:      admissionv1.WebhookClientConfig{URL: &url, CABundle: w.b.cp.AdminConfig().CAData},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespaceName(0)}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Delete},
				Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
			FailurePolicy: ptr.To(admissionv1.Fail), SideEffects: ptr.To(admissionv1.SideEffectClassNone),
			TimeoutSeconds: ptr.To(int32(10)), AdmissionReviewVersions: []string{"v1"},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("registering the webhook: %w", err)
	}
	probe, err := w.b.createPod(ctx, podRef{Namespace: namespaceName(0), Name: "probe", Node: canaryName}, 0)
	if err != nil {
		return err
	}
	err = wait.PollUntilContextTimeout(ctx, pollInterval, workingTimeout, true, func(ctx context.Context) (bool, error) {
		dryRun := metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}
		return w.calls.Load() > 0, client.CoreV1().Pods(probe.Namespace).Delete(ctx, probe.Name, dryRun)
	})
	if err != nil {
		return fmt.Errorf("waiting until the API server asks the webhook: %w", err)
	}
	return w.b.removePod(ctx, probe)
}

// stop returns when the API server may still know the webhook, which has ended: pods of its namespace are not deleted for a moment.
func (w *slowWebhook) stop(ctx context.Context) error {
	w.slow.Store(false)
	err := w.b.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(ctx, webhookName, metav1.DeleteOptions{})
	err = errors.Join(err, loop.Sleep(ctx, 2*time.Second))
	err = errors.Join(err, w.server.Close())
	if ended := <-w.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("the webhook ended by itself: %w", ended))
	}
	return err
}

// measureSlowWebhook has calls wait for something else than the API server.
func measureSlowWebhook(ctx context.Context, b *bench, ways []way, m *Mechanism) error {
	for i, w := range ways {
		gone, late, err := b.behindWebhook(ctx, w)
		if err != nil {
			return err
		}
		b.say("%s, a webhook takes %s: %d of %d pods are gone within %s, those of another namespace up to %s late",
			w.title, webhookTakes, gone, slowPods, slowWithin, late.Round(time.Millisecond))
		m.add(i, fmt.Sprintf("a webhook takes %s: pods of %d gone within %s", webhookTakes, slowPods, slowWithin), howMany, float64(gone))
		m.add(i, "others' pods beside these, late", howLong, late.Seconds())
	}
	return nil
}

// behindWebhook returns how many pods were gone in time, and by how much the last one of another namespace was late.
func (b *bench) behindWebhook(ctx context.Context, w way) (gone int, late time.Duration, err error) {
	if err := b.clear(ctx); err != nil {
		return 0, 0, err
	}
	webhook, err := b.startWebhook(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, webhook.stop(ctx)) }()
	pods := func(n, namespace, from, over int) ([]podRef, error) {
		made := make([]podRef, n)
		return made, loop.Each(ctx, fillWorkers, n, func(ctx context.Context, i int) (err error) {
			ref := podRef{Namespace: namespaceName(namespace), Name: fmt.Sprintf("pod-%d-%d", from, i), Node: nodeName(from + i%over)}
			made[i], err = b.createPod(ctx, ref, i)
			return err
		})
	}
	slow, err := pods(slowPods, 0, 0, slowNodes)
	if err != nil {
		return 0, 0, err
	}
	quick, err := pods(quickPods, 1, 0, slowNodes)
	if err != nil {
		return 0, 0, err
	}
	later, err := pods(quickPods, 1, slowNodes, 1)
	if err != nil {
		return 0, 0, err
	}
	runner, _, err := b.enter(ctx, w.contender(b.kubeconfig), nil)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, runner.process().Kill()) }() // what it has begun takes long to end
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	seen, err := b.sight(watching, "pods", "metadata.namespace!="+canaryName, going)
	if err != nil {
		return 0, 0, err
	}
	webhook.slow.Store(true)
	began := time.Now()
	for i := range slowNodes {
		if err := b.setTaintsOf(ctx, nodeName(i), noExecute(stormTaint)); err != nil {
			return 0, 0, err
		}
	}
	tainted := time.Now()
	if err := loop.Sleep(ctx, quickLater); err != nil {
		return 0, 0, err
	}
	if err := b.setTaintsOf(ctx, nodeName(slowNodes), noExecute(stormTaint)); err != nil {
		return 0, 0, err
	}
	taintedLater := time.Now()
	if err := loop.Sleep(ctx, time.Until(began.Add(slowWithin))); err != nil {
		return 0, 0, err
	}
	end := time.Now()
	for _, pod := range slow {
		if _, there := seen.when(pod); there {
			gone++
		}
	}
	for _, of := range []struct {
		pods []podRef
		due  time.Time
	}{{quick, tainted}, {later, taintedLater}} {
		for _, pod := range of.pods {
			at, there := seen.when(pod)
			if !there {
				at = end
			}
			late = max(late, at.Sub(of.due))
		}
	}
	return gone, late, nil
}

func noExecute(key string) corev1.Taint {
	return corev1.Taint{Key: key, Effect: corev1.TaintEffectNoExecute}
}
