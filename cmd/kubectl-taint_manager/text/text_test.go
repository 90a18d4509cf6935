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
		{Printer{Width: 20}, "A      LAST\né      one two three four five six\nlong   <none>\n"}, // too narrow to wrap
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

func TestRelative(t *testing.T) {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		252 * time.Second: "in 4m12s", -3 * time.Second: "3s ago", 400 * time.Millisecond: "now", -26 * time.Hour: "26h ago",
	} {
		if got := Relative(now.Add(d), now); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

func TestWrapKeepsLongWords(t *testing.T) {
	got := Wrap("a longword b c", 5)
	if len(got) != 3 || got[0] != "a" || got[1] != "longword" || got[2] != "b c" {
		t.Errorf("got %q", got)
	}
}
