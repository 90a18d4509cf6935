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
	"context"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// LocalClaims returns the PersistentVolumeClaims whose volume is a directory or a disk of one node.
func (r *Reader) LocalClaims(ctx context.Context) (map[types.NamespacedName]bool, []Unread, error) {
	local := map[types.NamespacedName]bool{}
	err := pages(ctx, r, "persistentvolumes", metav1.ListOptions{}, func(ctx context.Context, options metav1.ListOptions) (metav1.ListInterface, int, error) {
		list, err := r.Kube.CoreV1().PersistentVolumes().List(ctx, options)
		if err != nil {
			return nil, 0, err
		}
		for i := range list.Items {
			if volume := &list.Items[i]; isLocal(volume) && volume.Spec.ClaimRef != nil {
				local[types.NamespacedName{Namespace: volume.Spec.ClaimRef.Namespace, Name: volume.Spec.ClaimRef.Name}] = true
			}
		}
		return list, len(list.Items), nil
	}, func() { clear(local) })
	unread, err := Refused(err, "persistent volumes", "which pods with a PersistentVolumeClaim have their data on their node")
	return local, unread, err
}

func isLocal(volume *v1.PersistentVolume) bool {
	return volume.Spec.Local != nil || volume.Spec.HostPath != nil
}
