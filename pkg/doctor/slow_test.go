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

package doctor

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
)

// TestASlowSnapshot has Leases that had been read a minute before the snapshot was complete. They were renewed in time then.
func TestASlowSnapshot(t *testing.T) {
	slow := func(leases ...coordinationv1.Lease) func(*scene) {
		return func(s *scene) {
			s.cluster.Leases = Read[[]coordinationv1.Lease]{Value: leases, At: noon.Add(-time.Minute)}
			s.cluster.LeaseLater = nil
		}
	}
	const holder = "taint-manager-5d7c9-x2x2x_3f1c"
	held := lease("kube-system", "taint-manager", holder, time.Minute+14*time.Second)
	lost := lease("kube-system", "taint-manager", holder, time.Minute+15*time.Second)
	dry := lease("ops", "taint-manager-dry-run", "x", time.Minute+14*time.Second)
	examineAll(t, "Leader", []fault{
		{"held", slow(held), []string{"OK: taint-manager-5d7c9-x2x2x leads since 2026-03-01T11:00:00Z; the Lease has changed hands 4 times."}},
		{"lost before", slow(lost), []string{"Error: The holder of the Lease, taint-manager-5d7c9-x2x2x_3f1c, has not renewed it for 15s: no replica leads."}},
		{"a dry run", func(s *scene) {
			slow(dry)(s)
			s.cluster.Deployments.Value = nil
		}, []string{"Info: Nobody evicts, because only a dry run is on, by Lease ops/taint-manager-dry-run."}},
	})
	examineAll(t, "Replicas", []fault{
		{"several", slow(held, lease("ops", "taint-manager", "x", time.Minute+10*time.Second), dry), []string{
			"Error: Several Leases of taint-manager are held: several evict at the same time. [kube-system/taint-manager, ops/taint-manager]",
			"Info: A dry run is on, by Lease ops/taint-manager-dry-run."}},
	})
	heartbeats := func(age time.Duration) func(*scene) {
		return func(s *scene) {
			s.cluster.Heartbeats = Read[[]coordinationv1.Lease]{
				Value: []coordinationv1.Lease{lease("kube-node-lease", "n1", "n1", time.Minute+age)}, At: noon.Add(-time.Minute),
			}
		}
	}
	examineAll(t, "NodeClocks", []fault{
		{"renewed in time", heartbeats(110 * time.Second), []string{"OK: The clocks of 1 node agree with the API server's, by their Leases."}},
		{"ahead", heartbeats(-3 * time.Second), []string{"Warning: The clock of 1 node is ahead of the API server's, by the Lease of the node. [n1 (3s ahead)]"}},
		{"behind", heartbeats(121 * time.Second), []string{
			"Warning: The Lease of 1 node is old, though Ready: the clock is behind, or the Lease is not renewed. [n1 (2m1s behind)]"}},
	})
}
