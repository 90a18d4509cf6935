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

// Package text prints what the plugin says: tables, paragraphs and times, for a terminal of some width or for a pipe.
//
// # Guarantees
//
//   - Columns line up, by the number of characters. On a terminal, what does not fit is wrapped within the last column, at spaces; where no room
//     is left for that, it is below the row. Elsewhere each row is one line, whatever its length.
//   - Colours only add to the text, and are only used where the caller has said that there is a terminal.
package text

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// gap is the space between columns, as kubectl has it.
const gap = 3

// minLast is the least width of a last column that is wrapped.
const minLast = 20

// Table is a table.
type Table struct {
	Columns []Column
	Rows    []Row
	// Each, if set, calls add with further rows. It is called twice, to align and to print, so that a long table need not be held.
	Each func(add func(style Style, cells ...string))
}

// Column is a column of a table.
type Column struct {
	Name string
	// Wide columns are shown with -o wide only.
	Wide bool
}

// Row is a row of a table. It has a cell for each column.
type Row struct {
	Cells []string
	Style Style
}

// Add adds a row.
func (t *Table) Add(style Style, cells ...string) { t.Rows = append(t.Rows, Row{cells, style}) }

// each calls do with each row.
func (t *Table) each(do func(style Style, cells ...string)) {
	for _, row := range t.Rows {
		do(row.Style, row.Cells...)
	}
	if t.Each != nil {
		t.Each(do)
	}
}

// Printer says how things are printed.
type Printer struct {
	Out io.Writer
	// Width is the width of the terminal. 0 is no limit.
	Width int
	// Color has styles shown. Wide has wide columns shown, and NoHeaders leaves out the names of columns.
	Color, Wide, NoHeaders bool
}

// Table prints a table. An empty cell is shown as <none>.
func (p *Printer) Table(t *Table) {
	each := func(do func(style Style, cells []string)) {
		if !p.NoHeaders {
			header := make([]string, 0, len(t.Columns))
			for _, column := range t.Columns {
				header = append(header, column.Name)
			}
			do(Plain, p.shown(t, header))
		}
		t.each(func(style Style, cells ...string) { do(style, p.shown(t, cells)) })
	}
	var widths []int
	each(func(_ Style, cells []string) {
		widths = append(widths, make([]int, max(0, len(cells)-len(widths)))...)
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	})
	each(func(style Style, cells []string) { p.row(Row{cells, style}, widths) })
}

// shown returns the cells of a row that are shown.
func (p *Printer) shown(t *Table, cells []string) []string {
	shown := make([]string, 0, len(cells))
	for i, column := range t.Columns {
		if !column.Wide || p.Wide {
			shown = append(shown, cmp.Or(cells[i], "<none>"))
		}
	}
	return shown
}

// below is the indent of a last column that is below its row.
const below = 4

// row prints a row whose columns have certain widths.
func (p *Printer) row(row Row, widths []int) {
	var line strings.Builder
	last := len(row.Cells) - 1
	indent := 0
	for i, cell := range row.Cells[:last] {
		line.WriteString(cell)
		line.WriteString(strings.Repeat(" ", widths[i]+gap-utf8.RuneCountInString(cell)))
		indent += widths[i] + gap
	}
	room := 0
	switch {
	case p.Width == 0:
	case p.Width-indent >= min(minLast, widths[last]):
		room = p.Width - indent
	default:
		indent, room = below, max(minLast, p.Width-below)
		text := strings.TrimRight(line.String(), " ")
		line.Reset()
		line.WriteString(text + "\n" + strings.Repeat(" ", indent))
	}
	for i, part := range Wrap(row.Cells[last], room) {
		if i > 0 {
			line.WriteString("\n" + strings.Repeat(" ", indent))
		}
		line.WriteString(part)
	}
	for part := range strings.SplitSeq(line.String(), "\n") { // a style ends with its line, so that a line can be cut
		fmt.Fprintln(p.Out, p.Style(row.Style, part))
	}
}

// Paragraph prints a text after an indent. Lines after the first have an indent of their own.
func (p *Printer) Paragraph(style Style, first, other int, words string) {
	room := 0
	if p.Width > 0 {
		room = max(minLast, p.Width-max(first, other))
	}
	for i, line := range Wrap(words, room) {
		indent := other
		if i == 0 {
			indent = first
		}
		fmt.Fprintln(p.Out, strings.Repeat(" ", indent)+p.Style(style, line))
	}
}

// Field prints a name and its value, which begins in a column. An empty value is not printed.
func (p *Printer) Field(indent, column int, name, value string) {
	if value == "" {
		return
	}
	room := 0
	if p.Width > 0 {
		room = max(minLast, p.Width-column)
	}
	for i, line := range Wrap(value, room) {
		label := ""
		if i == 0 {
			if label = strings.Repeat(" ", indent); name != "" {
				label += name + ":"
			}
		}
		fmt.Fprintf(p.Out, "%-*s%s\n", column, label, line)
	}
}

// Wrap breaks a text at spaces into lines of at most some characters. A longer word has a line of its own. 0 is no limit.
func Wrap(words string, width int) []string {
	if width <= 0 || utf8.RuneCountInString(words) <= width {
		return []string{words}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(words) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}
