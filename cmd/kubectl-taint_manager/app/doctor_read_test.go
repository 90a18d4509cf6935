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
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/doctor"
	"github.com/taint-manager/taint-manager/pkg/permission"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// doctorScene is a cluster of fake clients.
type doctorScene struct {
	t       *testing.T
	options *doctorOptions
	kube    *fake.Clientset
	reader  *snapshot.Reader
}

func newDoctorScene(t *testing.T, objects ...runtime.Object) *doctorScene {
	t.Helper()
	kube := fake.NewClientset(objects...)
	kube.PrependReactor("list", "leases", func(action clienttesting.Action) (bool, runtime.Object, error) { // the tracker knows no field selectors
		resource, kind := coordinationv1.SchemeGroupVersion.WithResource("leases"), coordinationv1.SchemeGroupVersion.WithKind("Lease")
		objects, err := kube.Tracker().List(resource, kind, action.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		all, selected := objects.(*coordinationv1.LeaseList), &coordinationv1.LeaseList{}
		for _, lease := range all.Items {
			if action.(clienttesting.ListAction).GetListRestrictions().Fields.Matches(fields.Set{"metadata.name": lease.Name}) {
				selected.Items = append(selected.Items, lease)
			}
		}
		return true, selected, nil
	})
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	dynamic := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{policiesResource(): "TaintEvictionPolicyList", crds: "CustomResourceDefinitionList"})
	return &doctorScene{
		t: t, kube: kube, options: &doctorOptions{Common: NewCommon(genericiooptions.NewTestIOStreamsDiscard())},
		reader: &snapshot.Reader{Kube: kube, Compact: kube.CoreV1(), Dynamic: dynamic, Clock: clock.RealClock{}, Server: serverclock.New(clock.RealClock{})},
	}
}

func (s *doctorScene) read() *doctor.Cluster {
	s.t.Helper()
	c, err := s.options.examine(s.t.Context(), s.reader)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// found returns what a check finds, as "Severity: what was seen".
func found(c *doctor.Cluster, check string) (all []string) {
	for _, finding := range doctor.Examine(c).Findings {
		if finding.Check == check {
			all = append(all, fmt.Sprintf("%s: %s", finding.Severity, finding.Seen))
		}
	}
	return all
}

// renewedLease returns a Lease that its holder renews now.
func renewedLease(namespace, name, holder string) *coordinationv1.Lease {
	now := metav1.NewMicroTime(time.Now())
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: coordinationv1.LeaseSpec{
		HolderIdentity: &holder, AcquireTime: &now, RenewTime: &now, LeaseDurationSeconds: ptr.To[int32](15),
	}}
}

// TestDoctorOfASlowCluster lists pods for a minute, after Leases that have just been renewed.
func TestDoctorOfASlowCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins at midnight of 2000-01-01
		s := newDoctorScene(t, renewedLease("kube-system", "taint-manager", "cp-1_1"), renewedLease("kube-node-lease", "n1", "n1"),
			&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		s.kube.PrependReactor("list", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if action.(clienttesting.ListAction).GetListRestrictions().Fields.String() == "spec.nodeName!=" {
				time.Sleep(time.Minute)
			}
			return false, nil, nil
		})
		c := s.read()
		midnight := time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
		if !c.Leases.At.Equal(midnight) || !c.Heartbeats.At.Equal(midnight) || !c.At.Equal(midnight.Add(time.Minute)) {
			t.Errorf("Leases were read at %s, those of nodes at %s, and the snapshot at %s", c.Leases.At, c.Heartbeats.At, c.At)
		}
		c.Replicas.Err = errors.New("not visible")
		want := "OK: cp-1 leads since 2000-01-01T00:00:00Z; the Lease has changed hands 0 times."
		if got := found(c, "Leader"); len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestDoctorOfOtherNames has a controller whose Lease and ConfigMap have other names than in the manifests.
func TestDoctorOfOtherNames(t *testing.T) {
	named := func(all []doctor.Access) (names []string) { // those of Leases and ConfigMaps by name
		for _, one := range all {
			if one.Name != "" && one.Resource != "deployments" {
				names = append(names, permission.String(&one.ResourceAttributes))
			}
		}
		return names
	}
	for _, test := range []struct {
		manager           Manager
		lease, access     []string
		ownAccess, leader string
	}{
		{
			manager: Manager{Namespace: "ops", Lease: "evictions", ConfigMap: "starts"}, lease: []string{"evictions", "evictions-dry-run"},
			access: []string{
				"get leases.coordination.k8s.io evictions in ops", "list leases.coordination.k8s.io evictions in ops",
				"watch leases.coordination.k8s.io evictions in ops", "update leases.coordination.k8s.io evictions in ops",
				"get leases.coordination.k8s.io evictions-dry-run in ops", "list leases.coordination.k8s.io evictions-dry-run in ops",
				"watch leases.coordination.k8s.io evictions-dry-run in ops", "update leases.coordination.k8s.io evictions-dry-run in ops",
				"get configmaps starts in ops", "update configmaps starts in ops",
			},
			ownAccess: "get configmaps starts in ops", leader: "Warning: The Lease is held by one_1, which is no pod of taint-manager.",
		},
		{
			manager: Manager{Namespace: "ops", Lease: "taint-manager"}, lease: []string{"taint-manager"},
			access: []string{
				"get leases.coordination.k8s.io taint-manager in ops", "list leases.coordination.k8s.io taint-manager in ops",
				"watch leases.coordination.k8s.io taint-manager in ops", "update leases.coordination.k8s.io taint-manager in ops",
				"get leases.coordination.k8s.io taint-manager-dry-run in ops", "list leases.coordination.k8s.io taint-manager-dry-run in ops",
				"watch leases.coordination.k8s.io taint-manager-dry-run in ops", "update leases.coordination.k8s.io taint-manager-dry-run in ops",
			},
			leader: "Warning: The Lease is held by two_1, which is no pod of taint-manager.",
		},
	} {
		s := newDoctorScene(t, renewedLease("ops", "evictions", "one_1"), renewedLease("ops", "evictions-dry-run", "dry_1"), renewedLease("ops", "taint-manager", "two_1"))
		s.options.Manager = test.manager
		allow := func(action clienttesting.Action) (bool, runtime.Object, error) {
			object := action.(clienttesting.CreateAction).GetObject()
			switch object := object.(type) {
			case *authorizationv1.SubjectAccessReview:
				object.Status.Allowed = true
			case *authorizationv1.SelfSubjectAccessReview:
				object.Status.Allowed = true
			}
			return true, object, nil
		}
		s.kube.PrependReactor("create", "subjectaccessreviews", allow)
		s.kube.PrependReactor("create", "selfsubjectaccessreviews", allow)
		c := s.read()
		var leases []string
		for i := range c.Leases.Value {
			leases = append(leases, c.Leases.Value[i].Name)
		}
		if !slices.Equal(leases, test.lease) || c.LeaseLater == nil || c.LeaseLater.Name != test.lease[0] {
			t.Errorf("Leases: got %q and %v, want %q", leases, c.LeaseLater, test.lease)
		}
		if got := named(c.Access.Value); !slices.Equal(got, test.access) {
			t.Errorf("permissions: got %q, want %q", got, test.access)
		}
		if got := strings.Join(named(c.OwnAccess.Value), ", "); got != test.ownAccess {
			t.Errorf("own permissions: got %q, want %q", got, test.ownAccess)
		}
		if got := found(c, "Leader"); len(got) != 1 || got[0] != test.leader {
			t.Errorf("got %q, want %q", got, test.leader)
		}
	}
}
