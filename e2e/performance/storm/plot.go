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
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/taint-manager/taint-manager/e2e/performance/figures"
)

const (
	pictureWidth, pictureHeight = 24 * vg.Centimeter, 11 * vg.Centimeter
	// margin is around the picture, and legendAt where the legend begins.
	margin, legendAt = vg.Length(8), 15 * vg.Centimeter
	// family is what the library writes as the font. Where that is missing, others of the same widths do.
	family, families = "font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif"
	// mostTicks is how many ticks an axis has at most, beside that at zero.
	mostTicks = 10
)

// lineStyle returns how the line of a contender looks. The colours, and the one of axes and text, have enough contrast on
// white and on black: a picture in a document has no background of its own.
func lineStyle(contender string) draw.LineStyle {
	switch contender {
	case oursName:
		return draw.LineStyle{Color: color.NRGBA{R: 0x2f, G: 0x81, B: 0xf7, A: 0xff}, Width: vg.Points(3)}
	case bareName:
		return draw.LineStyle{Color: textColor(), Width: vg.Points(1.5), Dashes: []vg.Length{vg.Points(6), vg.Points(4)}}
	default:
		return draw.LineStyle{Color: color.NRGBA{R: 0xdb, G: 0x5b, B: 0x2c, A: 0xff}, Width: vg.Points(2.5)}
	}
}

func textColor() color.Color { return color.NRGBA{R: 0x7d, G: 0x7d, B: 0x7d, A: 0xff} }

// curve returns when the first pod was evicted, and when each further percent of the pods was, in seconds, of sorted times.
func curve(evicted []time.Duration) []float64 {
	if len(evicted) == 0 {
		return nil
	}
	var points []float64
	for percent := 0; percent <= 100; percent++ {
		points = append(points, percentile(evicted, float64(percent)).Round(time.Millisecond).Seconds())
	}
	return points
}

// points returns the line of a storm: how many pods were evicted at which second.
func (s *Storm) points() plotter.XYs {
	line := plotter.XYs{{X: 0, Y: 0}}
	for percent, at := range s.EvictedSeconds {
		line = append(line, plotter.XY{X: at, Y: float64(s.Evicted) * float64(percent) / 100})
	}
	return line
}

// pictured returns the storms that one picture can compare: the first of each contender, of those with the most pods.
func (r *report) pictured() (storms []*Storm) {
	most, seen := 0, map[string]bool{}
	for i := range r.Storms {
		most = max(most, r.Storms[i].Pods)
	}
	for i := range r.Storms {
		if s := &r.Storms[i]; s.Pods == most && !seen[s.Contender] && len(s.EvictedSeconds) > 0 {
			seen[s.Contender] = true
			storms = append(storms, s)
		}
	}
	return storms
}

// svg draws the pods evicted over time. It returns nothing where there is nothing to draw.
func (r *report) svg() (string, error) {
	storms := r.pictured()
	if len(storms) == 0 {
		return "", nil
	}
	p := newPicture(fmt.Sprintf("%s pods on %s nodes that are tainted at the same moment", figures.Count(storms[0].Pods), figures.Count(storms[0].Nodes)))
	for _, s := range storms {
		line, err := plotter.NewLine(s.points())
		if err != nil {
			return "", fmt.Errorf("line of %s: %w", s.Title, err)
		}
		line.LineStyle = lineStyle(s.Contender)
		p.Add(line)
		p.Legend.Add(s.Title, line)
	}
	canvas := vgsvg.New(pictureWidth, pictureHeight)
	p.Draw(draw.Crop(draw.New(canvas), margin, -margin, margin, -margin))
	var text strings.Builder
	if _, err := canvas.WriteTo(&text); err != nil {
		return "", fmt.Errorf("writing the picture: %w", err)
	}
	return strings.ReplaceAll(text.String(), family, families), nil
}

// ticks returns round numbers along an axis from zero to most.
func ticks(_, most float64) (marks []plot.Tick) {
	step := 1.0
	for factors := []float64{2, 2.5, 2}; most/step > mostTicks; factors = append(factors[1:], factors[0]) {
		step *= factors[0] // 1, 2, 5, 10, 20, 50 …
	}
	for at := 0.0; at <= most; at += step {
		marks = append(marks, plot.Tick{Value: at, Label: figures.Count(int(at))})
	}
	return marks
}

// newPicture returns an empty picture without a background.
func newPicture(title string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, "seconds after the first taint", "pods evicted"
	p.Legend.Left, p.Legend.Padding = true, vg.Points(3) // what begins on the left has its place whatever the font
	p.Legend.XOffs, p.Legend.YOffs = legendAt, vg.Points(12)
	p.Title.Padding = vg.Points(8)
	for _, style := range []*draw.TextStyle{
		&p.Title.TextStyle, &p.Legend.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label,
	} {
		style.Color = textColor()
		style.Font.Typeface, style.Font.Variant, style.Font.Size = "Liberation", "Sans", font.Points(12)
	}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Tick.Color, axis.Min = textColor(), textColor(), 0
		axis.Tick.Marker, axis.Label.Padding = plot.TickerFunc(ticks), vg.Points(4)
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	grid.Horizontal.Color = color.NRGBA{R: 0x7d, G: 0x7d, B: 0x7d, A: 0x40}
	p.Add(grid)
	return p
}

// writeSVG draws the picture into a file, if one is asked for and there is something to draw.
func writeSVG(path string, r *report) error {
	if path == "" {
		return nil
	}
	picture, err := r.svg()
	if err != nil || picture == "" {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("directory of the picture: %w", err)
	}
	if err := os.WriteFile(path, []byte(picture), 0o666); err != nil {
		return fmt.Errorf("writing the picture: %w", err)
	}
	return nil
}
