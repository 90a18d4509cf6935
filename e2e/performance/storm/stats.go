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
	"math"
	"slices"
	"time"
)

// percentile returns the value that so many percent of the sorted values do not exceed; zero of none.
func percentile(sorted []time.Duration, percent float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// since returns how long after a moment each of the others was, sorted.
func since(began time.Time, moments []time.Time) []time.Duration {
	took := make([]time.Duration, len(moments))
	for i, moment := range moments {
		took[i] = moment.Sub(began)
	}
	slices.Sort(took)
	return took
}

// steady says whether the values differ by no more than a part of the largest.
func steady(values []uint64, part float64) bool {
	if len(values) == 0 {
		return false
	}
	low, high := slices.Min(values), slices.Max(values)
	return float64(high-low) <= part*float64(high)
}

// ratio is a over b, or nothing where one of them was not measured.
func ratio(a, b float64) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	return a / b
}
