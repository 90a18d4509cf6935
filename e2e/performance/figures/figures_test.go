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

package figures

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
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
	got, err := Gauges(t.Context(), server.Client(), server.URL+"/metrics", LiveHeapMetric, "last")
	if err != nil || !slices.Equal(got, []float64{12345678, 3}) {
		t.Errorf("%v, error %v", got, err)
	}
	for url, names := range map[string][]string{server.URL + "/metrics": {"last", "missing"}, server.URL: {"last"}} {
		if _, err := Gauges(t.Context(), server.Client(), url, names...); err == nil || !strings.Contains(err.Error(), server.URL) {
			t.Errorf("%s: error %v", url, err)
		}
	}
	if _, err := Gauges(t.Context(), server.Client(), server.URL+"/metrics", "many"); err == nil {
		t.Error("a metric with labels is no error")
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	Table{{"", "ours", "theirs"}, {"pods", Count(1234), ""}}.Write(&b)
	if want := "| | ours | theirs |\n|---|---|---|\n| pods | 1,234 | |\n"; b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]error{"": nil, "--help": flag.ErrHelp, "--what": ErrUsage, "word": ErrUsage} {
		flags := flag.NewFlagSet("test", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		if err := Parse(flags, strings.Fields(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
