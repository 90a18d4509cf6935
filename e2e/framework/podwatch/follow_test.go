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

package podwatch

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// TestAWatchThatIsCut has a pod go while nobody watches: the next list shows that it is gone, and the watch after it goes on.
func TestAWatchThatIsCut(t *testing.T) {
	pod := func(name string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "test", Name: name, UID: types.UID(name)}}
	}
	goes, stays, comes := pod("goes"), pod("stays"), pod("comes")
	client := fake.NewClientset(goes, stays)
	watches := make(chan *watch.FakeWatcher, 10)
	client.PrependWatchReactor("pods", func(clienttesting.Action) (bool, watch.Interface, error) {
		w := watch.NewFake()
		watches <- w
		return true, w, nil
	})
	w, err := Start(t.Context(), client, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().Pods("test").Delete(t.Context(), "goes", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if seen := w.Of(goes); seen.First.IsZero() || !seen.Going.IsZero() {
		t.Errorf("before: %+v", seen)
	}
	(<-watches).Stop()
	until := time.Now().Add(10 * time.Second)
	if !w.Await(t.Context(), until, func(seen *Sightings) bool { return !seen.Of(goes).Gone.IsZero() }) {
		t.Error("a pod that a list does not show is not gone")
	}
	(<-watches).Add(comes)
	if !w.Await(t.Context(), until, func(seen *Sightings) bool { return !seen.Of(comes).First.IsZero() }) {
		t.Error("a pod that came later was not seen")
	}
	if seen := w.Of(stays); !seen.Going.IsZero() {
		t.Errorf("stays: %+v", seen)
	}
	w.Look(func(seen *Sightings) {
		if n := seen.Left([]*corev1.Pod{goes, stays, comes}); n != 2 {
			t.Errorf("%d are left", n)
		}
	})
}
