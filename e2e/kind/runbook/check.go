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

package runbook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var assignment = regexp.MustCompile(`^([A-Z_]+)=(\S*)(\s+#.*)?$`)

// Assign returns a script of assignments, such as "NODE=worker-1 # to be emptied", with other values, as readers put in their own, and
// the values that the document has. It is an error if the script assigns to other variables than those that are given, or has anything else.
func Assign(script string, values map[string]string) (assigned string, documented map[string]string, err error) {
	var out strings.Builder
	documented = map[string]string{}
	for line := range strings.Lines(script) {
		parts := assignment.FindStringSubmatch(strings.TrimSpace(line))
		if parts == nil {
			return "", nil, fmt.Errorf("%q does not only assign a value to a variable", line)
		}
		value, known := values[parts[1]]
		if !known {
			return "", nil, fmt.Errorf("%q: no value is known for %s", line, parts[1])
		}
		documented[parts[1]] = parts[2]
		fmt.Fprintf(&out, "%s='%s'\n", parts[1], value)
	}
	for name := range values {
		if _, assigns := documented[name]; !assigns {
			return "", nil, fmt.Errorf("nothing assigns a value to %s", name)
		}
	}
	return out.String(), documented, nil
}

// Check compares what became of a step's commands with what the document says, and returns what is different.
func (s Step) Check(result Result) (complaints []string) {
	expected := map[string]int{}
	for command, code := range s.Codes {
		expected[command] = code
	}
	for _, failed := range result.Failures {
		command := normal(failed.Command)
		if code := expected[command]; code != failed.Code {
			complaints = append(complaints, fmt.Sprintf("exit code %d, and the document says %d: %s", failed.Code, code, command))
		}
		delete(expected, command)
	}
	for command, code := range expected {
		complaints = append(complaints, fmt.Sprintf("exit code 0, or it was not run, and the document says %d: %s", code, command))
	}
	slices.Sort(complaints)
	return append(complaints, s.checkOutput(result.Output)...)
}

func (s Step) checkOutput(output string) []string {
	lines := strings.Split(output, "\n")
	for _, want := range s.Output {
		at := slices.IndexFunc(lines, func(line string) bool { return matches(want, normal(line)) })
		if at < 0 {
			return []string{fmt.Sprintf("no line %q, or not in this order", want)}
		}
		lines = lines[at+1:]
	}
	return nil
}

// matches compares a line of the document, in which three dots stand for anything, with one that was printed.
func matches(want, line string) bool {
	parts := strings.Split(want, "...")
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString(line)
}
