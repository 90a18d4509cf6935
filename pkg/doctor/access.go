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
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/taint-manager/taint-manager/pkg/permission"
)

// essential are the resources without which pods are not evicted. What else is missing costs Events, metrics, budgets or a start.
func essential(r *authorizationv1.ResourceAttributes) bool {
	switch r.Resource {
	case "nodes", "leases", "taintevictionpolicies":
		return r.Subresource == ""
	case "pods":
		return r.Subresource == "" || r.Subresource == "eviction"
	}
	return false
}

// checkAccess checks the permissions of the service account.
func checkAccess(c *Cluster) []Finding {
	const check = "Permissions"
	if c.Access.Err != nil {
		return []Finding{{Unknown, check, fmt.Sprintf("Cannot check what %s may do: %s.", c.ServiceAccount, c.Access.Err),
			"Ask with permission to create subjectaccessreviews; or see /readyz?verbose of taint-manager, which names what is missing of the most important ones.", nil}}
	}
	const grant = "Apply manifests/base again, of the version that runs; or grant these to its service account."
	var lost, less []string
	for i := range c.Access.Value {
		one := &c.Access.Value[i]
		switch {
		case one.Allowed:
		case essential(&one.ResourceAttributes):
			lost = append(lost, permission.String(&one.ResourceAttributes))
		default:
			less = append(less, permission.String(&one.ResourceAttributes))
		}
	}
	var findings []Finding
	if len(lost) > 0 {
		findings = append(findings, Finding{Error, check, fmt.Sprintf("%s may not do what evictions need.", c.ServiceAccount), grant, lost})
	}
	if len(less) > 0 {
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("%s may not do what the manifests grant.", c.ServiceAccount), grant, less})
	}
	return orOK(findings, check, fmt.Sprintf("%s has all %d permissions of the manifests.", c.ServiceAccount, len(c.Access.Value)))
}

// checkOwnAccess checks the permissions of the user.
func checkOwnAccess(c *Cluster) []Finding {
	const check = "YourPermissions"
	if c.OwnAccess.Err != nil {
		return unread(check, "what you may do", c.OwnAccess.Err)
	}
	var missing []string
	for i := range c.OwnAccess.Value {
		if one := &c.OwnAccess.Value[i]; !one.Allowed {
			missing = append(missing, permission.String(&one.ResourceAttributes))
		}
	}
	if len(missing) > 0 {
		return []Finding{{Info, check, "You may not read all that the plugin reads. It says so where that matters.", "", missing}}
	}
	return []Finding{{OK, check, "You may read all that the plugin reads.", "", nil}}
}
