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

package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/explain"
)

// Output says how results are printed.
type Output struct {
	// Format is the value of -o.
	Format    string
	NoHeaders bool

	templates *genericclioptions.KubeTemplatePrintFlags
	encodings *genericclioptions.JSONYamlPrintFlags
	// printer is that of the run: between documents of YAML it prints a separator.
	printer printers.ResourcePrinter
}

func (o *Output) addFlags(flags *pflag.FlagSet) {
	o.templates, o.encodings = genericclioptions.NewKubeTemplatePrintFlags(), genericclioptions.NewJSONYamlPrintFlags()
	flags.StringVarP(&o.Format, "output", "o", "", "Output format. One of: ("+strings.Join(o.formats(), ", ")+").")
	flags.BoolVar(&o.NoHeaders, "no-headers", false, "Print tables without the names of columns.")
}

func (o *Output) formats() []string {
	return append([]string{"wide", "name", "json", "yaml"}, o.templates.AllowedFormats()...)
}

// result is what a verb says.
type result interface {
	runtime.Object
	Common() *explain.Header
	// Names are the names of the objects that the result is about, as kubectl's -o name has them.
	Names() []string
}

// structured returns the printer of the format, or nil for text.
func (o *Output) structured() (printers.ResourcePrinter, error) {
	switch o.Format {
	case "", "wide", "name":
		return nil, nil
	case "json":
		return printers.ResourcePrinterFunc(func(object runtime.Object, to io.Writer) error { return printJSON(object.(result), to) }), nil
	}
	if o.printer != nil {
		return o.printer, nil
	}
	printer, err := o.encodings.ToPrinter(o.Format)
	if genericclioptions.IsNoCompatiblePrinterError(err) {
		printer, err = o.templates.ToPrinter(o.Format)
	}
	if genericclioptions.IsNoCompatiblePrinterError(err) {
		return nil, usagef("-o %s: must be one of %s", o.Format, strings.Join(o.formats(), ", "))
	}
	if err != nil {
		return nil, usagef("-o %s: %w", o.Format, err)
	}
	o.printer = printer
	return printer, nil
}

// print prints a result in the format that the user asked for. as prints it as text.
func (c *Common) print(r result, as func(*text.Printer)) error {
	structured, err := c.Output.structured()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.Out)
	switch {
	case structured != nil:
		err = structured.PrintObj(r, out)
	case c.Output.Format == "name":
		for _, name := range r.Names() {
			fmt.Fprintln(out, name)
		}
		printParagraphs(&text.Printer{Out: c.ErrOut}, r.Common()) // standard output is for names alone
	default:
		p := c.printer()
		p.Out = out
		as(p)
		printLimits(p, r.Common())
	}
	return errors.Join(err, out.Flush()) // which has the error of any write before
}

// printLimits prints what limits a result below it.
func printLimits(p *text.Printer, h *explain.Header) {
	if len(h.Unread)+len(h.Notes) > 0 {
		fmt.Fprintln(p.Out)
	}
	printParagraphs(p, h)
}

// printParagraphs prints each limit of a result as a paragraph.
func printParagraphs(p *text.Printer, h *explain.Header) {
	for _, unread := range h.Unread {
		p.Paragraph(text.Warn, 0, 2, fmt.Sprintf("Not read: %s (%s). Not known because of that: %s.", unread.What, unread.Error, unread.Means))
	}
	for _, note := range h.Notes {
		p.Paragraph(text.Warn, 0, 2, "Note: "+note+".")
	}
}
