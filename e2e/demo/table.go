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
	"strings"
	"unicode/utf8"
)

// style is how text looks on a terminal: the parameters of the escape sequence that sets it.
type style string

const (
	normal  style = ""
	bold    style = "1"
	dim     style = "2"
	good    style = "32"
	pending style = "33"
	accent  style = "36"
	bad     style = "1;31"
)

// cell is text in one style, without line breaks.
type cell struct {
	text  string
	style style
}

// line is cells one after the other.
type line []cell

func plain(format string, args ...any) line { return line{{fmt.Sprintf(format, args...), normal}} }

// render cuts the line to a width, unless that is zero, and colours it where colours are wanted.
func (l line) render(width int, colour bool) string {
	var b strings.Builder
	for _, c := range l.cut(width) {
		if colour && c.style != normal {
			fmt.Fprintf(&b, "\x1b[%sm%s\x1b[0m", c.style, c.text)
		} else {
			b.WriteString(c.text)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// cut returns what fits in a width, with an ellipsis where something is missing.
func (l line) cut(width int) line {
	total := 0
	for _, c := range l {
		total += utf8.RuneCountInString(c.text)
	}
	if width == 0 || total <= width {
		return l
	}
	var fitting line
	room := width - 1
	for _, c := range l {
		runes := []rune(c.text)
		if len(runes) >= room {
			return append(fitting, cell{string(runes[:room]) + "…", c.style})
		}
		room -= len(runes)
		fitting = append(fitting, c)
	}
	return fitting
}

// columns aligns the cells of rows one below the other, two spaces apart.
func columns(rows []line) []line {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	aligned := make([]line, len(rows))
	for i, row := range rows {
		for j, c := range row {
			c.text += strings.Repeat(" ", widths[j]-utf8.RuneCountInString(c.text)+2)
			aligned[i] = append(aligned[i], c)
		}
	}
	return aligned
}

// wrap breaks text between words into lines of a width; a word that is longer has a line of its own.
func wrap(text string, width int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		last := len(lines) - 1
		if last >= 0 && utf8.RuneCountInString(lines[last])+1+utf8.RuneCountInString(word) <= width {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// fit shortens a block to a height: head lines stay at the top and foot lines at the bottom, and of those between, the
// ones that do not fit are counted.
func fit(block []line, head, foot, height int) []line {
	if len(block) <= height || height < head+foot+1 {
		return block[:min(len(block), max(height, 0))]
	}
	rows := height - head - foot - 1
	hidden := len(block) - head - foot - rows
	short := append([]line(nil), block[:head+rows]...)
	short = append(short, line{{fmt.Sprintf("… and %d more, for a higher terminal", hidden), dim}})
	return append(short, block[len(block)-foot:]...)
}
