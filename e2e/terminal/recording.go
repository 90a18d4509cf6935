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
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/vt"
)

// recording is what a program wrote to a terminal, and the sizes of that.
type recording struct {
	columns, rows int
	began         time.Time

	lock   sync.Mutex
	events []event
}

// event is output (o) or another size (r), as in asciicast v2.
type event struct {
	at         time.Duration
	code, data string
}

func (r *recording) add(code, data string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if data != "" {
		r.events = append(r.events, event{time.Since(r.began), code, data})
	}
}

// asciicast returns the recording in the format asciicast v2. No pause is longer than some time.
func (r *recording) asciicast(pause time.Duration) []byte {
	var out bytes.Buffer
	line := func(value any) {
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(value) // it is made of text and numbers
	}
	line(map[string]any{"version": 2, "width": r.columns, "height": r.rows, "timestamp": r.began.Unix()})
	var last, at time.Duration
	for _, e := range r.events {
		at += min(e.at-last, pause)
		last = e.at
		line([]any{float64(at.Milliseconds()) / 1000, e.code, e.data})
	}
	return out.Bytes()
}

// Frame is a picture on the terminal.
type Frame struct {
	// Seconds is when it was shown, after the beginning.
	Seconds float64 `json:"seconds"`
	Columns int     `json:"columns"`
	Rows    int     `json:"rows"`
	// Lines are those down to the last that is not empty, without spaces at their ends.
	Lines []string `json:"lines"`
	// Wrapped are lines that are longer than the terminal is wide.
	Wrapped []string `json:"wrapped,omitempty"`
	// Scrolled is how many lines have left the picture at the top.
	Scrolled int    `json:"scrolled"`
	Cursor   Cursor `json:"cursor"`

	// drawn are the lines with their colours.
	drawn [][]span
}

// Cursor is where the cursor is, from 0.
type Cursor struct {
	Column int  `json:"column"`
	Row    int  `json:"row"`
	Hidden bool `json:"hidden"`
}

const (
	// together is for how long what comes one after another is one picture: a write may be read in pieces.
	together = 20 * time.Millisecond
	// endless is the width of a terminal that wraps nothing.
	endless = 1000
)

// frames replays the recording, and returns each picture.
func (r *recording) frames() (frames []Frame, err error) {
	columns, rows := r.columns, r.rows
	screen, wide := vt.NewEmulator(columns, rows), vt.NewEmulator(endless, rows)
	for i, e := range r.events {
		switch e.code {
		case "r":
			if _, err := fmt.Sscanf(e.data, "%dx%d", &columns, &rows); err != nil {
				return nil, fmt.Errorf("size %q: %w", e.data, err)
			}
			screen.Resize(columns, rows)
			wide.Resize(endless, rows)
			continue
		default:
			if _, err := screen.WriteString(e.data); err != nil {
				return nil, fmt.Errorf("output after %s: %w", e.at, err)
			}
			if _, err := wide.WriteString(e.data); err != nil {
				return nil, fmt.Errorf("output after %s: %w", e.at, err)
			}
		}
		if i+1 < len(r.events) && r.events[i+1].code == "o" && r.events[i+1].at-e.at < together {
			continue
		}
		position := screen.CursorPosition()
		frame := Frame{
			Seconds: e.at.Seconds(), Columns: columns, Rows: rows, Lines: linesOf(screen.String()), Scrolled: screen.ScrollbackLen(),
			Cursor: Cursor{Column: position.X, Row: position.Y, Hidden: screen.CursorHidden()}, drawn: spansOf(screen),
		}
		for _, line := range linesOf(wide.String()) {
			if utf8.RuneCountInString(line) > columns {
				frame.Wrapped = append(frame.Wrapped, line)
			}
		}
		frames = append(frames, frame)
	}
	return frames, nil
}

func linesOf(picture string) []string {
	lines := strings.Split(strings.ReplaceAll(picture, "\r", ""), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
