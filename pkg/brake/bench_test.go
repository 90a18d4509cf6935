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

package brake

import (
	"fmt"
	"testing"
	"time"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// What a storm asks for: a pod of a node that is known.
func BenchmarkMay(b *testing.B) {
	for _, nodes := range []int{50, 5000, 50000} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			brake, names, taint := storm(b, nodes)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				brake.May(names[i%nodes], Due{Taint: taint, From: taint.Start})
			}
		})
	}
}

// A node that is tainted, and one that is untainted, among others.
func BenchmarkSet(b *testing.B) {
	for _, nodes := range []int{50, 5000, 50000} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			brake, names, taint := storm(b, nodes)
			told := Node{Taints: []deadline.Taint{taint}, Due: []Due{{Taint: taint, From: taint.Start}}}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				brake.Set(names[i%nodes], Node{})
				brake.Set(names[i%nodes], told)
			}
		})
	}
}

// storm returns a brake that is on, with so many nodes.
func storm(b *testing.B, nodes int) (*Brake, []string, deadline.Taint) {
	b.Helper()
	brake, err := New(configured(share("20%")))
	if err != nil {
		b.Fatal(err)
	}
	brake.SetTotal(nodes)
	now := time.Now()
	names := make([]string, nodes)
	for i := range names {
		names[i] = nameOf(i)
		taint := deadline.Taint{Key: "a", Start: now.Add(time.Duration(i) * time.Microsecond)}
		brake.Set(names[i], Node{Taints: []deadline.Taint{taint}, Due: []Due{{Taint: taint, From: now}}})
	}
	return brake, names, deadline.Taint{Key: "a", Start: now}
}
