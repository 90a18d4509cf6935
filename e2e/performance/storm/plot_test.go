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
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCurve(t *testing.T) {
	var evicted []time.Duration
	for i := 1; i <= 1000; i++ {
		evicted = append(evicted, time.Duration(i)*time.Second)
	}
	points := curve(evicted)
	if len(points) != 101 || points[0] != 1 || points[1] != 10 || points[50] != 500 || points[100] != 1000 || !slices.IsSorted(points) {
		t.Errorf("%v", points)
	}
	if got := curve(nil); got != nil {
		t.Errorf("of no evictions: %v", got)
	}
	s := Storm{Evicted: 1000, EvictedSeconds: points}
	if line := s.points(); len(line) != 102 || line[0].Y != 0 || line[51].X != 500 || line[51].Y != 500 || line[101].Y != 1000 {
		t.Errorf("%v", line)
	}
}

// A contender that is measured twice is drawn once, and one with fewer pods is not compared.
func TestPictured(t *testing.T) {
	some := []float64{1, 2}
	r := &report{Storms: []Storm{
		{Contender: bareName, Title: "before", Pods: 5, EvictedSeconds: some}, {Contender: oursName, Pods: 5, EvictedSeconds: some},
		{Contender: bareName, Title: "after", Pods: 5, EvictedSeconds: some}, {Contender: builtinName, Pods: 5},
		{Contender: builtinDefaultName, Pods: 1, EvictedSeconds: some},
	}}
	var names []string
	for _, s := range r.pictured() {
		names = append(names, s.Contender+s.Title)
	}
	if got := strings.Join(names, ","); got != "barebefore,taint-manager" {
		t.Errorf("pictured: %s", got)
	}
}

func TestTicks(t *testing.T) {
	for most, want := range map[float64]string{38.1: "0 5 10 15 20 25 30 35", 94: "0 10 20 30 40 50 60 70 80 90", 5000: "0 500 1,000 1,500 2,000 2,500 3,000 3,500 4,000 4,500 5,000", 7: "0 1 2 3 4 5 6 7"} {
		var labels []string
		for _, tick := range ticks(0, most) {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != want {
			t.Errorf("up to %v: %s, want %s", most, got, want)
		}
	}
}

// The picture is well-formed, names all contenders and has no background, so that it reads on white and on black.
func TestSVG(t *testing.T) {
	r := sample()
	file := filepath.Join(t.TempDir(), "made", "storm.svg")
	if err := writeSVG(file, r); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for decoder := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"<svg", ">taint-manager<", ">bare client<", ">built-in<", "pods evicted", "seconds after the first taint", "4 pods on 2 nodes"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the picture", want)
		}
	}
	for _, not := range []string{"#000000", "#FFFFFF", "#ffffff", "fill:#-"} {
		if strings.Contains(text, not) {
			t.Errorf("the picture has the colour %s, which does not show on every background:\n%s", not, text)
		}
	}
	if err := writeSVG("", r); err != nil {
		t.Error(err)
	}
	none := filepath.Join(t.TempDir(), "none.svg")
	if err := writeSVG(none, &report{}); err != nil {
		t.Error(err)
	} else if _, err := os.Stat(none); err == nil {
		t.Error("a picture of nothing was written")
	}
}
