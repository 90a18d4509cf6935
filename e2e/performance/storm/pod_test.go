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
	"testing"
	"time"
)

// What the API server adds, managedFields above all, makes 5.6 KiB of it.
func TestPodSize(t *testing.T) {
	pod := podTemplate(podRef{Namespace: "bench-0", Name: "storefront-0-6d8f9c7b54-00000", Node: "bench-node-0"}, 0)
	pod.Status = podStatus(pod, 0, time.Now())
	if size := pod.Size(); size < 1500 || size > 2200 {
		t.Errorf("%d bytes", size)
	}
	if grace := *pod.Spec.TerminationGracePeriodSeconds; grace != 30 {
		t.Errorf("grace period %d s", grace)
	}
}
