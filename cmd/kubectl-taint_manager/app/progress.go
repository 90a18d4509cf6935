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

package app

import (
	"fmt"
	"io"
	"time"
)

// progress says what is being read once that takes more than a second: on a terminal in one line, elsewhere not at all.
type progress struct {
	out      io.Writer
	terminal bool
	// began is when reading began. Zero is when the next page comes.
	began time.Time
	shown bool
	last  time.Time
}

const (
	// quiet is for how long nothing is said, and progressInterval the time between two updates.
	quiet, progressInterval = time.Second, 100 * time.Millisecond
)

func (p *progress) show(resource string, objects int) {
	now := time.Now()
	if p.began.IsZero() {
		p.began = now
	}
	if !p.terminal || now.Sub(p.began) < quiet || now.Sub(p.last) < progressInterval {
		return
	}
	p.shown, p.last = true, now
	fmt.Fprintf(p.out, "\r\x1b[KReading %s: %d so far", resource, objects)
}

// done removes the line. What is read next is timed by itself.
func (p *progress) done() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	p.shown, p.began = false, time.Time{}
}
