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

package permission

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
)

func TestString(t *testing.T) {
	for want, r := range map[string]authorizationv1.ResourceAttributes{
		"list pods":                 {Verb: "list", Resource: "pods"},
		"create pods/eviction":      {Verb: "create", Resource: "pods", Subresource: "eviction"},
		"get leases.x a in default": {Verb: "get", Resource: "leases", Group: "x", Name: "a", Namespace: "default"},
	} {
		if got := String(&r); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
