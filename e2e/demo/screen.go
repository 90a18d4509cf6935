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

package main

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// widest is what text is wrapped to where there is room for more.
const widest = 100

// screen prints lines and, on a terminal, a block below them that is drawn again and again in the same place.
type screen struct {
	out    *os.File
	live   bool // the block is shown
	colour bool

	mu    sync.Mutex
	block []string // as it stands on the terminal
}

func newScreen(out *os.File, getenv func(string) string) *screen {
	terminal := term.IsTerminal(int(out.Fd())) && getenv("TERM") != "dumb"
	return &screen{out: out, live: terminal, colour: terminal && getenv("NO_COLOR") == ""}
}

// say prints a line, above the block if there is one.
func (s *screen) say(l line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := l.render(0, s.colour) + "\n" // not cut: what is too long is wrapped
	if s.live {
		// Wipes the block, and a ^C that the terminal echoed.
		text = s.up() + "\x1b[J" + text + strings.Join(s.block, "")
	}
	s.write(text)
}

// paragraph prints text in one style, wrapped between words and indented.
func (s *screen) paragraph(indent int, text string, style style) {
	width, _ := s.size()
	margin := strings.Repeat(" ", indent)
	for _, each := range wrap(text, min(width, widest)-indent) {
		s.say(line{{margin + each, style}})
	}
}

// size of the terminal, or what passes for it.
func (s *screen) size() (width, height int) {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return widest, 24
	}
	return width, height
}

// draw replaces the block: head and foot say how many of its lines stay at its ends if the terminal is too low for all.
func (s *screen) draw(block []line, head, foot int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live {
		return
	}
	width, height := s.size()
	up := s.up()
	s.block = s.block[:0]
	for _, l := range fit(block, head, foot, height-1) {
		s.block = append(s.block, l.render(width-1, s.colour)+"\x1b[K\n")
	}
	s.write(up + strings.Join(s.block, "") + "\x1b[J")
}

// leave lets the block stand as it is, and goes on below it.
func (s *screen) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.block = nil
}

// up goes to the first line of the block.
func (s *screen) up() string {
	if len(s.block) == 0 {
		return "\r"
	}
	return fmt.Sprintf("\r\x1b[%dA", len(s.block))
}

// write is one call for each change, so that a terminal shows no half of it.
func (s *screen) write(text string) {
	// If nobody can be told, there is nobody to tell that to.
	_, _ = s.out.WriteString(text)
}
