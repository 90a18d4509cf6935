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

package tainteviction

import (
	"testing"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// TestBlindWhileAListDoesNotEnd has a proxy drop the bookmarks that end streaming lists while a controller lists again. The controller
// reports that it is blind and not ready, and then lists in pages.
func TestBlindWhileAListDoesNotEnd(t *testing.T) {
	for _, resource := range []string{"pods", "nodes"} {
		bubble(t, func(f *fixture) {
			proxy := &apitest.Proxy{Next: f.api}
			client, err := proxy.Client()
			if err != nil {
				t.Fatal(err)
			}
			f.start(func(c *Config) { c.Informers = client.CoreV1() })
			if f.c.Stale() != nil || f.c.Ready() != nil {
				t.Fatalf("%v, %v", f.c.Stale(), f.c.Ready())
			}
			proxy.Swallow(true)
			f.api.CutWatches(resource, true)
			f.wait(1)
			f.api.AddPod("p", "n")
			f.api.Taint("n", taintOf("a"))
			f.wait(29)
			if f.c.Stale() == nil || f.c.Ready() == nil {
				t.Errorf("%s: blind %v, ready %v", resource, f.c.Stale(), f.c.Ready())
			}
			f.exists(true, "p")
			f.wait(30)
			if f.c.Stale() != nil || f.c.Ready() != nil {
				t.Errorf("%s: blind %v, ready %v", resource, f.c.Stale(), f.c.Ready())
			}
			f.exists(false, "p")
		})
	}
}
