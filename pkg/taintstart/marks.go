package taintstart

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// maxMarks bounds the marks that are kept: two minutes and more of them, since there is one a second at most.
const maxMarks = 128

// mark says that what happened after a resourceVersion happened after a time of the API server's clock.
type mark struct {
	version uint64
	time    time.Time
}

// marks connect resourceVersions of nodes with the API server's clock. The API does not date the removal of a last taint, but
// it numbers it: so a removal is later than each mark of a smaller resourceVersion.
type marks struct {
	// list is in ascending order of both.
	list []mark
}

// add takes in a mark.
func (m *marks) add(version uint64, at time.Time) {
	if version == 0 || at.IsZero() {
		return
	}
	if !m.upTo(version).Before(at) {
		return // known already
	}
	i, _ := slices.BinarySearchFunc(m.list, version, func(e mark, v uint64) int { return cmp.Compare(e.version, v) })
	end := i
	for end < len(m.list) && !m.list[end].time.After(at) {
		end++ // these say less
	}
	m.list = slices.Replace(m.list, i, end, mark{version, at})
	if len(m.list) > maxMarks {
		m.list = slices.Delete(m.list, 0, len(m.list)-maxMarks)
	}
}

// upTo returns the latest time that is known to be before all that happened after a version; zero where there is none.
func (m *marks) upTo(version uint64) time.Time {
	i, found := slices.BinarySearchFunc(m.list, version, func(e mark, v uint64) int { return cmp.Compare(e.version, v) })
	if found {
		i++
	}
	if i == 0 {
		return time.Time{}
	}
	return m.list[i-1].time
}

// last returns the time of the last mark, or zero.
func (m *marks) last() time.Time {
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

// bookmark says that a watch has reached a version, once the event before it has been observed.
type bookmark struct{ after, version uint64 }

// stream is how far a list and the watch after it have been observed.
type stream struct {
	list    uint64
	reached uint64
	pending []bookmark
}

// observe takes in that the event of a version has been observed.
func (s *stream) observe(version uint64) {
	s.reached = max(s.reached, version)
	for len(s.pending) > 0 && s.pending[0].after <= s.reached {
		s.reached = max(s.reached, s.pending[0].version)
		s.pending = s.pending[1:]
	}
}
