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

package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// indent is that of JSON, as kubectl has it.
const indent = "    "

// longList is a result with a list that may be too long to be encoded at once.
type longList interface {
	// Long returns the result with that list empty, its name in JSON, the number of its elements, and each of them.
	Long() (rest any, name string, n int, element func(i int) any)
}

// printJSON prints a result as kubectl prints JSON. Of a long list it encodes one element after another: a whole encoding takes several times
// the memory of the result.
func printJSON(r result, to io.Writer) error {
	var rest any = r
	name, n, element := "", 0, func(int) any { return nil }
	if long, is := r.(longList); is {
		rest, name, n, element = long.Long()
	}
	data, err := json.MarshalIndent(rest, "", indent)
	if err != nil {
		return err
	}
	begin, end := fmt.Appendf(nil, "\n%s%q: [", indent, name), []byte("]")
	before, after, found := bytes.Cut(data, append(begin, end...))
	if !found || n == 0 {
		_, err := fmt.Fprintf(to, "%s\n", data)
		return err
	}
	if _, err := fmt.Fprintf(to, "%s%s", before, begin); err != nil {
		return err
	}
	for i, separator := 0, ""; i < n; i, separator = i+1, "," {
		data, err := json.MarshalIndent(element(i), indent+indent, indent)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(to, "%s\n%s%s%s", separator, indent, indent, data); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(to, "\n%s%s%s\n", indent, end, after)
	return err
}
