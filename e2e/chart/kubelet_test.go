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

package chart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

// kubelet runs the containers of pods of `helm test`: the plugin, with the arguments of the container and as the service account of the pod.
type kubelet struct {
	cp     *controlplane.ControlPlane
	client kubernetes.Interface
	plugin string
	// port is where the API server asks for logs.
	port int32

	server *controlplane.Server
	cancel context.CancelFunc
	ended  chan struct{}

	mu   sync.Mutex
	logs map[types.UID][]byte
	errs []error
}

func (k *kubelet) start(ctx context.Context) (err error) {
	k.logs, k.ended = map[types.UID][]byte{}, make(chan struct{})
	if k.server, err = k.cp.Serve(ctx, 0, http.HandlerFunc(k.serveLogs)); err != nil {
		return err
	}
	address, err := url.Parse(k.server.URL)
	if err != nil {
		return err
	}
	port, err := strconv.ParseInt(address.Port(), 10, 32)
	if err != nil {
		return err
	}
	k.port = int32(port)
	ctx, k.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go k.run(ctx)
	return nil
}

func (k *kubelet) stop() error {
	if k.cancel == nil {
		return nil
	}
	k.cancel()
	<-k.ended
	k.mu.Lock()
	defer k.mu.Unlock()
	return errors.Join(append(k.errs, k.server.Stop())...)
}

// run looks for pods of tests that kwok has started, until the context is over.
func (k *kubelet) run(ctx context.Context) {
	defer close(k.ended)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		pods, err := k.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=test"})
		if err != nil {
			continue // the API server may be busy
		}
		for i := range pods.Items {
			if pod := &pods.Items[i]; pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil {
				if err := k.runPod(ctx, pod); err != nil && ctx.Err() == nil {
					k.mu.Lock()
					k.errs = append(k.errs, err)
					k.mu.Unlock()
				}
			}
		}
	}
}

// runPod runs the container of a pod, and writes how it ended.
func (k *kubelet) runPod(ctx context.Context, pod *corev1.Pod) error {
	kubeconfig, _, err := k.cp.ServiceAccountWithRoles(ctx, pod.Namespace, pod.Spec.ServiceAccountName)
	if err != nil {
		return err
	}
	container := &pod.Spec.Containers[0]
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, k.plugin, append(container.Args, "--kubeconfig="+kubeconfig)...)
	cmd.Env = []string{} // as in an image from scratch
	cmd.Stdout, cmd.Stderr = &output, &output
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("running pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	k.mu.Lock()
	k.logs[pod.UID] = output.Bytes()
	k.mu.Unlock()
	phase := corev1.PodSucceeded
	if cmd.ProcessState.ExitCode() != 0 {
		phase = corev1.PodFailed
	}
	patch := fmt.Sprintf(`{"metadata":{"uid":%q},"status":{"phase":%q,"containerStatuses":[{"name":%q,"state":{"running":null,"terminated":{"exitCode":%d}}}]}}`,
		pod.UID, phase, container.Name, cmd.ProcessState.ExitCode())
	_, err = k.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("the end of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

// serveLogs answers the API server that asks for the log of a container: /containerLogs/NAMESPACE/POD/CONTAINER.
func (k *kubelet) serveLogs(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if len(path) != 4 || path[0] != "containerLogs" {
		http.NotFound(w, r)
		return
	}
	pod, err := k.client.CoreV1().Pods(path[1]).Get(r.Context(), path[2], metav1.GetOptions{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	_, _ = w.Write(k.logs[pod.UID])
}
