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

import apierrors "k8s.io/apimachinery/pkg/api/errors"

// Delivery is what becomes of an event that is written to a watch.
type Delivery int

const (
	// Written says that it reaches the client.
	Written Delivery = iota
	// Torn says that half of it does, and the connection breaks.
	Torn
	// Swallowed says that it never does, as if there had been none.
	Swallowed
	// Expired says that an error 410 takes its place, and the watch ends.
	Expired
	// TooMany says that an error 429 does.
	TooMany
)

// failed is the event of an error that takes the place of another one.
func (d Delivery) failed() (Event, bool) {
	var err *apierrors.StatusError
	switch d {
	case Expired:
		err = apierrors.NewResourceExpired("too old resource version")
	case TooMany:
		err = apierrors.NewTooManyRequests("slow down", 1)
	default:
		return Event{}, false
	}
	return Event{Type: failed, status: failure(err).object}, true
}
