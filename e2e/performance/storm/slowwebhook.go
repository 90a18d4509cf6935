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
	"errors"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/e2e/framework/webhook"
)

const (
	webhookName = "bench"
	// webhookTakes is how long the webhook takes for each DELETE, of slowPods in one namespace. Within slowWithin they should be gone.
	webhookTakes = 6 * time.Second
	slowPods     = 200
	slowWithin   = 14 * time.Second
	// Beside them are quickPods of another namespace, on the same slowNodes, and as many on another node that is tainted quickLater.
	quickPods, slowNodes = 20, 10
	quickLater           = 3 * time.Second
)

// startWebhook starts a webhook that is asked about each DELETE of a pod in the first namespace, and returns when it is.
func (b *bench) startWebhook(ctx context.Context) (*webhook.Webhook, error) {
	w, err := webhook.Start(ctx, b.cp, b.client, webhook.Options{
		Name: webhookName, Namespace: namespaceName(0), Operation: admissionv1.Delete, Resource: "pods",
	})
	if err != nil {
		return nil, err
	}
	probe, err := b.createPod(ctx, podRef{Namespace: namespaceName(0), Name: "probe", Node: canaryName}, 0)
	if err == nil {
		err = w.AwaitCalls(ctx, workingTimeout, func(ctx context.Context) error {
			dryRun := metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}
			return b.client.CoreV1().Pods(probe.Namespace).Delete(ctx, probe.Name, dryRun)
		})
	}
	if err == nil {
		err = b.removePod(ctx, probe)
	}
	if err != nil {
		return nil, errors.Join(err, stopWebhook(ctx, w))
	}
	return w, nil
}

// stopWebhook returns when the API server may still know the webhook, which has ended: pods of its namespace are not deleted for a moment.
func stopWebhook(ctx context.Context, w *webhook.Webhook) error {
	w.Answers(webhook.Allow)
	return errors.Join(w.Unregister(ctx), loop.Sleep(ctx, 2*time.Second), w.Stop())
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
	hook, err := b.startWebhook(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, stopWebhook(ctx, hook)) }()
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
	hook.Answers(webhook.AllowAfter(webhookTakes))
	began := time.Now()
	for i := range slowNodes {
		if err := builders.SetTaints(ctx, b.client, nodeName(i), builders.NoExecute(stormTaint)); err != nil {
			return 0, 0, err
		}
	}
	tainted := time.Now()
	if err := loop.Sleep(ctx, quickLater); err != nil {
		return 0, 0, err
	}
	if err := builders.SetTaints(ctx, b.client, nodeName(slowNodes), builders.NoExecute(stormTaint)); err != nil {
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
