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
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what was measured on, and what.
type Machine struct {
	Processors   int    `json:"processors"`
	Processor    string `json:"processor"`
	MemoryBytes  uint64 `json:"memoryBytes"`
	Kubernetes   string `json:"kubernetes"`
	Go           string `json:"go"`
	TaintManager string `json:"taintManager"`
	// PodBytes is the size of one pod as protobuf.
	PodBytes int `json:"podBytes"`
}

func (b *bench) machine(ctx context.Context) (Machine, error) {
	version, err := b.client.Discovery().ServerVersion()
	if err != nil {
		return Machine{}, fmt.Errorf("version of the API server: %w", err)
	}
	m := Machine{
		Processors: runtime.NumCPU(), Processor: lineOf("/proc/cpuinfo", "model name"),
		Kubernetes: version.GitVersion, Go: runtime.Version(), TaintManager: "unknown revision",
	}
	if kib, err := strconv.ParseUint(strings.TrimSuffix(lineOf("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.MemoryBytes = kib << 10
	}
	if revision, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		m.TaintManager = strings.TrimSpace(string(revision))
	}
	return m, nil
}

// lineOf is the value of the first line with that name, in a file of lines "name: value"; "unknown" where there is none, as
// on systems that have no such file.
func lineOf(path, name string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(data)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func (m Machine) String() string {
	text := fmt.Sprintf("%d processors (%s), %s of memory; Kubernetes %s, taint-manager %s, %s",
		m.Processors, m.Processor, bytes(m.MemoryBytes), m.Kubernetes, m.TaintManager, m.Go)
	if m.PodBytes > 0 {
		text += "; pods of " + bytes(uint64(m.PodBytes)) + " (protobuf)"
	}
	return text
}
