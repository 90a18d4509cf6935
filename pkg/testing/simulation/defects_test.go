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

package simulation

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/taint-manager/taint-manager/pkg/testing/mutation"
)

var (
	defectSeeds = flag.Int("defect-seeds", 0, "how many seeds TestDefectsAreCaught runs of each defect; none by default: see make test-defects")
	catches     = flag.Int("defect-catches", 0, "end with so many seeds that notice a defect; 0 for all that were asked for")
	replays     = flag.Int("defect-replays", 0, "how many of the seeds that notice a defect are repeated, 20 times each")
	onlyDefect  = flag.String("defect", "", "the one defect that TestDefectsAreCaught tries")
)

// edit is a mutation.Edit that is written in one line.
type edit struct{ In, Find, Put string }

// defect is what the controller could do wrong.
type defect struct {
	name  string
	edits []edit
	// flags are those of the simulation for this defect: of what it looks at, or what all runs have in common.
	flags string
}

// TestDefectsAreCaught puts known defects into the controller, one at a time, and shows that the simulation finds each.
func TestDefectsAreCaught(t *testing.T) {
	if *defectSeeds == 0 {
		t.Skip("takes minutes: make test-defects")
	}
	fmt.Printf("%-64s %12s  %s\n", "defect", "caught by", "the first rule that it breaks")
	for _, d := range defects() {
		if *onlyDefect != "" && d.name != *onlyDefect {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			binary := d.build(t)
			enough := *defectSeeds
			if *catches > 0 {
				enough = *catches
			}
			found := d.simulate(t, binary, "-seeds", strconv.Itoa(*defectSeeds), "-failures", strconv.Itoa(enough))
			line := fmt.Sprintf("%-64s %5d of %4d  %s\n", d.name, found.caught, *defectSeeds, found.rule)
			if found.caught == 0 {
				t.Error("nobody notices")
			}
			for _, seed := range found.seeds[:min(len(found.seeds), *replays)] {
				again := d.simulate(t, binary, "-seeds", "1", "-repeat", "20", "-failures", "20", "-seed", seed)
				line += fmt.Sprintf("    seed %s: again in %d of 20\n", seed, again.caught)
			}
			fmt.Print(line)
		})
	}
}

// finding is what some runs with a defect came to.
type finding struct {
	caught int
	rule   string
	seeds  []string
}

// simulate runs a simulation that was built with the defect.
func (d defect) simulate(t *testing.T, binary string, args ...string) (f finding) {
	t.Helper()
	args = append(args, "-test.run", "^TestSimulation$")
	args = append(args, strings.Fields(d.flags)...)
	out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
	text := string(out)
	for _, broken := range regexp.MustCompile(`seed (\d+) broke a rule: ([^:\n]*)`).FindAllStringSubmatch(text, -1) {
		f.seeds = append(f.seeds, broken[1])
		if f.rule == "" {
			f.rule = broken[2]
		}
	}
	f.caught = len(f.seeds)
	if f.caught == 0 && err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return f
}

// TestDefectsApply says which of the known defects cannot be put into the controller any more, as it is now.
func TestDefectsApply(t *testing.T) {
	for _, d := range defects() {
		t.Run(d.name, func(t *testing.T) { d.overlay(t, t.TempDir()) })
	}
}

// overlay writes the files with the defect, and returns the flag of go build that takes them.
func (d defect) overlay(t *testing.T, dir string) (flag string) {
	t.Helper()
	var edits []mutation.Edit
	for _, e := range d.edits {
		edits = append(edits, mutation.Edit(e))
	}
	edited, err := mutation.Apply(filepath.Join("..", ".."), edits)
	if err != nil {
		t.Fatal(err)
	}
	flag, err = mutation.Overlay(dir, edited)
	if err != nil {
		t.Fatal(err)
	}
	return flag
}

// build compiles the tests of this package with the defect laid over the files.
func (d defect) build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "simulation.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", d.overlay(t, dir), "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}
