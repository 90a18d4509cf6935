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

package serverclock

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// apiServer responds with the Date of its own clock, after at most its latency.
type apiServer struct {
	rng     *rand.Rand
	offset  time.Duration
	latency time.Duration
	local   interface{ Now() time.Time }
	code    int
	proxy   bool
}

func (s *apiServer) RoundTrip(*http.Request) (*http.Response, error) {
	s.wait()
	header := http.Header{"Date": {s.local.Now().Add(s.offset).UTC().Format(http.TimeFormat)}}
	if !s.proxy {
		header.Set(auditID, "x")
	}
	s.wait()
	return &http.Response{StatusCode: max(s.code, 200), Header: header, Body: http.NoBody}, nil
}

func (s *apiServer) wait() {
	if s.latency > 0 {
		time.Sleep(time.Duration(s.rng.Int64N(int64(s.latency))))
	}
}

func ask(t *testing.T, c *Clock, s *apiServer) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://api/version", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Wrap(s).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
}

func TestTheOffsetLiesWithinTheBound(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			local := NewSteady()
			c := New(local)
			s := &apiServer{rng: rng, local: local, latency: 300 * time.Millisecond}
			s.offset = time.Duration(rng.Int64N(int64(2*time.Hour))) - time.Hour
			for range 100 {
				ask(t, c, s)
				low, high, known := c.Offset()
				if !known || s.offset < low || s.offset > high || high-low > 2*time.Second {
					t.Fatalf("seed %d: the offset is %s, and the bound from %s to %s", seed, s.offset, low, high)
				}
				at := local.Now().Add(s.offset)
				if now := local.Now(); c.Local(at).Before(now) || c.Earliest(now).After(at) || c.Latest(now).Before(at) {
					t.Fatalf("seed %d: conversions of %s are to the wrong side", seed, at)
				}
				time.Sleep(time.Duration(rng.Int64N(int64(time.Minute))))
			}
		})
	}
}

func TestNarrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := NewSteady()
		c := New(local)
		s := &apiServer{rng: rand.New(rand.NewPCG(1, 1)), local: local, latency: 5 * time.Millisecond, offset: -5*time.Minute + 123*time.Millisecond}
		var asked atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		go c.Narrow(ctx, func(context.Context) error {
			asked.Add(1)
			ask(t, c, s)
			return nil
		})
		time.Sleep(2100 * time.Millisecond)
		low, high, _ := c.Offset()
		if high-low > wideBound || s.offset < low || s.offset > high {
			t.Errorf("after 2 s the bound is from %s to %s, around %s", low, high, s.offset)
		}
		if n := asked.Load(); n > 1+rounds*probes {
			t.Errorf("%d probes", n)
		}
		time.Sleep(time.Hour)
		if low, high, _ = c.Offset(); high-low > wideBound+20*time.Millisecond || s.offset < low || s.offset > high {
			t.Errorf("after an hour the bound is from %s to %s, around %s", low, high, s.offset)
		}
		if n := asked.Load(); n > 150 {
			t.Errorf("%d probes in an hour", n)
		}
		cancel()
		synctest.Wait()
	})
}

func TestTheServerFurthestBehindCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := NewSteady()
		c := New(local)
		one, other := &apiServer{local: local, offset: time.Minute}, &apiServer{local: local, offset: -time.Minute}
		for range 5 {
			ask(t, c, one)
			ask(t, c, other)
			time.Sleep(time.Second)
		}
		if low, high, _ := c.Offset(); low > other.offset || high < one.offset {
			t.Errorf("the bound is from %s to %s", low, high)
		}
		for range 11 { // one of them is not seen again
			time.Sleep(time.Minute)
			ask(t, c, one)
		}
		if low, _, _ := c.Offset(); low < one.offset-2*time.Second {
			t.Errorf("a server that is gone still counts: %s", low)
		}
	})
}

// TestMoved narrows the bound between two calls, and moves it back to where it was at the first.
func TestMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tolerance = 50 * time.Millisecond
		local := NewSteady()
		c := New(local)
		look := func(when string, want bool) {
			t.Helper()
			if got := c.Moved(tolerance); got != want {
				t.Errorf("%s: moved is %t", when, got)
			}
		}
		look("nothing was converted", false)
		at := local.Now()
		c.Local(at)
		look("no answer has told", false)
		time.Sleep(900 * time.Millisecond)
		ask(t, c, &apiServer{local: local}) // its Date is 0.9 s old
		c.Local(at)
		time.Sleep(100 * time.Millisecond)
		ask(t, c, &apiServer{local: local}) // its Date is new
		look("the offset is what it was at the last look, but not what it was since", true)
		look("nothing was converted since", false)
		c.Local(at)
		look("converted by what is known", false)
		time.Sleep(time.Minute)
		look("the drift of a minute", false)
		time.Sleep(time.Hour)
		look("the drift of an hour", true)
	})
	if (*Clock)(nil).Moved(0) {
		t.Error("without a clock, something moved")
	}
}

func TestServersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := NewSteady()
		c := New(local)
		for i := range 100 {
			ask(t, c, &apiServer{local: local, offset: time.Duration(i) * time.Hour})
		}
		if len(c.servers) > maxServers {
			t.Errorf("%d servers are kept", len(c.servers))
		}
	})
}

func TestAProxyDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := NewSteady()
		c := New(local)
		ask(t, c, &apiServer{local: local, offset: time.Hour, code: http.StatusBadGateway, proxy: true})
		if _, _, known := c.Offset(); known {
			t.Error("the clock of a proxy counts")
		}
		ask(t, c, &apiServer{local: local, offset: time.Hour, code: http.StatusInternalServerError})
		if low, _, known := c.Offset(); !known || low < time.Hour-2*time.Second {
			t.Error("an API server that answers 500 does not count")
		}
	})
}

func TestWithoutAnAnswerTheClocksAreEqual(t *testing.T) {
	for _, c := range []*Clock{nil, New(NewSteady())} {
		at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		if got := c.Local(at); !got.Equal(at) {
			t.Errorf("got %s", got)
		}
		if got := c.Local(time.Time{}); !got.IsZero() {
			t.Errorf("the zero time became %s", got)
		}
	}
}

func TestSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewSteady()
		began := c.Now()
		time.Sleep(90 * time.Minute)
		if passed := c.Since(began); passed != 90*time.Minute {
			t.Errorf("%s passed", passed)
		}
		if now := c.Now(); now != now.Round(0) {
			t.Error("a time has a monotonic reading, and compares by that")
		}
	})
}
