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

package monitoring

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// The picture has the grid of the dashboard: 24 columns.
const (
	columns      = 24
	columnWidth  = vg.Length(40)
	rowHeight    = vg.Length(22)
	gap          = vg.Length(6)
	fontSize     = vg.Length(9)
	mostInLegend = 10
)

// colours are those of lines, in order: Grafana's classic palette begins like this.
func colours() []color.Color {
	return []color.Color{
		color.NRGBA{0x5a, 0x9e, 0x4b, 0xff}, color.NRGBA{0xd9, 0xa4, 0x0a, 0xff}, color.NRGBA{0x3b, 0x9e, 0xc4, 0xff}, color.NRGBA{0xe0, 0x75, 0x2d, 0xff},
		color.NRGBA{0xd4, 0x3c, 0x33, 0xff}, color.NRGBA{0x1f, 0x60, 0xc4, 0xff}, color.NRGBA{0xa3, 0x3d, 0x9e, 0xff}, color.NRGBA{0x6b, 0x57, 0xb5, 0xff},
		color.NRGBA{0x50, 0x86, 0x42, 0xff}, color.NRGBA{0x8a, 0x6d, 0x0b, 0xff}, color.NRGBA{0x44, 0x75, 0x8c, 0xff},
	}
}

// drawDashboard returns a PNG of the panels, each at its place.
func drawDashboard(panels []drawn, from, to time.Time) ([]byte, error) {
	rows := 0
	for _, p := range panels {
		rows = max(rows, p.GridPos.Y+p.GridPos.H)
	}
	width, height := columns*columnWidth, vg.Length(rows)*rowHeight
	canvas := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(80))
	whole := vgdraw.New(canvas)
	for _, p := range panels {
		at := p.GridPos
		part := vgdraw.Crop(whole, vg.Length(at.X)*columnWidth+gap, vg.Length(at.X+at.W)*columnWidth-width-gap,
			height-vg.Length(at.Y+at.H)*rowHeight+gap, -vg.Length(at.Y)*rowHeight-gap/2)
		if err := p.draw(part, from, to); err != nil {
			return nil, fmt.Errorf("panel %q: %w", p.Title, err)
		}
	}
	return encodePNG(canvas.Image())
}

// encodePNG encodes a picture with few colours, which makes it small.
func encodePNG(picture image.Image) ([]byte, error) {
	few := image.NewPaletted(picture.Bounds(), fewColours())
	draw.Draw(few, few.Bounds(), picture, picture.Bounds().Min, draw.Src)
	var out bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few)
	return out.Bytes(), err
}

// fewColours are those that are used, and what is between them and white at the edges of lines and letters.
func fewColours() color.Palette {
	used := append(colours(), darkText(), color.NRGBA{0x00, 0x00, 0x00, 0xff}, paleGreen(), paleOrange(), paleRed(), paleGrey())
	few := color.Palette{color.White}
	const steps = 5
	for _, c := range used {
		r, g, b, _ := c.RGBA()
		for step := range steps {
			mixed := func(part uint32) uint8 { return uint8((part*uint32(steps-step) + 0xffff*uint32(step)) / steps >> 8) }
			few = append(few, color.NRGBA{mixed(r), mixed(g), mixed(b), 0xff})
		}
	}
	return few
}

func darkText() color.Color   { return color.NRGBA{0x22, 0x22, 0x22, 0xff} }
func paleGreen() color.Color  { return color.NRGBA{0xb4, 0xe0, 0xa8, 0xff} }
func paleOrange() color.Color { return color.NRGBA{0xff, 0xcc, 0x99, 0xff} }
func paleGrey() color.Color   { return color.NRGBA{0xee, 0xee, 0xee, 0xff} }
func paleRed() color.Color    { return color.NRGBA{0xff, 0x99, 0x99, 0xff} }

// draw draws a panel.
func (d *drawn) draw(to vgdraw.Canvas, from, until time.Time) error {
	switch d.Type {
	case "row":
		write(to, d.Title, fontSize+3, vg.Point{X: to.Min.X, Y: to.Min.Y}, text.XLeft, text.YBottom)
		return nil
	case "stat":
		d.drawStat(to)
		return nil
	case "timeseries":
		return d.drawLines(to, from, until)
	default:
		return fmt.Errorf("is of type %s, which is not drawn yet", d.Type)
	}
}

func textStyle(size vg.Length) vgdraw.TextStyle {
	style := plot.New().Title.TextStyle
	style.Font.Typeface, style.Font.Variant, style.Font.Size = "Liberation", "Sans", size
	style.Color = darkText()
	return style
}

func write(to vgdraw.Canvas, what string, size vg.Length, at vg.Point, x text.XAlignment, y text.YAlignment) {
	style := textStyle(size)
	style.XAlign, style.YAlign = x, y
	to.FillText(style, at, what)
}

// drawStat draws the last value of the panel on the colour that it has.
func (d *drawn) drawStat(to vgdraw.Canvas) {
	value := math.NaN()
	for _, line := range d.lines {
		value = float64(line.Values[len(line.Values)-1].Value)
	}
	background := paleGrey()
	for _, step := range d.FieldConfig.Defaults.Thresholds.Steps {
		if step.Value == nil || value >= *step.Value {
			switch step.Color {
			case "green":
				background = paleGreen()
			case "orange":
				background = paleOrange()
			case "red":
				background = paleRed()
			}
		}
	}
	to.FillPolygon(background, []vg.Point{to.Min, {X: to.Max.X, Y: to.Min.Y}, to.Max, {X: to.Min.X, Y: to.Max.Y}})
	middle := (to.Min.X + to.Max.X) / 2
	write(to, d.Title, fontSize, vg.Point{X: middle, Y: to.Max.Y - 3}, text.XCenter, text.YTop)
	write(to, d.shown(value), 2.4*fontSize, vg.Point{X: middle, Y: to.Min.Y + (to.Max.Y-to.Min.Y)/2 - fontSize/2}, text.XCenter, text.YCenter)
}

// shown returns a value as the panel shows it: by its mappings, or as a number.
func (d *drawn) shown(value float64) string {
	for _, m := range d.FieldConfig.Defaults.Mappings {
		var values map[string]struct{ Text string }
		if m.Type == "value" && json.Unmarshal(m.Options, &values) == nil {
			if found, ok := values[strconv.FormatFloat(value, 'f', -1, 64)]; ok {
				return found.Text
			}
		}
		var span struct {
			From, To *float64
			Result   struct{ Text string }
		}
		if m.Type == "range" && json.Unmarshal(m.Options, &span) == nil && span.From != nil && value >= *span.From {
			return span.Result.Text
		}
	}
	return strconv.FormatFloat(value, 'f', 0, 64)
}

// drawLines draws the answers over time, one above the other if the panel stacks them.
func (d *drawn) drawLines(to vgdraw.Canvas, from, until time.Time) error {
	p := plot.New()
	p.Title.Text, p.Title.Padding = d.Title, vg.Points(2)
	p.Title.TextStyle, p.Legend.TextStyle = textStyle(fontSize+1), textStyle(fontSize-1)
	p.X.Min, p.X.Max = 0, until.Sub(from).Seconds()
	p.X.Tick.Label, p.Y.Tick.Label = textStyle(fontSize-1), textStyle(fontSize-1)
	p.Y.Tick.Marker = plot.TickerFunc(func(least, most float64) []plot.Tick { return d.ticks(least, most) })
	logarithmic := d.FieldConfig.Defaults.Custom.ScaleDistribution.Type == "log"
	if logarithmic {
		p.Y.Scale = plot.LogScale{}
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = nil, color.NRGBA{0xdd, 0xdd, 0xdd, 0xff}
	p.Add(grid)
	p.Y.Min, p.Y.Max = math.Inf(1), math.Inf(-1)
	below := map[float64]float64{}
	for i, line := range d.lines {
		if err := d.addLine(p, i, line, from, logarithmic, below); err != nil {
			return err
		}
	}
	if !logarithmic {
		p.Y.Min = min(p.Y.Min, 0)
	}
	if p.Y.Max <= p.Y.Min {
		p.Y.Max = p.Y.Min + 1
	}
	legendHeight := d.drawLegend(to)
	p.Draw(vgdraw.Crop(to, 0, 0, legendHeight, 0))
	return nil
}

// addLine adds an answer to a plot, in pieces where it has gaps.
func (d *drawn) addLine(p *plot.Plot, i int, line line, from time.Time, logarithmic bool, below map[float64]float64) error {
	var piece plotter.XYs
	flush := func() error {
		if len(piece) == 1 {
			piece = append(piece, plotter.XY{X: piece[0].X + 1, Y: piece[0].Y})
		}
		if len(piece) > 0 {
			drawnLine, err := plotter.NewLine(piece)
			if err != nil {
				return err
			}
			drawnLine.Color, drawnLine.Width = colours()[i%len(colours())], vg.Points(1.2)
			p.Add(drawnLine)
		}
		piece = nil
		return nil
	}
	for _, sample := range line.Values {
		x, y := sample.Timestamp.Time().Sub(from).Seconds(), float64(sample.Value)
		if d.FieldConfig.Defaults.Unit == "bytes" {
			y /= 1 << 20
		}
		if math.IsNaN(y) || math.IsInf(y, 0) || logarithmic && y <= 0 {
			if err := flush(); err != nil {
				return err
			}
			continue
		}
		if len(piece) > 0 && x-piece[len(piece)-1].X > 2*interval.Seconds() {
			if err := flush(); err != nil {
				return err
			}
		}
		if d.FieldConfig.Defaults.Custom.Stacking.Mode == "normal" {
			at := math.Round(x)
			below[at] += y
			y = below[at]
		}
		piece = append(piece, plotter.XY{X: x, Y: y})
	}
	return flush()
}

// drawLegend draws the names of the lines at the bottom, and returns how high that is.
func (d *drawn) drawLegend(to vgdraw.Canvas) (height vg.Length) {
	const lineHeight = fontSize + 2
	style := textStyle(fontSize - 1)
	x, y := to.Min.X, to.Min.Y
	for i, line := range d.lines[:min(len(d.lines), mostInLegend)] {
		if line.name == "" {
			continue
		}
		width := style.Width(line.name) + 22
		if x > to.Min.X && x+width > to.Max.X {
			x, y = to.Min.X, y+lineHeight
		}
		middle := y + lineHeight/2
		to.StrokeLine2(vgdraw.LineStyle{Color: colours()[i%len(colours())], Width: vg.Points(2)}, x, middle, x+10, middle)
		write(to, line.name, fontSize-1, vg.Point{X: x + 13, Y: middle}, text.XLeft, text.YCenter)
		x += width
	}
	return y - to.Min.Y + lineHeight + 2
}

// ticks returns marks with the unit of the panel.
func (d *drawn) ticks(least, most float64) []plot.Tick {
	var marks []plot.Tick
	if d.FieldConfig.Defaults.Custom.ScaleDistribution.Type == "log" {
		marks = plot.LogTicks{Prec: -1}.Ticks(least, most)
	} else {
		marks = plot.DefaultTicks{}.Ticks(least, most)
	}
	marks = slices.DeleteFunc(marks, func(mark plot.Tick) bool { return mark.Label == "" || mark.Value < least || mark.Value > most })
	for i := range marks {
		marks[i].Label = withUnit(marks[i].Value, d.FieldConfig.Defaults.Unit)
	}
	return marks
}

// withUnit returns a number with a unit of Grafana's.
func withUnit(value float64, unit string) string {
	number := func(v float64) string {
		return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), ".")
	}
	switch {
	case unit == "bytes":
		return number(value) + " MiB"
	case unit == "s" && value != 0 && math.Abs(value) < 1:
		return number(value*1000) + " ms"
	case unit == "s":
		return number(value) + " s"
	case unit == "ops":
		return number(value) + "/s"
	default:
		return number(value)
	}
}
