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

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

// auditedGroup are the users whose requests are logged. All contenders are such accounts; what that costs the API server, it
// costs for each.
const auditedGroup = "system:serviceaccounts:kube-system"

// auditLog is the API server's log of their requests.
type auditLog struct{ *controlplane.AuditLog }

// end is where the log ends now.
func (a *auditLog) end() (int64, error) {
	info, err := os.Stat(a.Path())
	if err != nil {
		return 0, fmt.Errorf("audit log: %w", err)
	}
	return info.Size(), nil
}

// count counts a user's requests that the API server received in a period, in what was logged since an offset.
func (a *auditLog) count(offset int64, user string, during period) (*calls, error) {
	end, err := a.end()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(a.Path())
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	defer file.Close()
	return countCalls(io.NewSectionReader(file, offset, end-offset), user, during)
}

// period is a time from one moment to another, both included.
type period struct{ from, to time.Time }

func (p period) includes(t time.Time) bool { return !t.Before(p.from) && !t.After(p.to) }

// calls are the requests of one contender, as "delete pods", and how often each was made.
type calls struct {
	// eviction are those that each evicted pod costs: on pods, and Events about them.
	eviction map[string]int
	// other are those that do not grow with the pods: the Lease, Events about nodes.
	other map[string]int
	// failed are those that had another answer than success, as "patch pods/status: 409". They are in the others, too.
	failed map[string]int
	// nodeReads are the reads of single nodes.
	nodeReads int
}

func newCalls() *calls {
	return &calls{eviction: map[string]int{}, other: map[string]int{}, failed: map[string]int{}}
}

// countCalls reads a part of an audit log.
func countCalls(log io.Reader, user string, during period) (*calls, error) {
	c := newCalls()
	err := controlplane.ReadAudit(log, func(event *auditv1.Event) {
		if event.User.Username == user && event.ObjectRef != nil && during.includes(event.RequestReceivedTimestamp.Time) {
			c.add(event)
		}
	})
	return c, err
}

func (c *calls) add(event *auditv1.Event) {
	ref := event.ObjectRef
	if ref.Namespace == loneName || strings.HasPrefix(ref.Name, loneName) {
		return // not of the storm
	}
	call := event.Verb + " " + ref.Resource
	if ref.Subresource != "" {
		call += "/" + ref.Subresource
	}
	ofPod := ref.Resource == "pods" && ref.Name != "" ||
		ref.Resource == "events" && ref.Namespace != metav1.NamespaceDefault // where Events about nodes are
	switch {
	case call == "get nodes":
		c.nodeReads++
	case ofPod:
		c.eviction[call]++
	default:
		c.other[call]++
	}
	if status := event.ResponseStatus; status != nil && status.Code >= http.StatusBadRequest {
		c.failed[fmt.Sprintf("%s: %d", call, status.Code)]++
	}
}
