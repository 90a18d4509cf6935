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

package deadline

import "time"

// Source is what dates the start of a taint.
type Source string

const (
	// ByTimeAdded is the timeAdded of the taint.
	ByTimeAdded Source = "TimeAdded"
	// ByLastChange is the API server's time of the last change of spec.taints, from managedFields.
	ByLastChange Source = "ManagedFields"
	// ByRecord is the record in the ConfigMap of the controller.
	ByRecord Source = "ConfigMap"
	// ByFirstSight says that nothing dates it: only the process of the controller knows when it first saw the taint.
	ByFirstSight Source = "FirstSight"
)

// Evidence is what dates a taint. Decide does not read it: it is for those who say why a pod goes.
type Evidence struct {
	// Start dates Taint.Start, and Period dates Taint.Period. Period is zero for all but the not-ready taints.
	Start, Period Dated
}

// Dated is a time, and what says so.
type Dated struct {
	By Source
	// At is an API time, the end of the second that is stored; but a local time if By is ByFirstSight.
	At time.Time
}
