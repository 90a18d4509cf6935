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
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/e2e/performance/figures"
)

const (
	// restInterval is how long this process must have been at rest to have done all that it had to do.
	restInterval = time.Second
	// restShare is the share of one core that it may use meanwhile.
	restShare = 0.10
	// restPatience is how long it may take to come to rest.
	restPatience = 2 * time.Minute
)

// usage is what something took.
type usage struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpuSeconds"`
	// Allocated is in bytes.
	Allocated float64 `json:"allocated"`
}

// spent is the usage of a function: the time until it returns, and the processor time until all that it caused is done.
func spent(ctx context.Context, do func() error) (usage, error) {
	began, before, allocatedBefore := time.Now(), figures.ProcessorTime(), allocated()
	err := do()
	took := time.Since(began)
	err = errors.Join(err, rest(ctx))
	return usage{took.Seconds(), (figures.ProcessorTime() - before).Seconds(), allocated() - allocatedBefore}, err
}

// allocated is how many bytes this process has allocated on the heap.
func allocated() float64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.TotalAlloc)
}

// rest waits until this process has nothing left to do.
func rest(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for began := time.Now(); time.Since(began) < restPatience; {
		before := figures.ProcessorTime()
		if err := loop.Sleep(ctx, restInterval); err != nil {
			return err
		}
		if (figures.ProcessorTime() - before).Seconds() < restShare*restInterval.Seconds() {
			return nil
		}
	}
	return fmt.Errorf("the controller is not at rest after %s: run with --profiles and look at what it does", restPatience)
}

// liveHeap is what is in use on the heap, in bytes. Two collections: what only caches and weak pointers hold goes with the second.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// resident is the resident memory of this process, and the most that it has been, in bytes.
func resident() (now, peak int64, err error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, fmt.Errorf("resident memory: %w: run this on Linux", err)
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != "VmRSS:" && words[0] != "VmHWM:" {
			continue
		}
		kib, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("resident memory: the kernel says %q: %w", line, err)
		}
		if words[0] == "VmRSS:" {
			now = kib << 10
		} else {
			peak = kib << 10
		}
	}
	if now == 0 || peak == 0 {
		return 0, 0, errors.New("resident memory: the kernel reports none: run this on Linux")
	}
	return now, peak, nil
}

// profiles are written to files with this prefix; an empty one is for none.
type profiles struct{ prefix string }

// cpu writes a profile of what happens until the function is called that it returns.
func (p profiles) cpu(name string) (stop func() error, err error) {
	if p.prefix == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(p.prefix + name + ".cpu.pprof")
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("profile: %w", err), file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

// heap writes a profile of what is on the heap.
func (p profiles) heap(name string) error {
	if p.prefix == "" {
		return nil
	}
	file, err := os.Create(p.prefix + name + ".heap.pprof")
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return errors.Join(pprof.Lookup("heap").WriteTo(file, 0), file.Close())
}
