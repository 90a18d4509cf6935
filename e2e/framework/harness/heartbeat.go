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
	"errors"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
)

// beatInterval leaves time for another heartbeat before a node is taken for lost.
const beatInterval = nodeGrace / 3

// beat makes the Lease of each node, and renews them until the test is over.
func (s *Scene) beat(nodes []string) {
	s.T.Helper()
	leases, errs := make([]*coordinationv1.Lease, len(nodes)), make([]error, len(nodes))
	api := s.Client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	each := func(do func(i int) (*coordinationv1.Lease, error)) {
		const workers = 8
		workqueue.ParallelizeUntil(s.Context(), workers, len(nodes), func(i int) {
			var lease *coordinationv1.Lease
			if lease, errs[i] = do(i); errs[i] == nil {
				leases[i] = lease
			}
		})
	}
	each(func(i int) (*coordinationv1.Lease, error) {
		node, err := s.Client.CoreV1().Nodes().Get(s.Context(), nodes[i], metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return api.Create(s.Context(), &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: node.Name, OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}, // it goes with the node
			}},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity: &node.Name, LeaseDurationSeconds: ptr.To(int32(nodeGrace / time.Second)), RenewTime: ptr.To(metav1.NowMicro()),
			},
		}, metav1.CreateOptions{})
	})
	s.Must(errors.Join(errs...))
	ctx, stop := context.WithCancel(s.Context())
	ended := make(chan struct{})
	s.T.Cleanup(func() {
		stop()
		<-ended
	})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(beatInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			each(func(i int) (*coordinationv1.Lease, error) { // what fails is done the next time
				leases[i].Spec.RenewTime = ptr.To(metav1.NowMicro())
				return api.Update(ctx, leases[i], metav1.UpdateOptions{})
			})
		}
	}()
}
