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

package snapshot

import (
	"math/rand/v2"
	"reflect"
	"testing"

	v1 "k8s.io/api/core/v1"
	"sigs.k8s.io/randfill"

	"github.com/taint-manager/taint-manager/pkg/podcache"
)

// TestTrimmed fills pods and nodes with anything, and says that what is kept of them makes the same compact objects, and has what shows how they
// end and who made them.
func TestTrimmed(t *testing.T) {
	seed := rand.Int64()
	t.Logf("seed %d", seed)
	fill := randfill.NewWithSeed(seed).NilChance(0.2).NumElements(0, 3).MaxDepth(12).Funcs(func(phase *v1.PodPhase, c randfill.Continue) {
		*phase = []v1.PodPhase{v1.PodRunning, v1.PodFailed, v1.PodSucceeded}[c.Intn(3)]
	})
	for range 200 {
		pod, node := &v1.Pod{}, &v1.Node{}
		fill.Fill(pod)
		fill.Fill(node)
		keptPod, keptNode := trim(t, pod.DeepCopy()), trim(t, node.DeepCopy())
		if got, want := podcache.NewPod(keptPod, noon), podcache.NewPod(pod, noon); !reflect.DeepEqual(got, want) {
			t.Fatalf("pod: got %+v, want %+v", got, want)
		}
		if got, want := podcache.NewNode(keptNode, noon, 1), podcache.NewNode(node, noon, 1); !reflect.DeepEqual(got, want) {
			t.Fatalf("node: got %+v, want %+v", got, want)
		}
		wanted := pod.ObjectMeta
		wanted.ManagedFields = nil
		if !reflect.DeepEqual(keptPod.ObjectMeta, wanted) || !reflect.DeepEqual(keptPod.Spec.TerminationGracePeriodSeconds, pod.Spec.TerminationGracePeriodSeconds) {
			t.Fatalf("metadata and grace period: got %+v, want %+v", keptPod, pod)
		}
		if len(keptPod.Spec.Containers)+len(keptPod.Spec.Volumes)+len(keptNode.Status.Images) > 0 {
			t.Fatalf("kept containers, volumes or images: %+v, %+v", keptPod, keptNode)
		}
	}
}

func trim[T any](t *testing.T, object T) T {
	t.Helper()
	kept, err := trimmed(object)
	if err != nil {
		t.Fatal(err)
	}
	return kept.(T)
}
