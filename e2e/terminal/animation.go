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
	"cmp"
	"fmt"
	"html"
	"image/color"
	"strings"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
)

// The animation is drawn with these sizes, in pixels.
const (
	cellWidth, cellHeight = 8, 18
	margin                = 12
	baseline              = 13 // of the text, below the top of its cell
)

// ink is the colour of text that has none, and ground that of the terminal.
var ink, ground = color.RGBA{0xe6, 0xed, 0xf3, 0xff}, color.RGBA{0x0d, 0x11, 0x17, 0xff}

// lastPause is how long the last picture stays before the animation begins again.
const lastPause = 6 * time.Second

// span is text of one style in a line.
type span struct {
	column int
	text   string
	style  uv.Style
}

// spansOf returns the lines of a screen. Spaces that show no colour are in no span, so that each word stands where it has to, whatever the font.
func spansOf(screen *vt.Emulator) [][]span {
	lines := make([][]span, screen.Height())
	for row := range lines {
		var current *span
		for column := 0; column < screen.Width(); column++ {
			cell := screen.CellAt(column, row)
			if cell == nil || cell.Content == "" || cell.Content == " " && cell.Style.Bg == nil && cell.Style.Attrs&uv.AttrReverse == 0 {
				current = nil
				continue
			}
			if current == nil || !current.style.Equal(&cell.Style) {
				lines[row] = append(lines[row], span{column: column, style: cell.Style})
				current = &lines[row][len(lines[row])-1]
			}
			current.text += cell.Content
		}
	}
	return lines
}

// animation draws pictures one below the other, and moves them past a window of the size of one. No picture but the last stays longer than pause.
//
// It needs no script, so that it moves where it is shown as an image. Lines are drawn once, and used where they are needed.
func animation(frames []Frame, pause time.Duration) []byte {
	var lines, pictures bytes.Buffer
	width, height := frames[0].Columns*cellWidth+2*margin, frames[0].Rows*cellHeight+2*margin
	known := map[string]int{}
	starts := make([]time.Duration, len(frames))
	var last, at time.Duration
	for i := range frames {
		shown := time.Duration(frames[i].Seconds * float64(time.Second))
		if i > 0 {
			at += min(shown-last, pause)
		}
		last, starts[i] = shown, at
		for row, spans := range frames[i].drawn {
			drawn := drawLine(spans)
			if drawn == "" {
				continue
			}
			id, is := known[drawn]
			if !is {
				id = len(known)
				known[drawn] = id
				fmt.Fprintf(&lines, "<g id=\"l%d\">%s</g>\n", id, drawn)
			}
			fmt.Fprintf(&pictures, "<use href=\"#l%d\" x=\"%d\" y=\"%d\"/>", id, margin, i*height+margin+row*cellHeight)
		}
		if cursor := frames[i].Cursor; !cursor.Hidden {
			fmt.Fprintf(&pictures, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#8b949e\"/>",
				margin+cursor.Column*cellWidth, i*height+margin+cursor.Row*cellHeight, cellWidth, cellHeight-2)
		}
		pictures.WriteByte('\n')
	}
	whole := at + lastPause
	var steps strings.Builder
	for i, start := range starts {
		fmt.Fprintf(&steps, "%.3f%%{transform:translateY(-%dpx)}", 100*start.Seconds()/whole.Seconds(), i*height)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d">
<style>
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre;fill:%[8]s}
@keyframes play{%[3]s}
#film{animation:play %.1[4]fs step-end infinite}
@media (prefers-reduced-motion:reduce){#film{animation:none;transform:translateY(-%[5]dpx)}}
</style>
<defs>
%[6]s</defs>
<rect width="100%%" height="100%%" rx="6" fill="%[9]s"/>
<g id="film">
%[7]s</g>
</svg>
`, width, height, &steps, whole.Seconds(), (len(frames)-1)*height, &lines, &pictures, hex(ink), hex(ground))
	return out.Bytes()
}

// drawLine draws a line at the top left corner. Each span is as wide as its cells.
func drawLine(spans []span) string {
	var out strings.Builder
	for _, s := range spans {
		cells := len([]rune(s.text))
		foreground, background := s.style.Fg, s.style.Bg
		if s.style.Attrs&uv.AttrReverse != 0 {
			foreground, background = cmp.Or[color.Color](background, ground), cmp.Or[color.Color](foreground, ink)
		}
		if background != nil {
			fmt.Fprintf(&out, `<rect x="%d" width="%d" height="%d" fill="%s"/>`, s.column*cellWidth, cells*cellWidth, cellHeight, hex(background))
		}
		fmt.Fprintf(&out, `<text x="%d" y="%d" textLength="%d"`, s.column*cellWidth, baseline, cells*cellWidth)
		if foreground != nil {
			fmt.Fprintf(&out, ` style="fill:%s"`, hex(foreground))
		}
		if s.style.Attrs&uv.AttrBold != 0 {
			out.WriteString(` font-weight="bold"`)
		}
		if s.style.Attrs&uv.AttrFaint != 0 {
			out.WriteString(` opacity="0.6"`)
		}
		fmt.Fprintf(&out, ">%s</text>", html.EscapeString(s.text))
	}
	return out.String()
}

// palette are colours that can be read on the dark ground, by their number on a terminal.
var palette = map[ansi.BasicColor]string{
	ansi.Red: "#ff7b72", ansi.Green: "#56d364", ansi.Yellow: "#e3b341", ansi.Blue: "#79c0ff", ansi.Magenta: "#d2a8ff", ansi.Cyan: "#76e3ea",
}

func hex(c color.Color) string {
	if basic, is := c.(ansi.BasicColor); is && palette[basic] != "" {
		return palette[basic]
	}
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}
