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

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
)

// TestOnlyADryRun has nothing but a dry run, or one beside a taint-manager that is to evict, and does not.
func TestOnlyADryRun(t *testing.T) {
	const image = "taint-manager:v1.4.0"
	dry := lease("kube-system", "taint-manager-dry-run", "taint-manager-7b6d4-z2z2z_3f1c", time.Second)
	dryRun := deployment("kube-system", image, 2, 2, "--v=2", "--dry-run")
	is := func(leases []coordinationv1.Lease, deployments ...appsv1.Deployment) func(*scene) {
		return func(s *scene) {
			s.cluster.Leases.Value, s.cluster.LeaseLater, s.cluster.Deployments.Value = leases, nil, deployments
			s.cluster.Replicas.Value = []v1.Pod{replica("kube-system", "taint-manager-7b6d4-z2z2z")}
			s.cluster.ControllerManagers.Value = []v1.Pod{manager("kube-controller-manager")}
		}
	}
	only := is([]coordinationv1.Lease{dry, lease("kube-system", "taint-manager", "x", time.Hour)}, dryRun, deployment("ops", image, 0, 0))
	beside := is([]coordinationv1.Lease{dry}, dryRun, deployment("ops", image, 2, 0))
	inFile := deployment("kube-system", image, 2, 2, "--config=/etc/taint-manager/config.yaml")
	unseen := func(s *scene) {
		only(s)
		s.cluster.Deployments.Err = errNo
	}
	named := func(name string, d appsv1.Deployment) appsv1.Deployment { d.Name = name; return d }
	const noLease = "Error: There is no Lease kube-system/taint-manager: no replica has led, and nobody evicts."
	examineAll(t, "Leader", []fault{
		{"only a dry run", only, []string{"Info: Nobody evicts, because only a dry run is on, by Lease kube-system/taint-manager-dry-run."}},
		{"one beside", beside, []string{noLease}},
		{"by the configuration file", is([]coordinationv1.Lease{dry}, inFile), []string{"Info: Nobody evicts, because only a dry run is on, by Lease kube-system/taint-manager-dry-run."}},
		{"one of another namespace", is([]coordinationv1.Lease{lease("ops", "taint-manager-dry-run", "x", time.Second)}, inFile), []string{noLease}},
		{"one by its flags, beside", is([]coordinationv1.Lease{dry}, inFile, named("preview", dryRun)), []string{noLease}},
		{"one without flags, beside", is([]coordinationv1.Lease{dry}, inFile, named("other", inFile)), []string{noLease}},
		{"a process that is no pod", is([]coordinationv1.Lease{lease("kube-system", "taint-manager-dry-run", "laptop_3f1c", time.Second)}, inFile), []string{noLease}},
		{"Deployments are not visible", unseen, []string{"Error: The holder of the Lease, x, has not renewed it for 1h0m0s: no replica leads."}},
		{"it is over", is([]coordinationv1.Lease{lease("kube-system", "taint-manager-dry-run", "x", time.Minute)}, dryRun), []string{noLease}},
	})
	const on = "The built-in controller is on, by the flags of kube-controller-manager."
	examineAll(t, "BuiltInController", []fault{
		{"only a dry run", only, []string{"Info: " + on + " Only a dry run of taint-manager is on, so it has to be. [kube-system/kube-controller-manager-cp-1]"}},
		{"by the configuration file", is([]coordinationv1.Lease{dry}, inFile),
			[]string{"Info: " + on + " Only a dry run of taint-manager is on, so it has to be. [kube-system/kube-controller-manager-cp-1]"}},
		{"one beside", beside, []string{"Error: " + on + " [kube-system/kube-controller-manager-cp-1]"}},
		{"taint-manager leads, too", is([]coordinationv1.Lease{dry, lease("kube-system", "taint-manager", "x", time.Second)}, dryRun),
			[]string{"Error: " + on + " [kube-system/kube-controller-manager-cp-1]"}},
	})
}
