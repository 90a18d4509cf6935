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
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/manifests"
	"github.com/taint-manager/taint-manager/pkg/permission"
)

// account is the user whose requests are in the audit log: what the manifests deploy. Tests that withhold permissions use
// accounts of other names.
const account = "system:serviceaccount:" + launcher.Namespace + ":" + launcher.Name

// audit is the API server's log of what that account asks for.
type audit struct{ *controlplane.AuditLog }

func newAudit() (*audit, error) {
	dir, err := os.MkdirTemp("", "taint-manager-audit-")
	if err != nil {
		return nil, fmt.Errorf("directory of the audit log: %w", err)
	}
	log, err := controlplane.NewAuditLog(dir, "users", account)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &audit{log}, nil
}

func (a *audit) remove() error { return os.RemoveAll(a.Dir) }

// read calls a function for each event.
func (a *audit) read(each func(*auditv1.Event)) error {
	file, err := os.Open(a.Path())
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	defer file.Close()
	return controlplane.ReadAudit(file, each)
}

// Requests returns what the account of a deployment has asked the API server for since a time, by its audit log. A request that has not
// been answered to its end, such as a watch, is not in it yet.
func (s *Scene) Requests(since time.Time) (requests []*auditv1.Event) {
	s.T.Helper()
	s.Must(s.cluster.audit.read(func(event *auditv1.Event) {
		if !event.RequestReceivedTimestamp.Time.Before(since) {
			requests = append(requests, event)
		}
	}))
	return requests
}

// covers says whether a permission is what a request was allowed by.
func covers(p *authorizationv1.ResourceAttributes, event *auditv1.Event) bool {
	ref := event.ObjectRef
	return ref != nil && event.Verb == p.Verb && ref.APIGroup == p.Group && (p.Namespace == "" || p.Namespace == ref.Namespace) &&
		ref.Resource == p.Resource && ref.Subresource == p.Subresource && (p.Name == "" || p.Name == ref.Name)
}

// compare prints, for each permission that is granted, how often it was used, and returns an error for each that was not, and
// for each request that was always forbidden. An API server that has just started knows of no roles yet: what it refuses, and
// was allowed at another time, tells nothing.
func (a *audit) compare(out io.Writer) error {
	grants, err := manifests.Permissions(launcher.Namespace)
	if err != nil {
		return err
	}
	used := make([]int, len(grants))
	others, refused, whole := map[string]string{}, sets.New[string](), sets.New[string]()
	err = a.read(func(event *auditv1.Event) {
		i := slices.IndexFunc(grants, func(p authorizationv1.ResourceAttributes) bool { return covers(&p, event) })
		path, _, _ := strings.Cut(event.RequestURI, "?")
		request := event.Verb + " " + path
		if unlimited(event) {
			whole.Insert(event.RequestURI)
		}
		switch {
		case i >= 0 && allowed(event):
			used[i]++
		case i >= 0: // reported where it is never used
		case allowed(event):
			others[request] = event.Annotations["authorization.k8s.io/reason"]
		default:
			refused.Insert(request)
		}
	})
	if err != nil {
		return err
	}
	if whole.Len() > 0 {
		err = fmt.Errorf("lists that are not in pages: %s", sets.List(whole))
	}
	return errors.Join(report(out, grants, used, others, refused), err)
}

// unlimited reports whether a request is a list of pods or nodes that the API server answers all at once: without a limit, or from its
// cache, where older ones know no limits.
func unlimited(event *auditv1.Event) bool {
	if ref := event.ObjectRef; event.Verb != "list" || ref == nil || ref.Resource != "pods" && ref.Resource != "nodes" {
		return false
	}
	uri, err := url.ParseRequestURI(event.RequestURI)
	return err != nil || !uri.Query().Has("limit") || uri.Query().Get("resourceVersion") == "0"
}

func allowed(event *auditv1.Event) bool {
	return event.Annotations["authorization.k8s.io/decision"] == "allow"
}

func report(out io.Writer, grants []authorizationv1.ResourceAttributes, used []int, others map[string]string, refused sets.Set[string]) error {
	var errs []error
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "granted by the manifests\tused")
	for i := range grants {
		grant := permission.String(&grants[i])
		fmt.Fprintf(table, "%s\t%d\n", grant, used[i])
		if used[i] == 0 {
			errs = append(errs, fmt.Errorf("the manifests grant what nothing used: %s", grant))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, request := range slices.Sorted(maps.Keys(others)) {
		fmt.Fprintf(out, "allowed by others: %s (%s)\n", request, others[request])
	}
	for _, request := range sets.List(refused.Difference(sets.KeySet(others))) {
		errs = append(errs, fmt.Errorf("the manifests do not grant what was asked for: %s", request))
	}
	return errors.Join(errs...)
}
