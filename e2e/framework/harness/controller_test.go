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

package harness

import (
	"strings"
	"testing"
)

// reportOf is a report of the race detector between two functions, as a binary of it prints it.
func reportOf(write, read string) string {
	return "==================\n" + raceReport + "\nWrite at 0x00c0003068e0 by goroutine 109:\n  " + write +
		"()\n      file.go:572 +0xd3\n\nPrevious read at 0x00c0003068e0 by goroutine 97:\n  " + read + "()\n      file.go:622 +0x239c\n==================\n"
}

func TestRace(t *testing.T) {
	const (
		logging = "k8s.io/client-go/transport.(*debuggingRoundTripper).RoundTrip"
		ours    = "github.com/taint-manager/taint-manager/pkg/evictor.(*Evictor).Run"
	)
	for name, c := range map[string]struct {
		log   string
		found bool
	}{
		"none":                      {log: "I1123 server.go:87] \"Stopping\"\n"},
		"in client-go's logging":    {log: reportOf(logging+".func6", logging) + reportOf(logging, logging+".func6")},
		"in ours":                   {log: reportOf(ours, ours), found: true},
		"in ours, from the logging": {log: reportOf(ours, logging), found: true},
		"in ours, after the other":  {log: reportOf(logging+".func6", logging) + "line\n" + reportOf(ours, ours), found: true},
		"with a line in between":    {log: strings.Replace(reportOf(ours, ours), "Write", "I1123 line\nWrite", 1), found: true},
	} {
		if got := race(c.log); (got != "") != c.found {
			t.Errorf("%s: found %q", name, got)
		} else if c.found && !strings.Contains(got, ours) {
			t.Errorf("%s: found another one: %s", name, got)
		}
	}
}
