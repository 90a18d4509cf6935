package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGauges(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		fmt.Fprint(w, "# HELP go_gc_heap_live_bytes Live.\n# TYPE go_gc_heap_live_bytes gauge\ngo_gc_heap_live_bytes 1.2345678e+07\n",
			"# TYPE last gauge\nlast 3\n# TYPE many gauge\nmany{a=\"b\"} 1\nmany{a=\"c\"} 2\n")
	}))
	defer server.Close()
	got, err := gauges(t.Context(), server.Client(), server.URL+"/metrics", liveHeapMetric, "last")
	if err != nil || !slices.Equal(got, []float64{12345678, 3}) {
		t.Errorf("%v, error %v", got, err)
	}
	for url, names := range map[string][]string{server.URL + "/metrics": {"last", "missing"}, server.URL: {"last"}} {
		if _, err := gauges(t.Context(), server.Client(), url, names...); err == nil || !strings.Contains(err.Error(), server.URL) {
			t.Errorf("%s: error %v", url, err)
		}
	}
	if _, err := gauges(t.Context(), server.Client(), server.URL+"/metrics", "many"); err == nil {
		t.Error("a metric with labels is no error")
	}
}

func TestLineOf(t *testing.T) {
	if got := lineOf("/does/not/exist", "MemTotal"); got != "unknown" {
		t.Errorf("%q", got)
	}
}

func TestParseMachineTime(t *testing.T) {
	got, err := parseMachineTime("cpu  100 20 30 99999 9999 4 3 2 0 0\ncpu0 1 2 3 4 5 6 7 8\n")
	if err != nil || got != 1590*time.Millisecond {
		t.Errorf("%v, error %v", got, err)
	}
	if _, err := parseMachineTime("intr 1"); err == nil {
		t.Error("another line is no error")
	}
}

func TestOthers(t *testing.T) {
	used := usage{11, 22, 33, 144}.minus(usage{1, 2, 3, 4})
	if got := used.others(); got != 80 {
		t.Errorf("%d", got)
	}
	if got := (usage{process: 10, machine: 9}).others(); got != 0 { // the clocks are not read at the same moment
		t.Errorf("%d", got)
	}
}
