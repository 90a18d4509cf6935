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
	"fmt"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/component-base/version"

	"github.com/taint-manager/taint-manager/manifests"
	"github.com/taint-manager/taint-manager/pkg/doctor"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

const (
	// controllerLabels are the labels of what the manifests deploy.
	controllerLabels = "app.kubernetes.io/name=taint-manager,app.kubernetes.io/component=controller"
	// evictionReason is the reason of the Events of taint-manager and of the built-in controller about evicted pods.
	evictionReason = "TaintManagerEviction"
	// reviewsAtOnce is how many access reviews are made at the same time.
	reviewsAtOnce = 8
)

// examine reads what doctor needs. What cannot be read is in the result; it is an error only if the API server does not answer.
func (o *doctorOptions) examine(ctx context.Context, reader *snapshot.Reader) (*doctor.Cluster, error) {
	r := &doctorReader{Reader: reader, manager: o.Manager}
	c := &doctor.Cluster{Version: version.Get().GitVersion, Namespace: o.Manager.Namespace, Lease: o.Manager.Lease}
	var err error
	if c.Leases.Value, err = r.leases(ctx); err != nil {
		c.Leases.Err = err
	}
	c.Leases.At = r.Clock.Now()
	ours := metav1.ListOptions{LabelSelector: controllerLabels}
	c.Deployments.Value, c.Deployments.Err = inAllOrOne(r, "Deployments", func(namespace string) ([]appsv1.Deployment, error) {
		return snapshot.List(ctx, r.Reader, "deployments", ours, r.Kube.AppsV1().Deployments(namespace).List, snapshot.Whole[appsv1.Deployment])
	})
	c.Replicas.Value, c.Replicas.Err = inAllOrOne(r, "pods of taint-manager", func(namespace string) ([]v1.Pod, error) {
		return snapshot.List(ctx, r.Reader, "pods of taint-manager", ours, r.Kube.CoreV1().Pods(namespace).List, snapshot.Whole[v1.Pod])
	})
	c.ControllerManagers.Value, c.ControllerManagers.Err = r.controllerManagers(ctx)
	c.Evictions.Value, c.Evictions.Err = snapshot.EventsOfReason(ctx, r.Reader, metav1.NamespaceAll, evictionReason, doctor.EvictionOf)
	c.Heartbeats.Value, c.Heartbeats.Err = snapshot.List(ctx, r.Reader, "Leases of nodes", metav1.ListOptions{},
		r.Kube.CoordinationV1().Leases(v1.NamespaceNodeLease).List, snapshot.Whole[coordinationv1.Lease])
	c.Heartbeats.At = r.Clock.Now()
	if c.CRD.Value, c.CRD.Err = r.crd(ctx); c.CRD.Err != nil {
		c.CRD.Value = nil
	}
	if c.WantedCRD, err = manifests.PolicyCRD(); err != nil {
		return nil, err
	}
	c.ServiceAccount = serviceAccount(c)
	if err := r.access(ctx, c); err != nil {
		return nil, err
	}
	if c.Snapshot, err = r.snapshot(ctx); err != nil {
		return nil, err
	}
	c.Lost.Value, c.Lost.Err = snapshot.PodsOn(ctx, r.Reader, lostNodes(c.Snapshot), doctor.KeepLost)
	c.Ahead, c.Within, c.ClockKnown = r.Server.Skew()
	if c.Leases.Err == nil {
		if later, err := r.Kube.CoordinationV1().Leases(c.Namespace).Get(ctx, c.Lease, metav1.GetOptions{}); err == nil {
			c.LeaseLater = later
		}
	}
	return c, ctx.Err()
}

// lostNodes returns the nodes that doctor.LostNodes names, as far as pods are being deleted there.
func lostNodes(s *snapshot.Snapshot) (names []string) {
	lost, terminating := sets.New(doctor.LostNodes(s)...), sets.New[string]()
	for _, pod := range s.Pods {
		if pod.Terminating && lost.Has(pod.Node()) {
			terminating.Insert(pod.Node())
		}
	}
	return sets.List(terminating)
}

// doctorReader reads.
type doctorReader struct {
	*snapshot.Reader
	manager Manager
	unread  []snapshot.Unread
}

// snapshot reads the cluster. Without permission to read pods or nodes, it is without them, and says so.
func (r *doctorReader) snapshot(ctx context.Context) (*snapshot.Snapshot, error) {
	s, err := r.Read(ctx, snapshot.Scope{Pods: snapshot.BoundPods, Budgets: true})
	if apierrors.IsForbidden(err) {
		r.unread = append(r.unread, snapshot.Unread{What: "pods", Error: err.Error(), Means: "what is wrong with tolerations, and what policies select"})
		s, err = r.Read(ctx, snapshot.Scope{Budgets: true})
	}
	if apierrors.IsForbidden(err) {
		r.unread = append(r.unread, snapshot.Unread{What: "nodes", Error: err.Error(), Means: "what is wrong with nodes, and what policies select"})
		s, err = r.Read(ctx, snapshot.Scope{Nodes: []string{}, Budgets: true})
	}
	if err != nil {
		return nil, err
	}
	s.Unread = append(s.Unread, r.unread...)
	return s, nil
}

// inAllOrOne lists in all namespaces; without permission for that, in that of the controller.
func inAllOrOne[T any](r *doctorReader, what string, list func(namespace string) ([]T, error)) ([]T, error) {
	all, err := list(metav1.NamespaceAll)
	if !apierrors.IsForbidden(err) {
		return all, err
	}
	r.unread = append(r.unread, snapshot.Unread{
		What: what + " in other namespaces than " + r.manager.Namespace, Error: err.Error(), Means: "whether there is a second taint-manager",
	})
	return list(r.manager.Namespace)
}

// leases reads the Leases of taint-manager, and those of its dry runs.
func (r *doctorReader) leases(ctx context.Context) (all []coordinationv1.Lease, err error) {
	for _, name := range []string{r.manager.Lease, doctor.DryRunLease(r.manager.Lease)} {
		options := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()}
		some, err := inAllOrOne(r, "Leases "+name, func(namespace string) ([]coordinationv1.Lease, error) {
			return snapshot.List(ctx, r.Reader, "Leases", options, r.Kube.CoordinationV1().Leases(namespace).List, snapshot.Whole[coordinationv1.Lease])
		})
		if apierrors.IsForbidden(err) {
			var lease *coordinationv1.Lease
			if lease, err = r.Kube.CoordinationV1().Leases(r.manager.Namespace).Get(ctx, name, metav1.GetOptions{}); err == nil {
				some = append(some, *lease)
			}
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// controllerManagers reads the pods of kube-controller-manager, by the labels of kubeadm and of others.
func (r *doctorReader) controllerManagers(ctx context.Context) (all []v1.Pod, err error) {
	for _, label := range []string{"component", "k8s-app"} {
		options := metav1.ListOptions{LabelSelector: label + "=kube-controller-manager"}
		some, err := snapshot.List(ctx, r.Reader, "pods of kube-controller-manager", options, r.Kube.CoreV1().Pods(metav1.NamespaceSystem).List, snapshot.Whole[v1.Pod])
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// crd reads the CustomResourceDefinition of policies. It returns nil if there is none.
func (r *doctorReader) crd(ctx context.Context) (*unstructured.Unstructured, error) {
	wanted, err := manifests.PolicyCRD()
	if err != nil {
		return nil, err
	}
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	crd, err := r.Dynamic.Resource(crds).Get(ctx, wanted.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return crd, err
}

// serviceAccount returns the name by which the API server knows the controller.
func serviceAccount(c *doctor.Cluster) string {
	name := "taint-manager"
	for i := range c.Deployments.Value {
		if d := &c.Deployments.Value[i]; d.Namespace == c.Namespace && d.Spec.Template.Spec.ServiceAccountName != "" {
			name = d.Spec.Template.Spec.ServiceAccountName
		}
	}
	return "system:serviceaccount:" + c.Namespace + ":" + name
}

// access asks what the service account may do, and what the user may.
func (r *doctorReader) access(ctx context.Context, c *doctor.Cluster) error {
	needs, err := r.manager.permissions()
	if err != nil {
		return err
	}
	groups := []string{"system:serviceaccounts", "system:serviceaccounts:" + c.Namespace, "system:authenticated"}
	c.Access.Value, c.Access.Err = review(ctx, needs, func(ctx context.Context, attributes *authorizationv1.ResourceAttributes) (bool, error) {
		answer, err := r.Kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: c.ServiceAccount, Groups: groups, ResourceAttributes: attributes},
		}, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return answer.Status.Allowed, nil
	})
	c.OwnAccess.Value, c.OwnAccess.Err = review(ctx, r.manager.ownReads(), func(ctx context.Context, attributes *authorizationv1.ResourceAttributes) (bool, error) {
		answer, err := r.Kube.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes},
		}, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return answer.Status.Allowed, nil
	})
	return nil
}

// permissions are those of the manifests, with the names of the Leases and of the ConfigMap that the controller has. Without a ConfigMap it needs none
// for that.
func (m Manager) permissions() (needs []authorizationv1.ResourceAttributes, err error) {
	all, err := manifests.Permissions(m.Namespace)
	if err != nil {
		return nil, err
	}
	names := map[string]string{
		"leases/" + defaultLease:                     m.Lease,
		"leases/" + doctor.DryRunLease(defaultLease): doctor.DryRunLease(m.Lease),
		"configmaps/" + defaultConfigMap:             m.ConfigMap,
	}
	for _, one := range all {
		if name, known := names[one.Resource+"/"+one.Name]; known {
			if name == "" {
				continue
			}
			one.Name = name
		}
		needs = append(needs, one)
	}
	return needs, nil
}

// ownReads are what the verbs of the plugin read.
func (m Manager) ownReads() []authorizationv1.ResourceAttributes {
	reads := []authorizationv1.ResourceAttributes{
		{Verb: "list", Resource: "nodes"},
		{Verb: "list", Resource: "pods"},
		{Verb: "list", Resource: "namespaces"},
		{Verb: "list", Group: "events.k8s.io", Resource: "events"},
		{Verb: "list", Group: "policy", Resource: "poddisruptionbudgets"},
		{Verb: "list", Group: "policy.taint-manager.io", Resource: "taintevictionpolicies"},
		{Verb: "get", Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"},
		{Verb: "list", Group: "apps", Resource: "deployments"},
		{Verb: "list", Group: "coordination.k8s.io", Resource: "leases"},
		{Verb: "create", Group: "authorization.k8s.io", Resource: "subjectaccessreviews"},
	}
	if m.ConfigMap != "" {
		reads = append(reads, authorizationv1.ResourceAttributes{Verb: "get", Resource: "configmaps", Name: m.ConfigMap, Namespace: m.Namespace})
	}
	return reads
}

// review asks about permissions, several at a time.
func review(ctx context.Context, needs []authorizationv1.ResourceAttributes,
	ask func(context.Context, *authorizationv1.ResourceAttributes) (bool, error)) ([]doctor.Access, error) {
	all := make([]doctor.Access, len(needs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(reviewsAtOnce)
	for i := range needs {
		group.Go(func() error {
			allowed, err := ask(ctx, &needs[i])
			all[i] = doctor.Access{ResourceAttributes: needs[i], Allowed: allowed}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("access review: %w", err)
	}
	return all, nil
}
