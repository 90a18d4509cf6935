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
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func text(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.render(0, false) + "\n")
	}
	return b.String()
}

func TestView(t *testing.T) {
	l := played()
	l.named("batch-1").left = time.Time{}
	l.named("cache-1").left = time.Time{}
	l.named("batch-1").changed = &change{from(6, 6.1), tolerance{seconds: 9}}
	want := `
POD      NODE    TOLERATES   GOES     WHAT BECAME OF IT
web-1    node-1  nothing     at once  evicted, 0.03 s late
cache-1  node-1  5 s         at 5 s   due for 1.5 s
batch-1  node-1  12 → 9 s    at 9 s   goes in 2.5 s
agent-1  node-1  everything  never    stays
cache-2  node-2  5 s         at 5 s   evicted, 0.02 s late
batch-2  node-2  12 s        never    cancelled: it stays
6.5 s after the taints: 2 evicted, 2 to go, 1 cancelled
pods: node-1 3 (tainted), node-2 1, node-3 1, node-4 0
`
	nodes := []string{"node-1", "node-2", "node-3", "node-4"}
	if got := text(view(l, nodes, t0, after(6.5))); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := text(view(l, nodes, t0, after(20))); !strings.Contains(got, "at 5 s   was evicted by nobody, 15.00 s after it was due\n") {
		t.Errorf("nobody complains: %s", got)
	}
}

func TestTell(t *testing.T) {
	l := played()
	p := l.named("cache-1")
	p.bound = after(0.5)
	got := text(tell(l, news{pod: p, bound: true, left: true}, t0))
	want := "    0.50 s  cache-1 comes to node-1\n" +
		"    5.25 s  cache-1 leaves node-1: evicted, 0.25 s late (it tolerated the taint for 5 s)\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := tell(l, news{pod: p}, t0); got != nil {
		t.Errorf("nothing is new: %v", got)
	}
}

func TestStarting(t *testing.T) {
	l := played()
	if got := text(starting(l, 6)); got != strings.Repeat("█", 20)+strings.Repeat("░", 20)+" 3 of 6 pods run\n" {
		t.Errorf("got %q", got)
	}
	if got := text(starting(newLedger(nil), 0)); got != strings.Repeat("░", 40)+" 0 of 0 pods run\n" {
		t.Errorf("got %q", got)
	}
}

func TestRender(t *testing.T) {
	l := line{{"abc", good}, {"dé→", normal}, {"  ", normal}}
	for name, test := range map[string]struct {
		width  int
		colour bool
		want   string
	}{
		"all of it": {0, false, "abcdé→"},
		"it fits":   {8, false, "abcdé→"},
		"cut":       {5, false, "abcd…"},
		"cut first": {3, false, "ab…"},
		"coloured":  {5, true, "\x1b[32mabc\x1b[0md…"},
		"no room":   {1, false, "…"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := l.render(test.width, test.colour); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	got := strings.Join(wrap("one two\n\t three incomprehensible é1 x", 9), "|")
	if want := "one two|three|incomprehensible|é1 x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := wrap(" ", 9); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

func TestFit(t *testing.T) {
	var block []line
	for _, word := range strings.Fields("head a b c d foot") {
		block = append(block, plain("%s", word))
	}
	for height, want := range map[int]string{
		9: "head a b c d foot", 6: "head a b c d foot", 5: "head a b … and 2 more, for a higher terminal foot",
		3: "head … and 4 more, for a higher terminal foot", 2: "head a", 0: "",
	} {
		if got := strings.Join(strings.Fields(text(fit(block, 1, 1, height))), " "); got != want {
			t.Errorf("height %d: got %q, want %q", height, got, want)
		}
	}
}

// TestScreenInAFile: what is no terminal gets lines, no block, no colours and no escape sequences.
func TestScreenInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := newScreen(out, func(string) string { return "" })
	s.say(line{{"one", bad}})
	s.draw([]line{plain("a block")}, 0, 0)
	s.paragraph(2, strings.Repeat("word ", 30), dim)
	s.leave()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "one\n  " + strings.TrimSpace(strings.Repeat("word ", 19)) + "\n  " + strings.TrimSpace(strings.Repeat("word ", 11)) + "\n"
	if string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestScreenOnATerminal shows the escape sequences that keep the block below what is said.
func TestScreenOnATerminal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := &screen{out: out, live: true}
	s.draw([]line{plain("a"), plain("b")}, 0, 0)
	s.say(plain("said"))
	s.draw([]line{plain("c")}, 0, 0)
	s.leave()
	s.say(plain("end"))
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "\ra\x1b[K\nb\x1b[K\n\x1b[J" + // the block
		"\r\x1b[2A\x1b[Jsaid\na\x1b[K\nb\x1b[K\n" + // wiped, and drawn again below
		"\r\x1b[2Ac\x1b[K\n\x1b[J" + // a shorter one in its place
		"\r\x1b[Jend\n"
	if string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
