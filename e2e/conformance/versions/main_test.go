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
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

func TestParse(t *testing.T) {
	pinned, err := controlplane.PinnedVersion()
	if err != nil {
		t.Fatal(err)
	}
	all := append(olderVersions(), pinned.String())
	for name, c := range map[string]struct {
		args, want []string
		code       int
	}{
		"all":           {want: all},
		"some":          {args: []string{"v1.37.2", "1.29.15", "1.29.15"}, want: []string{"1.37.2", "1.29.15"}},
		"flags":         {args: []string{"--build-only", "--parallel=3", "1.30.0"}, want: []string{"1.30.0"}},
		"help":          {args: []string{"--help"}},
		"a minor":       {args: []string{"1.29"}, code: 2},
		"unknown flag":  {args: []string{"--minor=29"}, code: 2},
		"none at once":  {args: []string{"--parallel=0"}, code: 2},
		"no expression": {args: []string{"--run", "(", "1.29.15"}, want: []string{"1.29.15"}}, // the go command says so
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parse(c.args)
			if code := exitCode(err); code != c.code {
				t.Fatalf("exit code %d, want %d: %v", code, c.code, err)
			}
			var got []string
			for _, version := range o.versions {
				got = append(got, version.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("versions %v, want %v", got, c.want)
			}
		})
	}
}

// TestOlderVersions has each minor from 1.29 to the one before the pinned.
func TestOlderVersions(t *testing.T) {
	pinned, err := controlplane.PinnedVersion()
	if err != nil {
		t.Fatal(err)
	}
	minor := uint(29)
	for _, text := range olderVersions() {
		version, err := controlplane.ParseVersion(text)
		if err != nil || version.Minor() != minor {
			t.Errorf("%s stands for minor %d: %v", text, minor, err)
		}
		minor++
	}
	if minor != pinned.Minor() {
		t.Errorf("the newest before %s is 1.%d", pinned, minor-1)
	}
}

func TestExitCode(t *testing.T) {
	for want, err := range map[int]error{0: nil, 1: errors.New("a test failed"), 2: fmt.Errorf("%w: no", errUsage)} {
		if got := exitCode(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
	if got := exitCode(flag.ErrHelp); got != 0 {
		t.Errorf("help: %d", got)
	}
}

// TestRunOfNoTests fails before anything is started.
func TestRunOfNoTests(t *testing.T) {
	o := options{tests: "^TestNone$", atOnce: 1}
	if err := runAll(t.Context(), o, nil, io.Discard); exitCode(err) != 2 {
		t.Error(err)
	}
}
