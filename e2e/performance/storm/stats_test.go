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

package main

import (
	"slices"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, test := range []struct {
		name    string
		sorted  []time.Duration
		percent float64
		want    time.Duration
	}{
		{"none", nil, 50, 0},
		{"one", []time.Duration{7}, 99, 7},
		{"first", hundred, 0, 1},
		{"median", hundred, 50, 50},
		{"p99", hundred, 99, 99},
		{"last", hundred, 100, 100},
		{"of few, the higher", []time.Duration{1, 2}, 51, 2},
	} {
		if got := percentile(test.sorted, test.percent); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestSince(t *testing.T) {
	began := time.Now()
	got := since(began, []time.Time{began.Add(3), began.Add(1), began.Add(2)})
	if !slices.Equal(got, []time.Duration{1, 2, 3}) {
		t.Errorf("%v", got)
	}
}

func TestSteady(t *testing.T) {
	for _, test := range []struct {
		values []uint64
		want   bool
	}{
		{nil, false},
		{[]uint64{100}, true},
		{[]uint64{1000, 995, 991}, true},
		{[]uint64{1000, 980}, false},
	} {
		if got := steady(test.values, 0.01); got != test.want {
			t.Errorf("%v: %t", test.values, got)
		}
	}
}
