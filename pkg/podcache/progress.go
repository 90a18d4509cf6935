package podcache

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// staleAfter is how long a list may make no progress until the source counts as blind, and refusedAfter is that where the API
	// server refuses lists and watches or cannot be reached: it does so to others too, and the reflector's backoff ends in a minute.
	staleAfter, refusedAfter = 15 * time.Second, 90 * time.Second
	// stallAfter is how long a streaming list may bring nothing until it is given up: longer than dialling and a TLS handshake may
	// take, 30 s and 10 s.
	stallAfter = 45 * time.Second
	// maxCuts is how many streaming lists in a row may end before they are complete.
	maxCuts = 2
	// pagedFor is how long lists are not streamed after that did not work.
	pagedFor = time.Hour
)

// errStalled is why a streaming list was given up.
var errStalled = errors.New("the streaming list makes no progress")

// progress is how far a source has come with keeping up: it lists, and then watches. It is safe for concurrent use.
type progress struct {
	lock sync.Mutex
	// moved is when the list last made progress or the watch was lost, or zero while a watch keeps up.
	moved time.Time
	// cuts counts streaming lists that ended before they were complete, since one that was, and pages is how many pages of a list were
	// read at most since then.
	cuts, pages int
	// pagedUntil is until when lists are not streamed.
	pagedUntil time.Time
}

// begin notes that a list begins, or that a watch cannot be opened.
func (p *progress) begin() {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.moved.IsZero() {
		p.moved = time.Now()
	}
}

// move notes that a list makes progress.
func (p *progress) move() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.moved = time.Now()
}

// page notes that so many pages of a list have been read. Pages that were read before, by a list that failed then, are no progress.
func (p *progress) page(number int) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if number > p.pages {
		p.moved, p.pages = time.Now(), number
	}
}

// complete notes that a list is complete, or that a watch goes on where the one before ended.
func (p *progress) complete() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.moved, p.cuts, p.pages = time.Time{}, 0, 0
}

// cut notes that a streaming list ended before it was complete, and reports whether that has happened too often.
func (p *progress) cut() bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.cuts++
	return p.cuts >= maxCuts
}

// beginPaged has lists not be streamed for some time.
func (p *progress) beginPaged() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.pagedUntil, p.cuts = time.Now().Add(pagedFor), 0
}

// plain reports whether lists are not streamed at the moment.
func (p *progress) paged() bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	return time.Now().Before(p.pagedUntil)
}

// idle returns for how long there has been no progress, or 0 while a watch keeps up.
func (p *progress) idle() time.Duration {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.moved.IsZero() {
		return 0
	}
	return time.Since(p.moved)
}

// Stale returns why changes escape this source at the moment and have done so for a while, or nil.
func (s *Source) Stale() error {
	idle, cause := s.progress.idle(), s.failure.Load()
	switch {
	case cause == nil && idle > staleAfter:
		return fmt.Errorf("%s are not kept up to date: their list has made no progress for %s", s.resource, idle.Round(time.Second))
	case cause != nil && idle > refusedAfter:
		return fmt.Errorf("%s are not kept up to date for %s: %w", s.resource, idle.Round(time.Second), *cause)
	default:
		return nil
	}
}
