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

// Package runbook runs the commands of a document as a reader does who copies them into a terminal, and compares what they
// print, and their exit codes, with what the document says.
//
// The commands are between the comments <!-- NAME: begin --> and <!-- NAME: end --> of a Markdown file, in steps:
//
//	<!-- step: look -->
//
//	```sh
//	kubectl get nodes $NODE
//	kubectl diff -f node.yaml    # exit code 1
//	```
//
//	```text
//	worker-1   Ready   ...
//	```
//
// A command ends with the exit code that its comment names, or with 0. A block of text after the commands has lines that they print,
// in this order, with others between them; three dots stand for anything within a line, and the width of white space does not
// matter. A step for which the document refers to commands elsewhere in it, between markers of their own, is written
// <!-- step: switch-off, by the commands of NAME -->. Any other code would be commands that nobody runs, and is an error.
package runbook

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// Step is one block of commands.
type Step struct {
	Name string
	// Script are the commands, with their comments.
	Script string
	// Codes are the exit codes of commands that end with another one than 0. A command is written as in Script, without its comment
	// and with single spaces.
	Codes map[string]int
	// Output are lines that the commands print, among others, in this order.
	Output []string
}

var (
	stepMarker = regexp.MustCompile(`^<!-- step: ([a-z-]+)(?:, by the commands of ([a-z-]+))? -->$`)
	exitCode   = regexp.MustCompile(`\s*# exit code (\d+).*$`)
	spaces     = regexp.MustCompile(`\s+`)
)

// Read returns the steps between the markers of a name in a file, in the order of the document. An error says which line is wrong.
func Read(path, name string) ([]Step, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	steps, err := parse(string(data), name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return steps, nil
}

// between returns what is between the markers of a name, and the number of the line before it.
func between(text, name string) (section string, line int, err error) {
	before, rest, begins := strings.Cut(text, "<!-- "+name+": begin -->\n")
	section, _, ends := strings.Cut(rest, "<!-- "+name+": end -->")
	if !begins || !ends {
		return "", 0, fmt.Errorf("there is nothing between <!-- %s: begin --> and <!-- %s: end -->", name, name)
	}
	return section, strings.Count(before, "\n") + 1, nil
}

// parser reads a section line by line.
type parser struct {
	text  string // of the whole document
	steps []Step
	// open is the step whose commands come next, fence the language of the block that the line is in, if any, and block what is in it.
	open  *Step
	fence string
	block []string
}

func parse(text, name string) ([]Step, error) {
	section, first, err := between(text, name)
	if err != nil {
		return nil, err
	}
	p := &parser{text: text}
	for i, line := range strings.Split(section, "\n") {
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", first+i+1, err)
		}
	}
	switch {
	case p.fence != "":
		return nil, errors.New("the last block of code has no end")
	case p.open != nil:
		return nil, fmt.Errorf("step %s has no commands", p.open.Name)
	case len(p.steps) == 0:
		return nil, fmt.Errorf("there are no steps between the markers of %s", name)
	}
	return p.steps, nil
}

func (p *parser) line(line string) error {
	language, isFence := strings.CutPrefix(line, "```")
	switch {
	case isFence && p.fence != "":
		return p.end()
	case isFence:
		return p.begin(language)
	case p.fence != "":
		p.block = append(p.block, line)
	case strings.HasPrefix(line, "    "):
		return errors.New("indented code belongs to no step: put it into a block after <!-- step: NAME -->")
	case strings.HasPrefix(line, "<!-- step"):
		return p.mark(line)
	}
	return nil
}

// mark opens a step.
func (p *parser) mark(line string) error {
	parts := stepMarker.FindStringSubmatch(line)
	if parts == nil {
		return fmt.Errorf("%q is no <!-- step: NAME -->, nor <!-- step: NAME, by the commands of NAME -->", line)
	}
	if p.open != nil {
		return fmt.Errorf("step %s has no commands", p.open.Name)
	}
	for _, step := range p.steps {
		if step.Name == parts[1] {
			return fmt.Errorf("there is a step %s before", step.Name)
		}
	}
	p.open = &Step{Name: parts[1]}
	if parts[2] == "" {
		return nil
	}
	section, _, err := between(p.text, parts[2])
	if err != nil {
		return err
	}
	p.block = strings.Split(strings.TrimSpace(section), "\n")
	if len(p.block) < 3 || p.block[0] != "```sh" || p.block[len(p.block)-1] != "```" {
		return fmt.Errorf("between the markers of %s is more than one block of sh", parts[2])
	}
	p.block = p.block[1 : len(p.block)-1]
	return p.commands()
}

// begin is at the first line of a block.
func (p *parser) begin(language string) error {
	switch {
	case language == "sh" && p.open == nil:
		return errors.New("these commands belong to no step: put <!-- step: NAME --> before them")
	case language == "text" && (len(p.steps) == 0 || p.open != nil):
		return errors.New("no commands come before this output")
	case language != "sh" && language != "text":
		return fmt.Errorf("a block of %q is neither commands (sh) nor what they print (text)", language)
	}
	p.fence, p.block = language, nil
	return nil
}

// end is at the last line of a block.
func (p *parser) end() error {
	fence := p.fence
	p.fence = ""
	if fence == "sh" {
		return p.commands()
	}
	last := &p.steps[len(p.steps)-1]
	if last.Output != nil {
		return fmt.Errorf("step %s has two blocks of output", last.Name)
	}
	for _, line := range p.block {
		if line = normal(line); line != "" {
			last.Output = append(last.Output, line)
		}
	}
	return nil
}

// commands completes the step that is open by its commands.
func (p *parser) commands() error {
	step := p.open
	step.Script, step.Codes = strings.Join(p.block, "\n")+"\n", map[string]int{}
	for _, line := range strings.Split(strings.ReplaceAll(step.Script, "\\\n", ""), "\n") {
		parts := exitCode.FindStringSubmatch(line)
		if parts == nil {
			continue
		}
		code, err := strconv.Atoi(parts[1])
		if err != nil {
			return err
		}
		step.Codes[normal(exitCode.ReplaceAllString(line, ""))] = code
	}
	p.steps, p.open = append(p.steps, *step), nil
	return nil
}

// normal makes white space single spaces.
func normal(line string) string { return spaces.ReplaceAllString(strings.TrimSpace(line), " ") }
