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

package apitest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// continuation is a token for the next page of a list.
type continuation struct {
	Version uint64 `json:"rv"`
	After   string `json:"start"`
}

// list answers with all objects, or a page of them. With the resource version "0" it is as old as what reaches watches by now,
// like a list from a watch cache; otherwise it is as of now, and its further pages are as of the first one.
func (s *Server) list(r request) answer {
	selector, err := fields.ParseSelector(r.query.Get("fieldSelector"))
	if err != nil {
		return failure(apierrors.NewBadRequest(err.Error()))
	}
	limit, _ := strconv.Atoi(r.query.Get("limit")) // 0 where there is none
	if s.MaxPage > 0 && limit > 0 {
		limit = min(limit, s.MaxPage)
	}
	page := continuation{Version: s.version}
	if token := r.query.Get("continue"); token != "" {
		data, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || json.Unmarshal(data, &page) != nil {
			return failure(apierrors.NewBadRequest("continue key is not valid: " + token))
		}
		if page.Version < s.compacted[r.resource] {
			return failure(apierrors.NewResourceExpired("The provided continue parameter is too old to display a consistent list result."))
		}
	} else if r.query.Get("resourceVersion") == "0" {
		page.Version, limit = s.cached(r), 0
	}
	var items []runtime.Object
	list, last := newList(r.resource), ""
	for _, o := range s.at(r, page.Version) {
		switch {
		case r.namespace != "" && o.GetNamespace() != r.namespace, !selects(selector, o), keyOf(o) <= page.After:
		case limit > 0 && len(items) == limit:
			list.SetContinue(base64.RawURLEncoding.EncodeToString(encode(continuation{page.Version, last})))
			list.SetRemainingItemCount(ptr.To(ptr.Deref(list.GetRemainingItemCount(), 0) + 1))
		default:
			items, last = append(items, o), keyOf(o)
		}
	}
	if !selector.Empty() {
		list.SetRemainingItemCount(nil)
	}
	list.SetResourceVersion(strconv.FormatUint(page.Version, 10))
	if err := meta.SetList(list, items); err != nil {
		panic(err) // all lists are of what they hold
	}
	return success(list)
}

// cached is the version up to which a watch cache of the resource is that lags as watches of the client do.
func (s *Server) cached(r request) uint64 {
	lag := s.lagOf(r.client, r.resource)
	for i := len(s.history) - 1; i >= 0 && lag > 0; i-- {
		if time.Since(s.history[i].at) >= lag {
			return max(s.history[i].version, s.compacted[r.resource])
		}
	}
	return s.version
}

// at are the objects of a resource as they were at a version, in the order of their keys.
func (s *Server) at(r request, version uint64) []object {
	now := map[string]object{}
	for key, o := range s.objects[r.resource] {
		now[key] = o
	}
	if version < s.version {
		clear(now)
		for _, c := range s.history {
			switch {
			case c.version > version || c.resource != r.resource:
			case c.kind == deleted:
				delete(now, keyOf(c.object))
			default:
				now[keyOf(c.object)] = c.object
			}
		}
	}
	var objects []object
	for _, o := range now {
		objects = append(objects, o)
	}
	slices.SortFunc(objects, func(a, b object) int { return cmp.Compare(keyOf(a), keyOf(b)) })
	return objects
}

var kinds = map[string]string{
	"pods": "Pod", "nodes": "Node", "events": "Event", "configmaps": "ConfigMap", "leases": "Lease", "poddisruptionbudgets": "PodDisruptionBudget",
	"namespaces": "Namespace", policies: "TaintEvictionPolicy",
}

// groupVersion and groupResource are those of a resource.
func groupVersion(resource string) schema.GroupVersion {
	switch resource {
	case "leases":
		return coordinationv1.SchemeGroupVersion
	case "poddisruptionbudgets":
		return policyv1.SchemeGroupVersion
	case policies:
		return v1alpha1.GroupVersion
	default:
		return v1.SchemeGroupVersion
	}
}

func groupResource(resource string) schema.GroupResource {
	return groupVersion(resource).WithResource(resource).GroupResource()
}

// objectList is a list of objects.
type objectList interface {
	runtime.Object
	metav1.ListInterface
}

// newObject makes an object of a resource, and newList a list of them.
func newObject(resource string) object {
	switch resource {
	case "pods":
		return &v1.Pod{}
	case "nodes":
		return &v1.Node{}
	case "events":
		return &v1.Event{}
	case "configmaps":
		return &v1.ConfigMap{}
	case "poddisruptionbudgets":
		return &policyv1.PodDisruptionBudget{}
	case "namespaces":
		return &v1.Namespace{}
	case policies:
		return &v1alpha1.TaintEvictionPolicy{}
	default:
		return &coordinationv1.Lease{}
	}
}

func newList(resource string) objectList {
	var list objectList
	switch resource {
	case "pods":
		list = &v1.PodList{}
	case "nodes":
		list = &v1.NodeList{}
	case "events":
		list = &v1.EventList{}
	case "configmaps":
		list = &v1.ConfigMapList{}
	case "poddisruptionbudgets":
		list = &policyv1.PodDisruptionBudgetList{}
	case "namespaces":
		list = &v1.NamespaceList{}
	case policies:
		list = &v1alpha1.TaintEvictionPolicyList{}
	default:
		list = &coordinationv1.LeaseList{}
	}
	list.GetObjectKind().SetGroupVersionKind(groupVersion(resource).WithKind(kinds[resource] + "List"))
	return list
}

// selects says whether a field selector selects an object. The model knows the fields that the controller asks for.
func selects(selector fields.Selector, o object) bool {
	known := fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()}
	if pod, isPod := o.(*v1.Pod); isPod {
		known["spec.nodeName"] = pod.Spec.NodeName
	}
	return selector.Matches(known)
}
