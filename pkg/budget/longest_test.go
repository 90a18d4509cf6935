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

package budget

import (
	"testing"
	"time"
)

// blocked fails the test unless a budget has let no pod go for so long.
func (f *fixture) blocked(want time.Duration) {
	f.Helper()
	if got := f.LongestBlocked(); got != want {
		f.Errorf("blocked for %s, want %s", got, want)
	}
}

// TestLongestBlocked has the only pod that waits be tried again and again: it counts from when it began to wait.
func TestLongestBlocked(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(0)
		f.blocked(0)
		f.waits(web("a"))
		time.Sleep(time.Minute)
		f.blocked(time.Minute)
		for range 3 {
			before := f.LongestBlocked()
			began := time.Now()
			f.nextWoken(time.Hour)
			turn := f.begins(web("a")) // as a probe
			f.blocked(before + time.Since(began))
			f.End(turn, Answer{Refused: true})
			f.Wait(web("a"), Refusal{Budget: "web", Since: turn.Since})
			f.blocked(before + time.Since(began))
		}
		f.Forget("a")
		f.blocked(0)
	})
}

// TestLineThatMovesIsNotBlocked has one pod go each minute: the last one waits long, and nothing is wrong.
func TestLineThatMovesIsNotBlocked(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.show(0)
		f.waits(web("a"), web("b"), web("c"))
		time.Sleep(time.Minute)
		f.blocked(time.Minute)
		for _, p := range []pod{web("a"), web("b")} {
			f.show(1)
			f.wakes(p.name)
			f.End(f.begins(p), Answer{Accepted: true})
			f.blocked(0)
			f.show(0, p.name)
			time.Sleep(time.Minute)
			f.blocked(time.Minute)
		}
	})
}
