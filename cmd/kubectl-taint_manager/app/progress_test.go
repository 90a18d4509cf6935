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
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// TestProgress reads twice, slowly, on a terminal.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &progress{out: &out, terminal: true, began: time.Now()}
		wrote := func(want string) {
			t.Helper()
			if out.String() != want {
				t.Errorf("wrote %q, want %q", out.String(), want)
			}
			out.Reset()
		}
		time.Sleep(900 * time.Millisecond)
		p.show("nodes", 500)
		wrote("")
		time.Sleep(100 * time.Millisecond)
		p.show("pods", 500)
		wrote("\r\x1b[KReading pods: 500 so far")
		time.Sleep(99 * time.Millisecond)
		p.show("pods", 1000)
		wrote("")
		time.Sleep(time.Millisecond)
		p.show("pods", 1500)
		wrote("\r\x1b[KReading pods: 1500 so far")
		p.done()
		wrote("\r\x1b[K")
		p.done()
		wrote("")

		time.Sleep(time.Hour) // between two reads of status --watch
		p.show("pods", 500)
		wrote("")
		time.Sleep(time.Second)
		p.show("pods", 1000)
		wrote("\r\x1b[KReading pods: 1000 so far")
		p.terminal = false
		time.Sleep(time.Second)
		p.show("pods", 1500)
		wrote("")
	})
}
