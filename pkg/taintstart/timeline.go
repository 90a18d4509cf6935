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

package taintstart

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// maxTimelineEntries bounds the timeline to more than two minutes: there is at most one entry per second.
const maxTimelineEntries = 128

// timelineEntry says that everything after a resourceVersion happened after an API time.
type timelineEntry struct {
	version uint64
	time    time.Time
}

// timeline maps resourceVersions of nodes to API times. A change is later than each entry with a smaller resourceVersion.
// That dates the removal of a last taint.
type timeline struct {
	// entries are in ascending order of both.
	entries []timelineEntry
}

// add adds an entry, unless it is known already.
func (m *timeline) add(version uint64, at time.Time) {
	if version == 0 || at.IsZero() {
		return
	}
	if !m.lowerBound(version).Before(at) {
		return
	}
	i, _ := slices.BinarySearchFunc(m.entries, version, func(e timelineEntry, v uint64) int { return cmp.Compare(e.version, v) })
	end := i
	for end < len(m.entries) && !m.entries[end].time.After(at) {
		end++ // the new entry implies these
	}
	m.entries = slices.Replace(m.entries, i, end, timelineEntry{version, at})
	if len(m.entries) > maxTimelineEntries {
		m.entries = slices.Delete(m.entries, 0, len(m.entries)-maxTimelineEntries)
	}
}

// lowerBound returns the latest time that is known to be before everything after a version, or zero.
func (m *timeline) lowerBound(version uint64) time.Time {
	i, found := slices.BinarySearchFunc(m.entries, version, func(e timelineEntry, v uint64) int { return cmp.Compare(e.version, v) })
	if found {
		i++
	}
	if i == 0 {
		return time.Time{}
	}
	return m.entries[i-1].time
}

// last returns the time of the last entry, or zero.
func (m *timeline) last() time.Time {
	if len(m.entries) == 0 {
		return time.Time{}
	}
	return m.entries[len(m.entries)-1].time
}

// versionOf returns a resourceVersion as a number (KEP-5504), or 0.
func versionOf(resourceVersion string) uint64 {
	version, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return version
}

// bookmark says that a watch has reached a version, once the event before it has been observed.
type bookmark struct{ after, version uint64 }

// watchProgress is how far a list and the watch after it have been observed.
type watchProgress struct {
	list     uint64
	observed uint64
	pending  []bookmark
}

// observe records that the event of a version has been observed.
func (s *watchProgress) observe(version uint64) {
	s.observed = max(s.observed, version)
	for len(s.pending) > 0 && s.pending[0].after <= s.observed {
		s.observed = max(s.observed, s.pending[0].version)
		s.pending = s.pending[1:]
	}
}
