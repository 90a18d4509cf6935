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

package harness

import (
	"context"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/webhook"
)

// Webhook is an admission webhook that ends with its test.
type Webhook struct {
	*webhook.Webhook
	scene *Scene
	probe func(ctx context.Context) error
}

// Webhook starts an admission webhook for the scene's namespace that lets all pass, and returns when the API server asks it. It
// ends with the test. The name tells several of one scene apart.
func (s *Scene) Webhook(name string, o webhook.Options) *Webhook {
	s.T.Helper()
	o.Name, o.Namespace = s.Namespace+"-"+name, s.Namespace
	w := &Webhook{scene: s, probe: s.probe(o)}
	var err error
	w.Webhook, err = webhook.Start(s.Context(), s.CP, s.Client, o)
	s.Must(err)
	s.T.Cleanup(w.end)
	s.Must(w.AwaitCalls(s.Context(), policyTimeout, w.probe))
	return w
}

// Down takes the webhook's server away for good. It stays registered.
func (w *Webhook) Down() {
	w.scene.T.Helper()
	w.scene.Must(w.Close())
}

// end takes the registration away, so that nothing of the test's end is held up by it, and stops the server.
func (w *Webhook) end() {
	w.Answers(webhook.Allow)
	ctx, cancel := context.WithTimeout(context.Background(), policyTimeout)
	defer cancel()
	if err := w.Unregister(ctx); err != nil {
		w.scene.T.Logf("clearing: %v", err)
	} else {
		w.AwaitNoCalls(ctx, w.probe)
	}
	if err := w.Stop(); err != nil {
		w.scene.T.Error(err)
	}
}

// probe returns a call that the webhook is asked about, on a pod of its own that nobody evicts.
func (s *Scene) probe(o webhook.Options) func(ctx context.Context) error {
	s.T.Helper()
	pods := s.Client.CoreV1().Pods(s.Namespace)
	dryRun := []string{metav1.DryRunAll}
	labelled := func(pod *corev1.Pod) {
		for key, value := range o.Labels {
			metav1.SetMetaDataLabel(&pod.ObjectMeta, key, value)
		}
	}
	if o.Operation == admissionv1.Create && o.Resource == "pods" {
		return func(ctx context.Context) error {
			_, err := pods.Create(ctx, builders.Pod("", builders.Named(o.Name), labelled), metav1.CreateOptions{DryRun: dryRun})
			return err
		}
	}
	pod := s.Pod("", builders.Named(o.Name), labelled, builders.NotScheduled)
	switch what := string(o.Operation) + " " + o.Resource; what {
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
		s.T.Fatalf("no call is known that asks a webhook for %s", what)
		return nil
	}
}
