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

package mutation

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const text = `package p

// limit is a constant.
const limit, other = 5, 6

type t struct{ field int ` + "`json:\"field\"`" + ` }

func (x *t) method(n int) int {
	// a comment
	if n >
		limit && x.field > 0 { // another
		n++
		return call("words", n)
	}
	return n
}
`

// files writes the package p of a directory.
func files(t *testing.T) (pkg, path string) {
	t.Helper()
	pkg = t.TempDir()
	path = filepath.Join(pkg, "p", "p.go")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return pkg, path
}

func TestApply(t *testing.T) {
	for name, c := range map[string]struct {
		edits []Edit
		want  []string
	}{
		"the value of a constant":          {[]Edit{{In: "p.other", Put: "7"}}, []string{"limit, other = 5, 7"}},
		"the beginning of a method":        {[]Edit{{In: "p.t.method", Put: "println()"}}, []string{"int {println()"}},
		"an expression over two lines":     {[]Edit{{In: "p.t.method", Find: "n > limit", Put: "($0 || true)"}}, []string{"if (n >\n\t\tlimit || true) && x.field"}},
		"an expression with any other one": {[]Edit{{In: "p.t.method", Find: "call(_, n)", Put: "0"}}, []string{"return 0\n"}},
		"statements":                       {[]Edit{{In: "p.t.method", Find: "n++\nreturn call(_, _)", Put: "return 1"}}, []string{"return 1\n"}},
		"a tag":                            {[]Edit{{In: "p.t", Find: "`json:\"field\"`", Put: "`json:\"-\"`"}}, []string{"`json:\"-\"`"}},
		"one after the other": {
			[]Edit{{In: "p.limit", Put: "8"}, {In: "p.t.method", Find: "x.field > 0", Put: "false"}}, []string{"limit, other = 8, 6", "&& false {"}},
	} {
		t.Run(name, func(t *testing.T) {
			pkg, path := files(t)
			edited, err := Apply(pkg, c.edits)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if got := string(edited[path]); len(edited) != 1 || !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
		})
	}
}

func TestWhatIsNotThereOnceIsAnError(t *testing.T) {
	pkg, _ := files(t)
	for name, e := range map[string]Edit{
		"no such declaration": {In: "p.none", Put: "1"},
		"no such package":     {In: "q.limit", Put: "1"},
		"no such expression":  {In: "p.t.method", Find: "n < limit"},
		"more than once":      {In: "p.t.method", Find: "n"},
		"no Go":               {In: "p.t.method", Find: "if ("},
	} {
		if _, err := Apply(pkg, []Edit{e}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
