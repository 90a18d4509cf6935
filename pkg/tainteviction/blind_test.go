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
