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
	"bytes"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	table := &Table{Columns: []Column{{Name: "A"}, {Name: "HIDDEN", Wide: true}, {Name: "LAST"}}}
	table.Add(Bad, "é", "w", "one two three four five six")
	table.Add(Plain, "long", "", "")
	for _, test := range []struct {
		p    Printer
		want string
	}{
		{Printer{}, "A      LAST\né      one two three four five six\nlong   <none>\n"},
		{Printer{NoHeaders: true, Wide: true}, "é      w        one two three four five six\nlong   <none>   <none>\n"},
		{Printer{Width: 30}, "A      LAST\né      one two three four five\n       six\nlong   <none>\n"},
		{Printer{Width: 20}, "A\n    LAST\né\n    one two three four\n    five six\nlong\n    <none>\n"},
		{Printer{Width: 30, Color: true, NoHeaders: true}, "\x1b[31mé      one two three four five\x1b[0m\n\x1b[31m       six\x1b[0m\nlong   <none>\n"},
		{Printer{Color: true, NoHeaders: true}, "\x1b[31mé      one two three four five six\x1b[0m\nlong   <none>\n"},
	} {
		var out bytes.Buffer
		test.p.Out = &out
		test.p.Table(table)
		if out.String() != test.want {
			t.Errorf("%+v: got\n%q\nwant\n%q", test.p, out.String(), test.want)
		}
	}
}

func TestTableOfEach(t *testing.T) {
	var out bytes.Buffer
	p := Printer{Out: &out}
	p.Table(&Table{
		Columns: []Column{{Name: "A"}, {Name: "B"}}, Rows: []Row{{Cells: []string{"first", "1"}}},
		Each: func(add func(Style, ...string)) { add(Plain, "second", "2"); add(Plain, "", "3") },
	})
	if want := "A        B\nfirst    1\nsecond   2\n<none>   3\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestRelative(t *testing.T) {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		252 * time.Second: "in 4m12s", -3 * time.Second: "3s ago", -400 * time.Millisecond: "now", 0: "now", -26 * time.Hour: "26h ago",
		// A time to come is never shown as a second earlier than it is, or more.
		time.Millisecond: "in 1s", 299*time.Second + 1: "in 5m", 10*time.Minute + time.Second: "in 11m", 10*time.Minute - 1: "in 10m",
		// An hour and a moment is an hour.
		time.Hour + time.Second - 1:   "in 60m",
		179*time.Minute + time.Second: "in 3h", 7*time.Hour + 59*time.Minute + 59*time.Second: "in 8h", 8*time.Hour + time.Second: "in 9h",
		47*time.Hour + time.Minute: "in 2d", 7*24*time.Hour + 23*time.Hour + time.Second: "in 8d", 8*24*time.Hour + time.Second: "in 9d",
	} {
		if got := Relative(now.Add(d), now); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

func TestAbsolute(t *testing.T) {
	for nanoseconds, want := range map[int]string{0: "2026-03-01T12:00:00Z", 1: "2026-03-01T12:00:01Z", 999_999_999: "2026-03-01T12:00:01Z"} {
		if got := Absolute(time.Date(2026, time.March, 1, 13, 0, 0, nanoseconds, time.FixedZone("", 3600))); got != want {
			t.Errorf("%d ns: got %q, want %q", nanoseconds, got, want)
		}
	}
	if got := Absolute(time.Time{}); got != "" {
		t.Errorf("of no time: %q", got)
	}
}

func TestWrapKeepsLongWords(t *testing.T) {
	got := Wrap("a longword b c", 5)
	if len(got) != 3 || got[0] != "a" || got[1] != "longword" || got[2] != "b c" {
		t.Errorf("got %q", got)
	}
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		line  string
		width int
		want  string
	}{
		{"", 3, ""}, {"éab", 3, "éab"}, {"éabc", 3, "éa…"}, {"abc", 1, "…"},
		{"\x1b[31mabc\x1b[0m", 3, "\x1b[31mabc\x1b[0m"},
		{"\x1b[31mabcd\x1b[0m", 3, "\x1b[31mab…\x1b[0m"},
		{"\x1b[1mab\x1b[0mcd", 3, "\x1b[1mab\x1b[0m…"},
	} {
		if got := Cut(test.line, test.width); got != test.want {
			t.Errorf("%q to %d: got %q, want %q", test.line, test.width, got, test.want)
		}
	}
}
