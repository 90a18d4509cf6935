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

package podcache

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// observer notes the calls.
type observer struct {
	lock  sync.Mutex
	calls []string
}

func (f *observer) note(format string, args ...any) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

func (f *observer) NodeReceived(node, resourceVersion string, list uint64) {
	f.note("read %s %s %d", node, resourceVersion, list)
}

func (f *observer) ListCompleted(list uint64, sent time.Time, resourceVersion string) {
	f.note("listed %d %s %s", list, time.Since(sent).Round(time.Second), resourceVersion)
}

func (f *observer) BookmarkReceived(list uint64, after, resourceVersion string) {
	f.note("bookmark %d after %s at %s", list, after, resourceVersion)
}

func TestListObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := apitest.New()
		api.Bookmarks = 8 * time.Second
		api.AddNode("n")
		client, err := api.Client()
		if err != nil {
			t.Fatal(err)
		}
		f := &observer{}
		nodes, err := NewNodes(client.CoreV1(), clock.RealClock{}, f)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { nodes.RunWithContext(ctx) })
		time.Sleep(10 * time.Second)
		api.AddPod("p", "n") // which moves the resourceVersion
		time.Sleep(50 * time.Second)
		api.CutWatches("nodes", true)
		time.Sleep(time.Minute)
		stop()
		running.Wait()
		synctest.Wait()
		f.lock.Lock()
		defer f.lock.Unlock()

		for _, want := range []string{"read n 1 1", "listed 1 0s 1", "bookmark 1 after 1 at 1", "bookmark 1 after 1 at 2", "read n 1 2", "listed 2 0s 3"} {
			if !slices.Contains(f.calls, want) {
				t.Errorf("no call %q", want)
			}
		}
		for _, call := range f.calls {
			if strings.HasPrefix(call, "bookmark") && strings.Contains(call, "after  at") {
				t.Errorf("a bookmark that does not say after what: %s", call)
			}
		}
		if t.Failed() {
			t.Log(strings.Join(f.calls, "\n"))
		}
		if n := len(slices.DeleteFunc(slices.Clone(f.calls), func(s string) bool { return !strings.HasPrefix(s, "listed") })); n != 2 {
			t.Errorf("listed %d times: a watch that ends goes on where it was", n)
		}
	})
}
