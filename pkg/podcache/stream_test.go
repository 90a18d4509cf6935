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
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// lone is an informer of nodes, behind a proxy, in a bubble of virtual time.
type lone struct {
	*testing.T
	api   *apitest.Server
	proxy *apitest.Proxy
	nodes *Nodes
}

// alone runs a test. What is to be set of the model and the proxy is set before the informer begins.
func alone(t *testing.T, set func(*lone), test func(*lone)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lone{T: t, api: apitest.New()}
		l.proxy = &apitest.Proxy{Next: l.api}
		l.api.AddNode("n")
		set(l)
		client, err := l.proxy.Client()
		if err != nil {
			t.Fatal(err)
		}
		if l.nodes, err = NewNodes(client.CoreV1(), clock.RealClock{}, nil); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); l.nodes.RunWithContext(ctx) }()
		test(l)
		stop()
		<-ended
	})
}

// wait lets time pass.
func (l *lone) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (l *lone) get(name string) *Node {
	obj, exists, err := l.nodes.GetIndexer().GetByKey(name)
	if err != nil || !exists {
		return nil
	}
	return obj.(*Node)
}

// want fails the test unless the informer has synced and is stale as given.
func (l *lone) want(synced, stale bool) {
	l.Helper()
	if l.nodes.HasSynced() != synced || (l.nodes.Stale() != nil) != stale || stale && l.nodes.Err() == nil {
		l.Errorf("synced: %v, stale: %v, error: %v; expected synced: %v, stale: %v", l.nodes.HasSynced(), l.nodes.Stale(), l.nodes.Err(), synced, stale)
	}
}

func TestStreamingListWithoutAnEnd(t *testing.T) {
	alone(t, func(l *lone) { l.proxy.Swallow(true) }, func(l *lone) {
		l.wait(staleAfter)
		l.want(false, false)
		l.wait(time.Second)
		l.want(false, true)
		l.wait(stallAfter)
		l.want(true, false)
		first := l.get("n")
		l.api.AddNode("m")
		l.wait(time.Second)
		if first == nil || l.get("m") == nil {
			t.Fatal("the list, or the watch that follows it, does not show all nodes")
		}

		// A relist does not try what did not work, and is another list.
		l.api.CutWatches("nodes", true)
		l.wait(10 * time.Second)
		l.want(true, false)
		second := l.get("n")
		if second == first || !second.After(first.Observation).Gap {
			t.Error("a relist has a gap")
		}
		l.api.Taint("n")
		l.wait(time.Second)
		if third := l.get("n"); third == second || third.After(second.Observation).Gap {
			t.Error("the watch that follows a list has no gap")
		}
		lists := l.proxy.Lists("nodes")
		if len(lists) != 3 {
			t.Errorf("lists: %q, expected one that is streamed and two that are not", lists)
		}
		for _, query := range lists[1:] {
			if !strings.Contains(query, "limit=500") || strings.Contains(query, "resourceVersion=0") {
				t.Errorf("a list with %q, expected a consistent one in pages", query)
			}
		}

		l.proxy.Swallow(false)
		l.wait(pagedFor)
		l.api.CutWatches("nodes", true)
		l.wait(10 * time.Second)
		l.want(true, false)
		if lists = l.proxy.Lists("nodes"); !strings.Contains(lists[len(lists)-1], "sendInitialEvents") {
			t.Errorf("the last list, after a long time, is %q", lists[len(lists)-1])
		}
	})
}

// TestRelistWithoutAnEnd has the proxy begin to swallow bookmarks when all is well. Nodes change all the time.
func TestRelistWithoutAnEnd(t *testing.T) {
	alone(t, func(*lone) {}, func(l *lone) {
		l.wait(time.Hour)
		l.want(true, false)
		first := l.get("n")
		l.proxy.Swallow(true)
		l.api.CutWatches("nodes", true)
		for seconds := 5; seconds <= 60; seconds += 5 {
			l.wait(5 * time.Second)
			l.want(true, 20 <= seconds && seconds <= 45)
			l.api.Taint("n", v1.Taint{Key: fmt.Sprint("a", seconds), Effect: v1.TaintEffectNoExecute})
		}
		l.api.AddNode("m")
		l.wait(time.Second)
		l.want(true, false)
		if l.get("m") == nil || !l.get("n").After(first.Observation).Gap {
			t.Error("the list is not there, or has no gap")
		}
	})
}

// TestStreamingListThatIsSlow has a list that takes 3m58s, which is less than the 5 minutes for which a reflector watches at least.
func TestStreamingListThatIsSlow(t *testing.T) {
	slow := func(l *lone) {
		for i := range 15 {
			l.api.AddNode(fmt.Sprint("n", i))
		}
		l.api.Deliver = func(string, string, apitest.Event) apitest.Delivery {
			time.Sleep(14 * time.Second)
			return apitest.Written
		}
	}
	alone(t, slow, func(l *lone) {
		for range 16 * 14 {
			l.wait(time.Second)
			l.want(false, false)
		}
		l.wait(20 * time.Second)
		l.want(true, false)
		if lists := l.proxy.Lists("nodes"); len(lists) != 1 {
			t.Errorf("lists: %q, though the first made progress", lists)
		}
	})
}

func TestStreamingListThatIsCutBeforeItsEnd(t *testing.T) {
	cutting := func(l *lone) {
		l.api.Deliver = func(_, _ string, event apitest.Event) apitest.Delivery {
			if event.Type == "BOOKMARK" {
				time.Sleep(20 * time.Second)
				return apitest.Torn
			}
			return apitest.Written
		}
	}
	alone(t, cutting, func(l *lone) {
		l.wait(time.Minute)
		l.want(true, false)
	})
}

func TestStreamingListWhoseAnswerIsHeldBack(t *testing.T) {
	holding := func(l *lone) {
		l.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.URL.Query().Has("sendInitialEvents") {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return nil, nil
		}
	}
	alone(t, holding, func(l *lone) {
		l.wait(30 * time.Second)
		l.want(false, true)
		l.wait(30 * time.Second)
		l.want(true, false)
		l.api.AddNode("m")
		l.wait(time.Second)
		if l.get("m") == nil {
			t.Error("the watch that follows the list shows nothing")
		}
	})
}

// TestListInPages has the second page expire once: no node is missing, and none is there of a list that was not completed.
func TestListInPages(t *testing.T) {
	var expired atomic.Bool
	paging := func(l *lone) {
		l.proxy.Swallow(true)
		l.api.Intercept = func(req *http.Request) (*http.Response, error) {
			query := req.URL.Query()
			switch {
			case req.URL.Path != "/api/v1/nodes" || query.Has("watch"):
				return nil, nil
			case query.Get("continue") != "" && expired.CompareAndSwap(false, true):
				return answer(http.StatusGone, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}`), nil
			case query.Get("continue") != "":
				return answer(http.StatusOK, page("", "b")), nil
			case query.Get("limit") == "500":
				return answer(http.StatusOK, page("more", "a")), nil
			default:
				t.Errorf("a list that is not in pages: %s", req.URL.RawQuery)
				return nil, nil
			}
		}
	}
	alone(t, paging, func(l *lone) {
		for range 2 {
			l.wait(time.Minute)
			l.want(true, false)
			if l.get("a") == nil || l.get("b") == nil || l.get("n") != nil {
				t.Error("not the nodes of all pages")
			}
			l.api.CutWatches("nodes", true)
		}
		if !expired.Load() {
			t.Errorf("no page has expired: %q", l.proxy.Lists("nodes"))
		}
	})
}

// page returns a list of nodes.
func page(more string, names ...string) string {
	var items []string
	for _, name := range names {
		items = append(items, fmt.Sprintf(`{"metadata":{"name":%q,"uid":%q,"resourceVersion":"1"}}`, name, name))
	}
	return fmt.Sprintf(`{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"1","continue":%q},"items":[%s]}`,
		more, strings.Join(items, ","))
}

func answer(code int, body string) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// TestUnreachableServerMakesStale makes the API server unreachable.
func TestUnreachableServerMakesStale(t *testing.T) {
	var away atomic.Bool
	alone(t, func(l *lone) {
		l.api.Intercept = func(*http.Request) (*http.Response, error) {
			if away.Load() {
				return nil, errors.New("no route to host")
			}
			return nil, nil
		}
	}, func(l *lone) {
		l.wait(time.Minute)
		away.Store(true)
		l.api.CutWatches("nodes", false)
		l.wait(refusedAfter - time.Second)
		l.want(true, false)
		l.wait(3 * time.Second)
		l.want(true, true)
		away.Store(false)
		l.wait(2 * time.Second)
		l.want(true, false)
	})
}
