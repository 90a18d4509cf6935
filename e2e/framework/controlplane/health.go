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

package controlplane

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	// healthTimeout bounds one health check.
	healthTimeout = 5 * time.Second
	// basicsTimeout bounds the wait for the objects that every cluster has.
	basicsTimeout = 60 * time.Second
)

// AskHealth returns nil if the URL answers with status 200.
func AskHealth(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	defer response.Body.Close()
	// Reading to the end lets the client use the connection again.
	body, err := io.ReadAll(io.LimitReader(response.Body, maxTail))
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("health check: %s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	return nil
}

// awaitBasics waits for the objects that every cluster has and that come some time after the API server says that it
// is ready: the system's namespaces, what delegated authentication reads, and the account that pods run under.
func (cp *ControlPlane) awaitBasics(ctx context.Context) error {
	client, err := cp.Client()
	if err != nil {
		return err
	}
	if err := cp.awaitObjects(ctx, client); err != nil {
		return err
	}
	return cp.awaitDefaultAccount(ctx, client, metav1.NamespaceDefault)
}

func (cp *ControlPlane) awaitObjects(ctx context.Context, client kubernetes.Interface) error {
	get := metav1.GetOptions{}
	return poll(ctx, "the system's namespaces", func(ctx context.Context) error {
		for _, name := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem, corev1.NamespaceNodeLease} {
			if _, err := client.CoreV1().Namespaces().Get(ctx, name, get); err != nil {
				return err
			}
		}
		_, err := client.CoreV1().ConfigMaps(metav1.NamespaceSystem).
			Get(ctx, "extension-apiserver-authentication", get)
		return err
	})
}

// awaitDefaultAccount waits for the service account "default", without which the API server admits no pod. Where no
// controller manager runs to make it, it is made here.
func (cp *ControlPlane) awaitDefaultAccount(ctx context.Context, client kubernetes.Interface, namespace string) error {
	accounts := client.CoreV1().ServiceAccounts(namespace)
	return poll(ctx, "the default service account of "+namespace, func(ctx context.Context) error {
		if cp.Part(ControllerManager) != nil {
			_, err := accounts.Get(ctx, "default", metav1.GetOptions{})
			return err
		}
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		_, err := accounts.Create(ctx, account, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
}

// poll calls check until it returns nil; after a minute, or when ctx ends, it returns check's last error.
func poll(ctx context.Context, what string, check func(context.Context) error) error {
	if err := loop.Until(ctx, readyPollInterval, basicsTimeout, check); err != nil {
		return fmt.Errorf("waiting for %s: %w", what, err)
	}
	return nil
}
