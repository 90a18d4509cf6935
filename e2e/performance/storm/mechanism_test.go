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
	"strings"
	"testing"
)

func TestParseMechanisms(t *testing.T) {
	if chosen, err := parseMechanisms("lease,limit"); err != nil || mechanismNames(chosen) != "lease,limit" {
		t.Errorf("%s, error %v", mechanismNames(chosen), err)
	}
	if chosen, err := parseMechanisms(""); err != nil || len(chosen) != 0 {
		t.Errorf("%v, error %v", chosen, err)
	}
	if _, err := parseMechanisms("limit,nothing"); err == nil {
		t.Error("an unknown one is no error")
	}
}

// compared is a mechanism beside two plain ways, one of which is nearly as good.
func compared() *Mechanism {
	m := &Mechanism{Title: "a thing", Purpose: "speed", Ways: []string{"clever", "slow", "near"}}
	for way, rate := range []float64{100, 50, 96} {
		m.add(way, "evictions/s", perSecond, rate-1)
		m.add(way, "evictions/s", perSecond, rate+1)
	}
	for way, late := range []float64{0.4, 0.4, 0.2} {
		m.add(way, "late", howLong, late)
	}
	return m
}

func TestGain(t *testing.T) {
	m := compared()
	for _, test := range []struct {
		measure, way int
		want         float64
	}{{0, 1, 0.5}, {0, 2, 0.04}, {1, 1, 0}, {1, 2, -0.5}} {
		if got := m.Measures[test.measure].gain(test.way); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s, beside %s: %v, want %v", m.Measures[test.measure].Name, m.Ways[test.way], got, test.want)
		}
	}
	nothing := &Measure{Seen: [][]float64{{0}, {0}, nil}}
	if nothing.gain(1) != 0 || nothing.gain(2) != 0 {
		t.Errorf("of nothing: %v and %v", nothing.gain(1), nothing.gain(2))
	}
}

// What a mechanism buys is what it buys beside the best of the plain ways.
func TestMechanismTable(t *testing.T) {
	m := compared()
	if got := m.buys(); math.Abs(got-0.04) > 1e-9 {
		t.Errorf("buys %v", got)
	}
	var b strings.Builder
	m.table().Write(&b)
	for _, want := range []string{
		"| a thing, for speed | clever | slow | near |\n|---|---|---|---|\n", "| evictions/s | 100.00 | 50.00 (+50 %) | 96.00 (+4 %) |",
		"| late | 400 ms | 400 ms (+0 %) | 200 ms (-50 %) |", "| **has to go** | +50 % evictions/s | +4 % evictions/s; -50 % late |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	m.add(2, "calls/s", howOften, 4)
	m.add(0, "calls/s", howOften, 1)
	if got := m.buys(); got != 0.5 { // of what it buys beside the other
		t.Errorf("buys %v", got)
	}
	b.Reset()
	m.table().Write(&b)
	if text := b.String(); !strings.Contains(text, "| stays |") || !strings.Contains(text, "| calls/s | 1.00 | — (+0 %) | 4.00 (+75 %) |") {
		t.Error(text)
	}
}
