package taintstart

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// maxTimelineEntries bounds the timeline that are kept: two minutes and more of them, since there is one a second at most.
const maxTimelineEntries = 128

// timelineEntry says that what happened after a resourceVersion happened after a time of the API server's clock.
type timelineEntry struct {
	version uint64
	time    time.Time
}

// timeline connect resourceVersions of nodes with the API server's clock. The API does not date the removal of a last taint, but
// it numbers it: so a removal is later than each timelineEntry of a smaller resourceVersion.
type timeline struct {
	// list is in ascending order of both.
	list []timelineEntry
}

// add takes in a timelineEntry.
func (m *timeline) add(version uint64, at time.Time) {
	if version == 0 || at.IsZero() {
		return
	}
	if !m.lowerBound(version).Before(at) {
		return // known already
	}
	i, _ := slices.BinarySearchFunc(m.list, version, func(e timelineEntry, v uint64) int { return cmp.Compare(e.version, v) })
	end := i
	for end < len(m.list) && !m.list[end].time.After(at) {
		end++ // these say less
	}
	m.list = slices.Replace(m.list, i, end, timelineEntry{version, at})
	if len(m.list) > maxTimelineEntries {
		m.list = slices.Delete(m.list, 0, len(m.list)-maxTimelineEntries)
	}
}

// lowerBound returns the latest time that is known to be before all that happened after a version; zero where there is none.
func (m *timeline) lowerBound(version uint64) time.Time {
	i, found := slices.BinarySearchFunc(m.list, version, func(e timelineEntry, v uint64) int { return cmp.Compare(e.version, v) })
	if found {
		i++
	}
	if i == 0 {
		return time.Time{}
	}
	return m.list[i-1].time
}

// last returns the time of the last timelineEntry, or zero.
func (m *timeline) last() time.Time {
	if len(m.list) == 0 {
		return time.Time{}
	}
	return m.list[len(m.list)-1].time
}

// versionOf returns a resourceVersion as the number that it is (KEP-5504), or 0.
func versionOf(resourceVersion string) uint64 {
	version, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return version
}

// bookmark says that a watch has observed a version, once the event before it has been observed.
type bookmark struct{ after, version uint64 }

// stream is how far a list and the watch after it have been observed.
type watchProgress struct {
	list     uint64
	observed uint64
	pending  []bookmark
}

// observe takes in that the event of a version has been observed.
func (s *watchProgress) observe(version uint64) {
	s.observed = max(s.observed, version)
	for len(s.pending) > 0 && s.pending[0].after <= s.observed {
		s.observed = max(s.observed, s.pending[0].version)
		s.pending = s.pending[1:]
	}
}
