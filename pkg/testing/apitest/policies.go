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
	"net/http"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// policies is the resource of TaintEvictionPolicies.
const policies = "taintevictionpolicies"

// ServePolicies has the model serve policies, or not, as with a CustomResourceDefinition that is made or removed. A model that has just been made
// serves them. All policies go with the definition.
func (s *Server) ServePolicies(served bool) {
	s.lock.Lock()
	s.noPolicies = !served
	if !served {
		for _, policy := range s.objects[policies] {
			s.remove(policies, policy)
		}
		s.version++
		s.compacted[policies] = s.version
	}
	s.lock.Unlock()
	if !served {
		s.cutWatches(func(w *watcher) bool { return w.resource == policies })
	}
}

// Policy is a policy, or nil.
func (s *Server) Policy(name string) *v1alpha1.TaintEvictionPolicy {
	s.lock.Lock()
	defer s.lock.Unlock()
	policy, _ := s.objects[policies]["/"+name].(*v1alpha1.TaintEvictionPolicy)
	return policy.DeepCopy()
}

// knows reports whether the model serves a resource.
func (s *Server) knows(resource string) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.objects[resource] != nil && (resource != policies || !s.noPolicies)
}

// unknown is the answer about a path that is not served.
func unknown(method string) answer {
	return failure(apierrors.NewGenericServerResponse(http.StatusNotFound, method, schema.GroupResource{}, "", "", 0, true))
}

// isDiscovery reports whether a request asks what there is of the group of policies. The model answers no other discovery.
func isDiscovery(req *http.Request) bool {
	return req.Method == http.MethodGet && req.URL.Path == "/apis/"+v1alpha1.GroupVersion.String()
}

// discover answers what there is of the group of policies.
func (s *Server) discover() answer {
	if !s.knows(policies) {
		return unknown(http.MethodGet)
	}
	verbs := metav1.Verbs{"delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"}
	return success(&metav1.APIResourceList{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}, GroupVersion: v1alpha1.GroupVersion.String(),
		APIResources: []metav1.APIResource{
			{Name: policies, SingularName: "taintevictionpolicy", Kind: kinds[policies], Verbs: verbs, ShortNames: []string{"tep"}},
			{Name: policies + "/status", Kind: kinds[policies], Verbs: metav1.Verbs{"get", "patch", "update"}},
		},
	})
}

// merge merges a patch into the JSON of an object.
func (r request) merge(current []byte) ([]byte, error) {
	if r.contentType == string(types.MergePatchType) {
		return jsonpatch.MergePatch(current, r.body)
	}
	return strategicMerge(current, r.body, newObject(r.resource))
}
