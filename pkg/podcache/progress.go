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

package podcache

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// staleAfter is how long a list may make no progress before the source is stale. refusedAfter is the same if the API
	// server refuses lists and watches or cannot be reached. It is longer because other replicas are affected too, and
	// because the reflector's backoff is up to a minute.
	staleAfter, refusedAfter = 15 * time.Second, 90 * time.Second
	// stallAfter is how long a streaming list may deliver nothing before it is given up. It is longer than dialing (30 s)
	// and a TLS handshake (10 s) may take.
	stallAfter = 45 * time.Second
	// maxCuts is the number of streaming lists in a row that may end before they are complete.
	maxCuts = 2
	// pagedFor is how long lists are paged after streaming did not work.
	pagedFor = time.Hour
)

// errStalled is the error of a streaming list that was given up.
var errStalled = errors.New("the streaming list makes no progress")

// progress tracks whether a source lists and then watches. It is safe for concurrent use.
type progress struct {
	lock sync.Mutex
	// moved is when the list last made progress or the watch was lost. It is zero while a watch is up to date.
	moved time.Time
	// cuts counts the streaming lists that ended before they were complete, since the last complete one. pages is the
	// largest number of pages that one list has read since then.
	cuts, pages int
	// pagedUntil is when lists may be streamed again.
	pagedUntil time.Time
}

// begin records that a list begins, or that a watch cannot be opened.
func (p *progress) begin() {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.moved.IsZero() {
		p.moved = time.Now()
	}
}

// move records that a list makes progress.
func (p *progress) move() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.moved = time.Now()
}

// page records that a list has read a number of pages. Pages that an earlier, failed list read already are not progress.
func (p *progress) page(number int) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if number > p.pages {
		p.moved, p.pages = time.Now(), number
	}
}

// complete records that a list is complete, or that a watch resumes where the one before ended.
func (p *progress) complete() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.moved, p.cuts, p.pages = time.Time{}, 0, 0
}

// cut records that a streaming list ended before it was complete. It reports whether that has happened too often.
func (p *progress) cut() bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.cuts++
	return p.cuts >= maxCuts
}

// beginPaged makes lists be paged for some time.
func (p *progress) beginPaged() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.pagedUntil, p.cuts = time.Now().Add(pagedFor), 0
}

// paged reports whether lists are paged now.
func (p *progress) paged() bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	return time.Now().Before(p.pagedUntil)
}

// idle returns how long there has been no progress. It is 0 while a watch is up to date.
func (p *progress) idle() time.Duration {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.moved.IsZero() {
		return 0
	}
	return time.Since(p.moved)
}

// Stale returns an error if the cached objects have not been kept up to date for a while.
func (s *Source) Stale() error {
	idle, cause := s.progress.idle(), s.failure.Load()
	switch {
	case cause == nil && idle > staleAfter:
		return fmt.Errorf("cache of %s is stale: its list has made no progress for %s", s.resource, idle.Round(time.Second))
	case cause != nil && idle > refusedAfter:
		return fmt.Errorf("cache of %s has been stale for %s: %w", s.resource, idle.Round(time.Second), *cause)
	default:
		return nil
	}
}
