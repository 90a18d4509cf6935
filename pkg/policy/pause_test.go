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

package policy

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
)

// made returns a policy that a user made.
func made(object *unstructured.Unstructured, generation int64, user string) *unstructured.Unstructured {
	object.SetGeneration(generation)
	if user != "" {
		object.SetAnnotations(map[string]string{"taint-manager.io/created-by": user})
	}
	return object
}

// pausesIn returns the messages about pauses in a log, in order, without the times and places of the log.
func pausesIn(logger klog.Logger) (lines []string) {
	for line := range strings.Lines(logger.GetSink().(ktesting.Underlier).GetBuffer().String()) {
		if i := strings.Index(line, "Pause is "); i >= 0 {
			lines = append(lines, strings.TrimSpace(line[i:]))
		}
	}
	return lines
}

// TestPausesAreLogged has pauses begin and end in each way.
func TestPausesAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
		f := newFixture(t)
		f.ctx = klog.NewContext(f.ctx, logger)
		f.crd.served.Store(true)
		f.create(made(object(t, "pause", "{matchingPrecedence: 0, mode: Keep}"), 1, "alice"))
		f.create(object(t, "edge", "{matchingPrecedence: 1, mode: Keep}"))
		f.create(object(t, "broken", "{matchingPrecedence: 0, mode: Keep, taints: [{key: ''}]}"))
		f.run()
		f.settle(time.Second)
		until := time.Now().Add(time.Hour).Truncate(time.Second).UTC().Format(time.RFC3339)
		f.update(made(object(t, "pause", "{matchingPrecedence: 0, mode: Keep, expireTime: '"+until+"'}"), 2, "bob"))
		f.create(object(t, "rack", "{matchingPrecedence: 0, mode: Keep, taints: [{key: a.example.com/*}, {key: b, value: x}], nodeSelector: {matchLabels: {rack: '7'}}}"))
		f.update(made(object(t, "rack", "{matchingPrecedence: 7, mode: Keep}"), 2, ""))
		f.settle(2 * time.Hour)
		if n := len(pausesIn(logger)); n != 5 {
			t.Errorf("%d messages, want 5: the last that a pause has expired", n)
		}
		f.create(made(object(t, "again", "{matchingPrecedence: 0, mode: Keep}"), 1, "system:serviceaccount:ops:robot"))
		f.delete("again")
		f.delete("pause")
		want := []string{
			`Pause is on, holding evictions policy="pause" createdBy="alice" until="its policy is deleted"`,
			`Pause is on, holding evictions policy="pause" createdBy="bob" until="` + until + `"`,
			`Pause is on, holding evictions policy="rack" createdBy="unknown" until="its policy is deleted" taints="a.example.com/*:NoExecute, b=x:NoExecute" nodes="rack=7"`,
			`Pause is over policy="rack" createdBy="unknown" because="the policy is of another mode or precedence now"`,
			`Pause is over policy="pause" createdBy="bob" because="the policy has expired"`,
			`Pause is on, holding evictions policy="again" createdBy="system:serviceaccount:ops:robot" until="its policy is deleted"`,
			`Pause is over policy="again" createdBy="system:serviceaccount:ops:robot" because="the policy is gone"`,
		}
		if got := pausesIn(logger); !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// TestHoldsSince has previews and pauses come, change and go. The clock of a bubble begins at midnight, and API times are whole seconds that
// count as their end.
func TestHoldsSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.crd.served.Store(true)
		f.run()
		begin := time.Now()
		since := func(preview, pause time.Duration) {
			t.Helper()
			f.settle(time.Second)
			gotPreview, gotPause := f.source.HoldsSince()
			for name, times := range map[string]struct {
				got  time.Time
				want time.Duration
			}{"preview": {gotPreview, preview}, "pause": {gotPause, pause}} {
				if times.want == 0 && !times.got.IsZero() || times.want != 0 && !times.got.Equal(begin.Add(times.want)) {
					t.Errorf("%s since %v, want %s after the start", name, times.got, times.want)
				}
			}
		}
		at := func(o *unstructured.Unstructured, generation int64) *unstructured.Unstructured {
			o.Object["metadata"].(map[string]any)["managedFields"] = []any{map[string]any{
				"time": time.Now().UTC().Format(time.RFC3339), "fieldsV1": map[string]any{"f:spec": map[string]any{}},
			}}
			o.SetGeneration(generation)
			return o
		}
		f.create(at(object(t, "edge", "{matchingPrecedence: 1, mode: Keep}"), 1))
		f.create(at(object(t, "ends", "{matchingPrecedence: 1, mode: Preview, expireTime: '2030-01-01T00:00:00Z'}"), 1))
		f.create(at(object(t, "broken", "{matchingPrecedence: 0, mode: Keep, taints: [{key: ''}]}"), 1))
		since(0, 0)
		time.Sleep(10*time.Second - time.Since(begin))
		f.create(at(object(t, "preview", "{matchingPrecedence: 5, mode: Preview}"), 1))
		since(11*time.Second, 0)
		time.Sleep(20*time.Second - time.Since(begin))
		f.create(at(object(t, "second", "{matchingPrecedence: 6, mode: Preview}"), 1))
		f.create(at(object(t, "pause", "{matchingPrecedence: 0, mode: Keep, nodeSelector: {matchLabels: {rack: '7'}}}"), 1))
		since(11*time.Second, 21*time.Second)
		time.Sleep(30*time.Second - time.Since(begin))
		f.update(at(object(t, "preview", "{matchingPrecedence: 4, mode: Preview}"), 2))
		since(21*time.Second, 21*time.Second)
		f.delete("second")
		f.delete("pause")
		since(31*time.Second, 0)
	})
}
