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
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
)

// screen shows pictures in one place of a terminal, each in place of the one before. The cursor is below, at the beginning of a line, so that
// whatever ends the plugin leaves a terminal that can be typed into.
type screen struct {
	out io.Writer
	// size returns the width and the height of the terminal. 0 is not known.
	size func() (width, height int)
	// lines is how many the picture has that is shown, on a terminal of width and height.
	lines, width, height int
}

// newScreen returns a screen on a terminal.
func (c *Common) newScreen() *screen {
	return &screen{out: c.Out, size: func() (width, height int) {
		file, is := c.Out.(*os.File)
		if !is {
			return 0, 0
		}
		if width, height, err := term.GetSize(int(file.Fd())); err == nil {
			return width, height
		}
		return 0, 0
	}}
}

// draw shows a picture. What does not fit is cut: a line that a terminal wraps, or one that has left it, cannot be drawn over.
func (s *screen) draw(picture string) error {
	width, height := s.size()
	var frame strings.Builder
	switch {
	case s.lines > 0 && width != s.width: // a terminal may have wrapped the lines: nobody knows where the picture begins
		frame.WriteString("\x1b[H\x1b[2J")
	case s.lines > 0:
		fmt.Fprintf(&frame, "\r\x1b[%dA", s.lines)
	}
	lines := slices.Collect(strings.SplitSeq(strings.TrimSuffix(picture, "\n"), "\n"))
	if room := height - 1; height > 0 && len(lines) > room {
		more := fmt.Sprintf("… and %s, for a higher terminal", text.Count(len(lines)-max(0, room-1), "more line"))
		lines = append(lines[:max(0, room-1)], more)
	}
	for _, line := range lines {
		if width > 0 {
			line = text.Cut(line, width)
		}
		frame.WriteString(line + "\x1b[K\n")
	}
	frame.WriteString("\x1b[J")
	s.lines, s.width, s.height = len(lines), width, height
	_, err := io.WriteString(s.out, frame.String())
	return err
}

// resized reports whether the terminal has another size than the picture was drawn for.
func (s *screen) resized() bool {
	width, height := s.size()
	return width != s.width || height != s.height
}

// leave lets the picture stand as it is, and wipes what has been typed below it, such as ^C.
func (s *screen) leave() error {
	s.lines = 0
	_, err := io.WriteString(s.out, "\r\x1b[J")
	return err
}
