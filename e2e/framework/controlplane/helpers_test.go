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
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// testWriter logs what is written to it.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(data []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSuffix(string(data), "\n"))
	return len(data), nil
}

// eventually polls until check returns nil, and fails the test if that takes more than a minute.
func eventually(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	if err := poll(t.Context(), what, check); err != nil {
		t.Fatal(err)
	}
}

// exists says whether there is a process of that ID, a dead one that nobody has waited for included.
func exists(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

func workingDir(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func pinnedVersion(t *testing.T) string {
	t.Helper()
	version, err := PinnedVersion()
	if err != nil {
		t.Fatal(err)
	}
	return "v" + version.String()
}

func patchScale(t *testing.T, client kubernetes.Interface, replicas int) {
	t.Helper()
	patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
	_, err := client.AppsV1().Deployments("pods").
		Patch(t.Context(), "web", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func reportMemory(t *testing.T, cp *ControlPlane) {
	t.Helper()
	for _, program := range AllParts() {
		rss, err := cp.Part(program).RSS()
		if err != nil {
			t.Error(err)
		}
		cpu, err := cp.Part(program).CPUTime()
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s: %d MiB, %s of processor time", program, rss>>20, cpu)
	}
}
