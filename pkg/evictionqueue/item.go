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

package evictionqueue

import (
	"time"
	"unique"

	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// Pod identifies a pod. The UID alone is its identity.
type Pod struct {
	UID             types.UID
	Namespace, Name string
	Node            string
	// Priority is spec.priority: of the pods that fall due on a node at the same moment, those of lower priority go first.
	Priority int32
	// Cause is what the deadline comes from, for whoever wants to know that when the pod is handed out or cancelled. The zero handle is none.
	Cause unique.Handle[deadline.Cause]
}

// Item is a pod that is due.
type Item struct {
	Pod
	// Deadline is the deadline when the item was handed out.
	Deadline time.Time
	// FailedAttempts counts the attempts that failed since the pod was first set. The reset of a backoff sets it to 1. It stops at 32767.
	FailedAttempts int
	// Rechecks counts the attempts that ended with Recheck or Park since the last failed one. It stops at 255.
	Rechecks int
}

// Cancelled is a pod as it was scheduled when it was cancelled.
type Cancelled struct {
	Item
	// InFlight says that an attempt goes on. Its caller finds out with Due, and when the attempt ends.
	InFlight bool
}
