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

package text

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/duration"
)

// Style is how a piece of text stands out.
type Style string

// The styles.
const (
	Plain Style = ""
	Bold  Style = "1"
	Bad   Style = "31"
	Warn  Style = "33"
	Good  Style = "32"
	Faint Style = "2"
)

// Style returns a text in a style, if styles are shown.
func (p *Printer) Style(style Style, words string) string {
	if !p.Color || style == Plain {
		return words
	}
	return escape + string(style) + "m" + words + reset
}

// escape begins a style, and reset ends it.
const (
	escape = "\x1b["
	reset  = escape + "0m"
)

// Relative returns a time as people say it: "in 4m12s", "3s ago", "now". A time to come is rounded up, to the unit that is shown, so that it is not
// shown as earlier than it is. Parts of a second do not count where minutes are shown.
func Relative(t, now time.Time) string {
	if t.After(now) {
		return "in " + duration.HumanDuration(roundUp(t.Sub(now)))
	}
	if d := now.Sub(t).Round(time.Second); d > 0 {
		return duration.HumanDuration(d) + " ago"
	}
	return "now"
}

// roundUp rounds a duration up to the least unit that duration.HumanDuration shows of it.
func roundUp(d time.Duration) time.Duration {
	const day = 24 * time.Hour
	unit := day
	switch {
	case d < 10*time.Minute:
		unit = time.Second
	case d < 8*time.Hour:
		unit = time.Minute
	case d < 8*day:
		unit = time.Hour
	}
	if unit > time.Second {
		d = d.Truncate(time.Second)
	}
	return (d + unit - 1).Truncate(unit)
}

// Absolute returns a time as the API writes it, in whole seconds. It is rounded up: a second that the API has stored counts as its end, too, and
// nothing happens before what was read.
func Absolute(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Add(time.Second - 1).Truncate(time.Second).UTC().Format(time.RFC3339)
}

// Count returns a number and a noun: "1 pod", "2 pods".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Cut returns what fits into a width of a line with styles, with an ellipsis in place of the rest.
func Cut(line string, width int) string {
	var cut strings.Builder
	room, styled := width, false
	for rest := line; rest != ""; {
		if strings.HasPrefix(rest, escape) {
			sequence, _, found := strings.Cut(rest, "m")
			if !found {
				return line // no style
			}
			cut.WriteString(sequence + "m")
			rest, styled = rest[len(sequence)+1:], sequence != escape+"0"
			continue
		}
		_, size := utf8.DecodeRuneInString(rest)
		if room == 1 && visible(rest) > 1 {
			cut.WriteString("…")
			if styled {
				cut.WriteString(reset)
			}
			return cut.String()
		}
		cut.WriteString(rest[:size])
		rest, room = rest[size:], room-1
	}
	return cut.String()
}

// visible returns how many characters of a line with styles are shown.
func visible(line string) (n int) {
	for line != "" {
		if strings.HasPrefix(line, escape) {
			if _, rest, found := strings.Cut(line, "m"); found {
				line = rest
				continue
			}
		}
		_, size := utf8.DecodeRuneInString(line)
		line, n = line[size:], n+1
	}
	return n
}
