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
	"fmt"
	"math"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/performance/figures"
)

// Measure is one thing that was measured of all ways, once or several times each.
type Measure struct {
	Name string      `json:"name"`
	Seen [][]float64 `json:"seen"` // by way
	kind kind
}

// kind says which figures are better, and how they are written.
type kind int

const (
	perSecond  kind = iota // more is better
	howMany                // more is better
	howLong                // less is better
	howOften               // less is better
	processing             // milliseconds of processor time; less is better
)

func (k kind) moreIsBetter() bool { return k == perSecond || k == howMany }

func (k kind) text(v float64) string {
	switch k {
	case howMany:
		return figures.Count(int(math.Round(v)))
	case howLong:
		return seconds(v)
	case processing:
		return millis(v)
	default:
		return plain(v)
	}
}

// add notes what was seen of a way.
func (m *Mechanism) add(way int, name string, k kind, value float64) {
	for _, measure := range m.Measures {
		if measure.Name == name {
			measure.Seen[way] = append(measure.Seen[way], value)
			return
		}
	}
	measure := &Measure{Name: name, Seen: make([][]float64, len(m.Ways)), kind: k}
	measure.Seen[way] = []float64{value}
	m.Measures = append(m.Measures, measure)
}

// mean is the mean of a way; NaN where it was not measured.
func (m *Measure) mean(way int) float64 {
	sum := 0.0
	for _, v := range m.Seen[way] {
		sum += v
	}
	return quotient(sum, float64(len(m.Seen[way])))
}

// gain is by how much taint-manager as it is is better than a plain way: the difference, of the larger of the two. It is negative where
// the plain way is better.
func (m *Measure) gain(way int) float64 {
	on, off := m.mean(0), m.mean(way)
	larger := math.Max(math.Abs(on), math.Abs(off))
	if math.IsNaN(larger) || larger == 0 {
		return 0
	}
	if m.kind.moreIsBetter() {
		return (on - off) / larger
	}
	return (off - on) / larger
}

// bought returns the largest gain over a plain way and the largest loss, and what they are of.
func (m *Mechanism) bought(way int) (gain, loss float64, of, against string) {
	for _, measure := range m.Measures {
		g := measure.gain(way)
		if g > gain {
			gain, of = g, measure.Name
		}
		if g < loss {
			loss, against = g, measure.Name
		}
	}
	return gain, loss, of, against
}

// buys is what the mechanism buys beside the best plain way.
func (m *Mechanism) buys() float64 {
	least := math.Inf(1)
	for way := 1; way < len(m.Ways); way++ {
		gain, _, _, _ := m.bought(way)
		least = min(least, gain)
	}
	return least
}

// table is the mechanism's table: a row for each measure, with what the mechanism buys in brackets, and the conclusion.
func (m *Mechanism) table() figures.Table {
	t := figures.Table{{fmt.Sprintf("%s, for %s", m.Title, m.Purpose)}}
	t[0] = append(t[0], m.Ways...)
	for _, measure := range m.Measures {
		row := []string{measure.Name, measure.text(0)}
		for way := 1; way < len(m.Ways); way++ {
			row = append(row, measure.text(way)+" ("+change(measure.gain(way))+")")
		}
		t = append(t, row)
	}
	verdict := "**has to go**"
	if m.buys() >= mechanismGoal {
		verdict = "stays"
	}
	last := []string{"**what it buys at most, and costs at most**", verdict}
	for way := 1; way < len(m.Ways); way++ {
		gain, loss, of, against := m.bought(way)
		text := []string{}
		if of != "" {
			text = append(text, change(gain)+" "+of)
		}
		if against != "" {
			text = append(text, change(loss)+" "+against)
		}
		last = append(last, orNone(strings.Join(text, "; ")))
	}
	return append(t, last)
}

func (m *Measure) text(way int) string {
	if mean := m.mean(way); !math.IsNaN(mean) {
		return m.kind.text(mean)
	}
	return notMeasured
}

// change writes a part with its sign.
func change(v float64) string { return fmt.Sprintf("%+.0f %%", 100*v) }
