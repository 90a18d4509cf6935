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

package controlplane

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestFreePorts(t *testing.T) {
	ports, err := freePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 20 {
		t.Errorf("ports repeat: %v", ports)
	}
	for _, port := range ports {
		if end := firstEphemeralPort(); end > lowestPort && port >= end {
			t.Errorf("port %d is one for outgoing connections", port)
		}
	}
}

// fakePart is a shell that runs the scripts one after the other, and is ready when its log says so.
func fakePart(scripts ...string) (part, *int) {
	runs := new(int)
	return part{program: "fake", ports: 1, spec: func(cp *ControlPlane, _ []int) Spec {
		script := scripts[min(*runs, len(scripts)-1)]
		*runs++
		return Spec{Args: []string{"-c", script}, Ready: func(context.Context) error {
			if !strings.HasSuffix(tail(cp.dir+"/fake.log", 0, 1), "ready") {
				return errors.New("the log does not say so")
			}
			return nil
		}}
	}}, runs
}

func TestPartMovesToAnotherPort(t *testing.T) {
	const taken = `echo "listen tcp 127.0.0.1:1: bind: address already in use"; exit 1`
	for name, test := range map[string]struct {
		scripts []string
		runs    int
		starts  bool
	}{
		"when its port is taken":          {[]string{taken, taken, "echo ready; exec sleep 600"}, 3, true},
		"not when it fails otherwise":     {[]string{"echo no such flag; exit 1"}, 1, false},
		"but not if every port was taken": {[]string{taken}, 4, false},
	} {
		t.Run(name, func(t *testing.T) {
			cp := &ControlPlane{
				dir:      t.TempDir(),
				binaries: map[Program]string{"fake": "/bin/sh"},
				options:  Options{Progress: io.Discard},
			}
			part, runs := fakePart(test.scripts...)
			process, err := cp.startPart(t.Context(), part)
			if (err == nil) != test.starts || *runs != test.runs {
				t.Errorf("%d runs, want %d: %v", *runs, test.runs, err)
			}
			if err == nil {
				if err := process.Kill(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	if got := (Options{}).withDefaults().Parts; !slices.Equal(got, AllParts()) {
		t.Errorf("by default the parts are %v", got)
	}
	got := Options{Parts: []Program{ControllerManager}}.withDefaults().Parts
	if want := []Program{Etcd, APIServer, ControllerManager}; !slices.Equal(got, want) {
		t.Errorf("the parts are %v, want %v", got, want)
	}
}
