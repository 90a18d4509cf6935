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

package v1alpha1

import (
	"fmt"
	"time"
)

// timeFormat has all nine digits of a second, so that times sort as texts do.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

// Time is a time that is written in RFC 3339, in UTC and with nanoseconds.
type Time struct{ time.Time }

// NewTime returns a time. Zero stays zero.
func NewTime(t time.Time) Time { return Time{t.UTC().Round(0)} }

// MarshalJSON writes the time.
func (t Time) MarshalJSON() ([]byte, error) {
	if year := t.UTC().Year(); year < 0 || year > 9999 {
		return nil, fmt.Errorf("year %d: RFC 3339 has years of four digits", year)
	}
	return t.UTC().AppendFormat(nil, `"`+timeFormat+`"`), nil
}
