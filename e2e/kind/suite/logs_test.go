//go:build kind

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

package suite

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// logsVariable names the directory that keeps what explains a failure.
const logsVariable = "E2E_KIND_LOGS"

// keepLogs writes down, when the test has failed, what our pods logged since it began, and its pods and Events: the next
// test may end our pods, and the namespace is about to go.
func (s *scene) keepLogs(ctx context.Context) {
	directory := os.Getenv(logsVariable)
	if directory == "" {
		return
	}
	directory = filepath.Join(directory, s.Name())
	if err := os.MkdirAll(directory, 0o755); err != nil {
		s.Logf("keeping logs: %v", err)
		return
	}
	keep := func(file string, data []byte, err error) {
		if err == nil {
			err = os.WriteFile(filepath.Join(directory, file), data, 0o600)
		}
		if err != nil {
			s.Logf("keeping logs: %v", err)
		}
	}
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		s.Logf("keeping logs: %v", err)
		return
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		log, err := client.CoreV1().Pods(pod.Namespace).
			GetLogs(pod.Name, &corev1.PodLogOptions{SinceTime: ptr.To(metav1.NewTime(s.began))}).DoRaw(ctx)
		keep(pod.Name+".log", log, err)
	}
	own, err := client.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{})
	keep("pods.json", toJSON(own), err)
	events, err := client.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{})
	keep("events.json", toJSON(events), err)
	s.Logf("the logs of our pods, and the pods and Events of namespace %s, are in %s", s.namespace, directory)
}

func toJSON(object any) []byte {
	data, err := json.MarshalIndent(object, "", "  ")
	if err != nil {
		return []byte(err.Error())
	}
	return data
}
