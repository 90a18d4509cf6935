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
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// paging is an API server without streaming lists that has many large pods. It records the size of the live heap whenever it is
// asked for a page.
type paging struct {
	t     *testing.T
	pages int
	heap  []uint64
}

func (p *paging) RoundTrip(req *http.Request) (*http.Response, error) {
	query := req.URL.Query()
	switch {
	case query.Has("sendInitialEvents"):
		return apitest.Failure(apierrors.NewInvalid(v1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", nil)), nil
	case query.Has("watch"):
		<-req.Context().Done()
		return nil, req.Context().Err()
	case query.Get("limit") != "500":
		p.t.Errorf("a list that is not in pages: %s", req.URL.RawQuery)
	}
	p.heap = append(p.heap, liveHeap())
	number, _ := strconv.Atoi(query.Get("continue")) // the first page has none
	list := &v1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
	list.SetGroupVersionKind(v1.SchemeGroupVersion.WithKind("PodList"))
	if number+1 < p.pages {
		list.Continue = strconv.Itoa(number + 1)
	}
	for i := range pageSize {
		pod := apiPod(scheduled, func(pod *v1.Pod) {
			pod.Name = fmt.Sprint("p", number*pageSize+i)
			pod.UID, pod.Annotations = "u-"+metav1.ObjectMeta{Name: pod.Name}.UID, map[string]string{"a": strings.Repeat(pod.Name, 1000)}
		})
		list.Items = append(list.Items, *pod)
	}
	body, err := json.Marshal(list)
	return answer(http.StatusOK, string(body)), err
}

// liveHeap returns how much memory is in use after a garbage collection.
func liveHeap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestListConvertsPageByPage bounds what a list holds while it is read: compact pods, and one page of pods as the API server
// sends them, of about 5 KB each.
func TestListConvertsPageByPage(t *testing.T) {
	server := &paging{t: t, pages: 12}
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://pages", Transport: server, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	pods, err := NewPods(client.CoreV1(), clock.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); pods.RunWithContext(ctx) }()
	defer func() { stop(); <-ended }()
	if !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced) {
		t.Fatal("not synced")
	}
	if n := len(pods.GetIndexer().ListKeys()); n != server.pages*pageSize {
		t.Fatalf("%d pods, expected %d", n, server.pages*pageSize)
	}
	if len(server.heap) != server.pages {
		t.Fatalf("%d pages were asked for, expected %d", len(server.heap), server.pages)
	}
	const kept, sent = 1 << 10, 16 << 10 // bytes of a pod, at most
	for page, heap := range server.heap {
		if limit := server.heap[0] + uint64(page*pageSize*kept+pageSize*sent); heap > limit {
			t.Fatalf("the live heap is %d KiB when %d pages of %d have been read, expected at most %d KiB", heap>>10, page, server.pages, limit>>10)
		}
	}
}

// TestStreamingListThatIsRefused makes the API server refuse streaming lists in all ways that it does, at the start and later: lists
// are made in pages then, and never at once.
func TestStreamingListThatIsRefused(t *testing.T) {
	for _, code := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			refusing := func(l *lone) {
				l.threePages()
				l.api.Intercept = func(req *http.Request) (*http.Response, error) {
					if !req.URL.Query().Has("sendInitialEvents") {
						return nil, nil
					}
					return answer(code, fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d}`, code)), nil
				}
			}
			alone(t, refusing, func(l *lone) {
				for range 2 {
					l.wait(time.Minute)
					l.want(true, false)
					l.api.CutWatches("nodes", true)
				}
				l.wait(time.Minute)
				l.want(true, false)
				if n := len(l.nodes.GetIndexer().ListKeys()); n != threePages {
					t.Errorf("%d nodes, expected %d", n, threePages)
				}
				l.wantPages(3 * 3)
			})
		})
	}
}

// threePages returns how many nodes there are after a call of the method of that name: pages have ten, whatever is asked for.
const threePages = 25

func (l *lone) threePages() {
	l.api.MaxPage = 10
	for i := 1; i < threePages; i++ { // there is one already
		l.api.AddNode(fmt.Sprint("n", i))
	}
}

// wantPages fails the test unless all lists that were not streamed were consistent and in pages, at least the given number.
func (l *lone) wantPages(least int) {
	l.Helper()
	pages := 0
	for _, query := range l.proxy.Lists("nodes") {
		if strings.Contains(query, "sendInitialEvents") {
			continue
		}
		pages++
		if !strings.Contains(query, "limit=500") || strings.Contains(query, "resourceVersion=") {
			l.Errorf("a list with %q, expected a consistent one in pages", query)
		}
	}
	if pages < least {
		l.Errorf("%d pages were asked for, expected %d", pages, least)
	}
}

// TestPageThatHasExpired expires a page in the middle of a list, twice: the list begins again, in pages.
func TestPageThatHasExpired(t *testing.T) {
	var expired atomic.Int32
	expiring := func(l *lone) {
		l.proxy.Swallow(true)
		l.threePages()
		l.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.URL.Query().Has("continue") && expired.Add(1) <= 2 {
				return apitest.Failure(apierrors.NewResourceExpired("The provided continue parameter is too old")), nil
			}
			return nil, nil
		}
	}
	alone(t, expiring, func(l *lone) {
		l.wait(time.Minute)
		l.want(true, false)
		if n := len(l.nodes.GetIndexer().ListKeys()); n != threePages {
			t.Errorf("%d nodes, expected %d", n, threePages)
		}
		l.wantPages(2 + 2 + 3)
	})
}

// TestPageThatAlwaysExpires has a list that never ends: pages that have been read before are not progress.
func TestPageThatAlwaysExpires(t *testing.T) {
	var all atomic.Bool
	expiring := func(l *lone) {
		l.proxy.Swallow(true)
		l.threePages()
		l.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.URL.Query().Has("continue") && !all.Load() {
				return apitest.Failure(apierrors.NewResourceExpired("The provided continue parameter is too old")), nil
			}
			return nil, nil
		}
	}
	alone(t, expiring, func(l *lone) {
		l.wait(stallAfter + staleAfter + time.Second)
		l.want(false, true)
		l.wait(10 * time.Minute)
		l.want(false, true)
		if n := len(l.proxy.Lists("nodes")); n > 200 {
			t.Errorf("%d lists in eleven minutes", n)
		}
		all.Store(true)
		l.wait(time.Minute)
		l.want(true, false)
		l.wantPages(4)
	})
}

// TestRelistKeepsWhatIsUnchanged checks that unchanged pods are not held twice while a list is read.
func TestRelistKeepsWhatIsUnchanged(t *testing.T) {
	for _, streams := range []bool{false, true} {
		t.Run(fmt.Sprint("streams=", streams), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := apitest.New()
				api.Intercept = func(req *http.Request) (*http.Response, error) {
					if !streams && req.URL.Query().Has("sendInitialEvents") {
						return apitest.Failure(apierrors.NewInvalid(v1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", nil)), nil
					}
					return nil, nil
				}
				client, err := api.Client()
				if err != nil {
					t.Fatal(err)
				}
				api.AddPod("same", "n")
				api.AddPod("other", "n")
				pods, err := NewPods(client.CoreV1(), clock.RealClock{})
				if err != nil {
					t.Fatal(err)
				}
				go pods.RunWithContext(t.Context())
				time.Sleep(time.Minute)
				same, other := pods.Get("default", "same"), pods.Get("default", "other")
				api.CutWatches("pods", true)
				api.UpdatePod("other", func(pod *v1.Pod) { pod.Annotations = map[string]string{"a": "b"} })
				time.Sleep(time.Minute)
				if same == nil || pods.Get("default", "same") != same {
					t.Error("a pod that has not changed is kept a second time")
				}
				if now := pods.Get("default", "other"); other == nil || now == other || now.ResourceVersion == other.ResourceVersion {
					t.Error("a pod that has changed is kept as it was")
				}
			})
		})
	}
}
