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

package strictyaml

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

type shelf struct {
	Inlined `json:""`
	Name    string             `json:"name"`
	Books   int32              `json:"books"`
	Pages   uint32             `json:"pages,omitempty"`
	Weight  float32            `json:"weight"`
	Locked  *bool              `json:"locked"`
	Share   intstr.IntOrString `json:"share"`
	Loan    metav1.Duration    `json:"loan"`
	Size    resource.Quantity  `json:"size"`
	Topics  []string           `json:"topics"`
	Boards  []board            `json:"boards"`
	Flags   map[string]bool    `json:"flags"`
	Top     board              `json:"top"`
	Hidden  string             `json:"-"`
}

type Inlined struct {
	Room string `json:"room"`
}

type board struct {
	Wood  string `json:"wood"`
	Thick int64  `json:"thick"`
}

// before returns a value with something in every field.
func before() *shelf {
	return &shelf{
		Inlined: Inlined{"hall"}, Name: "old", Books: 1, Pages: 2, Weight: 3, Locked: ptr.To(true), Share: intstr.FromInt32(4),
		Loan: metav1.Duration{Duration: 5}, Size: resource.MustParse("6"), Topics: []string{"old"}, Boards: []board{{"oak", 7}},
		Flags: map[string]bool{"Old": true}, Top: board{"elm", 8}, Hidden: "h",
	}
}

func TestDecode(t *testing.T) {
	for _, test := range []struct {
		name, document string
		change         func(*shelf)
	}{
		{"nothing", "", func(*shelf) {}},
		{"a comment only", "# nothing here\n", func(*shelf) {}},
		{"nulls", "name:\nbooks: null\nlocked: ~\ntopics:\nflags:\ntop:\n", func(*shelf) {}},
		{"a document that is null", "---\n", func(*shelf) {}},
		{"every kind", `
room: cellar
name: "new"
books: -5
pages: 0x10
weight: 1.5
locked: false
share: 20%
loan: 1m30s
size: 3Ki
topics: [a, "2"]
boards:
- wood: ash
- {wood: fir, thick: 9}
flags: {New: true, Other: false}
top:
  thick: 10
`, func(s *shelf) {
			*s = shelf{
				Inlined: Inlined{"cellar"}, Name: "new", Books: -5, Pages: 16, Weight: 1.5, Locked: ptr.To(false), Share: intstr.FromString("20%"),
				Loan: metav1.Duration{Duration: 90 * time.Second}, Size: resource.MustParse("3Ki"), Topics: []string{"a", "2"},
				Boards: []board{{"ash", 0}, {"fir", 9}}, Flags: map[string]bool{"New": true, "Other": false}, Top: board{"elm", 10}, Hidden: "h",
			}
		}},
		{"values that are empty", "name: ''\nbooks: 0\ntopics: []\nboards: []\nflags: {}\ntop: {}\n", func(s *shelf) {
			s.Name, s.Books, s.Topics, s.Boards, s.Flags = "", 0, []string{}, []board{}, map[string]bool{}
		}},
		{"a share that is a number", "share: 7", func(s *shelf) { s.Share = intstr.FromInt32(7) }},
		{"JSON", `{"name": "j", "top": {"wood": "w"}}`, func(s *shelf) { s.Name, s.Top.Wood = "j", "w" }},
		{"an alias", "name: &n x\nroom: *n\n", func(s *shelf) { s.Name, s.Room = "x", "x" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, want := before(), before()
			test.change(want)
			if _, errs := Decode([]byte(test.document), got); len(errs) > 0 {
				t.Fatal(errs)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct{ name, document, want string }{
		{"unknown", "name: a\nnema: b\n", `2: nema: unknown field`},
		{"unknown by case", "Name: b\n", `1: Name: unknown field, it is name`},
		{"unknown in a struct", "top:\n  wood: a\n  cork: b\n", `3: top.cork: unknown field`},
		{"unknown in a list", "boards:\n- wood: a\n- cork: b\n", `3: boards[1].cork: unknown field`},
		{"a field without a name in JSON", "Hidden: x\n", `1: Hidden: unknown field`},
		{"the name of an embedded struct", "Inlined: {}\n", `1: Inlined: unknown field`},
		{"duplicate", "name: a\nbooks: 1\nname: b\n", `3: name: duplicate field, it is also in line 1`},
		{"duplicate in JSON", `{"name": "a", "name": "a"}`, `1: name: duplicate field, it is also in line 1`},
		{"duplicate in a map", "flags:\n  A: true\n  A: true\n", `3: flags[A]: duplicate field, it is also in line 2`},
		{"no number", "books: many\n", `1: books: Invalid value: "many": must be a whole number of 32 bits`},
		{"a fraction", "books: 1.5\n", `1: books: Invalid value: "1.5": must be a whole number of 32 bits`},
		{"a number in quotes", "books: \"1\"\n", `1: books: Invalid value: "1": must be a whole number of 32 bits`},
		{"too many bits", "books: 2147483648\n", `1: books: Invalid value: "2147483648": must be a whole number of 32 bits`},
		{"more than 64 bits", "books: 99999999999999999999\n", `1: books: Invalid value: "99999999999999999999": must be a whole number of 32 bits`},
		{"negative", "pages: -1\n", `1: pages: Invalid value: "-1": must be a whole number of 32 bits that is not negative`},
		{"not a number", "weight: .nan\n", `1: weight: Invalid value: ".nan": must be a number`},
		{"no boolean", "locked: yes\n", `1: locked: Invalid value: "yes": must be true or false`},
		{"no string", "name: 12\n", `1: name: Invalid value: "12": must be a string: put it in quotes`},
		{"no duration", "loan: 15\n", `1: loan: Invalid value: "15": must be a duration, such as 15s or 1m30s`},
		{"a duration without a unit", "loan: \"15\"\n", `1: loan: Invalid value: "15": must be a duration, such as 15s or 1m30s`},
		{"neither a number nor a string", "share: 1.5\n", `1: share: Invalid value: "1.5": must be a number or a string`},
		{"no quantity", "size: much\n", `1: size: Invalid value: "much": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`},
		{"a mapping for a quantity", "size: {}\n", `1: size: must be a single value, is a mapping`},
		{"no list", "topics: a\n", `1: topics: Invalid value: "a": must be a list`},
		{"no mapping", "top: 3\n", `1: top: Invalid value: "3": must be a mapping`},
		{"a list for a mapping", "top:\n- wood\n", `2: top: must be a mapping, is a list`},
		{"a mapping for a value", "name:\n  first: a\n", `2: name: must be a string: put it in quotes, is a mapping`},
		{"an element of a list", "topics:\n- a\n- 3\n", `3: topics[1]: Invalid value: "3": must be a string: put it in quotes`},
		{"an empty element of a list", "topics:\n- a\n-\n", `3: topics[1]: Invalid value: "": must have a value`},
		{"an element of a map", "flags: {A: 1}\n", `1: flags[A]: Invalid value: "1": must be true or false`},
		{"an empty element of a map", "flags:\n  A:\n", `2: flags[A]: Invalid value: "": must have a value`},
		{"no mapping at all", "just text\n", `1: Invalid value: "just text": must be a mapping`},
		{"a key that is no name", "{[a]: b}\n", `1: must have names as keys`},
		{"two documents", "name: a\n---\nname: b\n", `2: must be one document, and here begins another`},
		{"an alias of nothing", "name: *n\n", `1: is not YAML: unknown anchor 'n' referenced`},
		{"everything at once, in order", "books: x\nfoo: 1\ntop:\n  thick: y\n  bar: 1\nname: a\nname: b\n", `1: books: Invalid value: "x": must be a whole number of 32 bits
2: foo: unknown field
4: top.thick: Invalid value: "y": must be a whole number of 64 bits
5: top.bar: unknown field
7: name: duplicate field, it is also in line 6`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, errs := Decode([]byte(test.document), before())
			if got := listed(errs); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func listed(errs []Error) string {
	var lines []string
	for _, err := range errs {
		lines = append(lines, fmt.Sprintf("%d: %v", err.Line, err))
	}
	return strings.Join(lines, "\n")
}

// The text of the parser may change; that the line is named must not.
func TestSyntaxErrors(t *testing.T) {
	for document, line := range map[string]int{
		"name: a\nbooks: [1\n":               2,
		"name: a\n\tbooks: 1\n":              2,
		"name: 'a\nbooks: 1\n":               1,
		"a: b: c\n":                          1,
		"name: a\nroom: |\n  x\n y\n":        4,
		"name: [a,\n  b]\n]\n":               3,
		"name: a\nroom: *n\n":                2,
		"name: a\n---\nname: b\n---\nx: [\n": 5,
		"name: a\n\x00\n":                    2,
		strings.Repeat("# c\n", 2000) + "[":  0,
	} {
		_, errs := Decode([]byte(document), before())
		errs = slices.DeleteFunc(errs, func(err Error) bool { return !strings.HasPrefix(err.Message, "is not YAML: ") })
		if len(errs) != 1 || errs[0].Line != line || strings.Contains(errs[0].Message, "line") {
			t.Errorf("%.20q: got %s, want one error in line %d", document, listed(errs), line)
		}
	}
}

// A value that is wrong changes nothing, and what is right is decoded all the same.
func TestWrongValuesKeepWhatWasThere(t *testing.T) {
	got, want := before(), before()
	_, errs := Decode([]byte("name: 1\nbooks: x\nlocked: 3\nloan: 4\nroom: new\ntop: {wood: new, thick: z}\n"), got)
	want.Room, want.Top.Wood = "new", "new"
	if len(errs) != 5 || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v\nwith %v", got, want, errs)
	}
	got.Locked = nil
	if Decode([]byte("locked: 3"), got); got.Locked != nil {
		t.Error("a pointer was made for a value that is wrong")
	}
}

func TestLines(t *testing.T) {
	lines, errs := Decode([]byte("# first\nname: a\nboards:\n- wood: a\n-\n  thick: 3\nflags:\n  A.b: true\n"), before())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var got []string
	for _, path := range []string{"name", "boards", "boards[0].wood", "boards[1].thick", "flags[A.b]", "boards[1].wood", "boards[7]", "flags[C.d]", "top.wood", ""} {
		got = append(got, fmt.Sprintf("%s %d", path, lines.Of(path)))
	}
	want := []string{"name 2", "boards 3", "boards[0].wood 4", "boards[1].thick 6", "flags[A.b] 8", "boards[1].wood 6", "boards[7] 3", "flags[C.d] 7", "top.wood 1", " 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// No document makes it panic.
func FuzzDecode(f *testing.F) {
	for _, document := range []string{"", "a", "name: a\n---\n", "boards: [{wood: *a}]", "top: &a {wood: *a}", "? [a]\n: b", "<<: {name: a}", "flags: {1: true}"} {
		f.Add(document)
	}
	f.Fuzz(func(_ *testing.T, document string) { Decode([]byte(document), before()) })
}
