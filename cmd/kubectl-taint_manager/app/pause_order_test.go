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

package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// hangingCore is a client whose lists of pods are not answered.
type hangingCore struct{ typedcorev1.CoreV1Interface }

func (c hangingCore) Pods(namespace string) typedcorev1.PodInterface {
	return hangingPods{c.CoreV1Interface.Pods(namespace)}
}

type hangingPods struct{ typedcorev1.PodInterface }

func (hangingPods) List(ctx context.Context, _ metav1.ListOptions) (*v1.PodList, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestPauseWhilePodsAreRead has an API server that does not answer lists of pods. The pause is on at once, and Ctrl-C ends only what it waits for.
// Its end waits for some seconds.
func TestPauseWhilePodsAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPauseScene(t)
		s.reader.Compact = hangingCore{s.reader.Compact}
		const spec = "expireTime: \"2000-01-01T01:00:00Z\"\nmatchingPrecedence: 0\nmode: Keep\n"
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, func() { s.stored("pause", "alice", spec) })
		time.AfterFunc(time.Minute, cancel)
		result := s.must(s.pauseUntil(ctx, "--include-node-conditions", "--for=1h"))
		if time.Since(midnight()) != time.Minute || !result.HeldUnknown || len(result.Unread) != 1 || result.Unread[0].Error != "reading pods: context canceled" {
			t.Errorf("after %s: got %+v", time.Since(midnight()), result)
		}
		s.stored("pause", "alice", spec)
		result = s.must(s.resume())
		if took := time.Since(midnight()) - time.Minute; took != 5*time.Second || !result.HeldUnknown || result.Unread[0].Error != "reading pods: context deadline exceeded" {
			t.Errorf("after %s: got %+v", took, result)
		}
		s.stored("pause", "", "")
	})
}

// midnight is when all bubbles of synctest begin.
func midnight() time.Time { return time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC) }
