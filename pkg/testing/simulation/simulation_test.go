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
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

var (
	seedFlag  = flag.Uint64("seed", 1, "the first seed of TestSimulation")
	seedsFlag = flag.Int("seeds", 20, "how many seeds TestSimulation runs; of one, everything is told")
	repeat    = flag.Int("repeat", 1, "how often TestSimulation runs each seed")
	trusting  = flag.Bool("requests-are-right", false, "do not look at what requests say, only at what comes of them")
	keeping   = flag.Bool("keep-starts", false, "keep starts in a ConfigMap in all runs, and not by chance")
	unmanaged = flag.Bool("no-managed-fields", false, "have nodes without managedFields in all runs, and not by chance")
	policing  = flag.Bool("policies", false, "have replicas read policies in all runs, and not by chance")
	plain     = flag.Bool("no-policies", false, "have no policies in any run, and not by chance")
	braking   = flag.Bool("brake", false, "have policies and an eviction brake in all runs, and not by chance")
	pacing    = flag.Bool("pace", false, "have policies and a pace of nodes in all runs, and not by chance")
	failures  = flag.Int("failures", 3, "how many seeds may fail before TestSimulation ends")
)

// running are the seeds that are.
var running sync.Map

func TestMain(m *testing.M) {
	// The handlers that are there by default sleep, by a time that all bubbles share: it is not the same in any two.
	debug.SetGCPercent(400) // much garbage, and little that stays
	utilruntime.ErrorHandlers = []utilruntime.ErrorHandler{func(context.Context, error, string, ...any) {}}
	// A panic of the controller ends the process. One of these seeds it was.
	utilruntime.PanicHandlers = append(utilruntime.PanicHandlers, func(_ context.Context, reason any) {
		running.Range(func(seed, _ any) bool {
			fmt.Printf("panic while seed %v was running: %v\n", seed, reason)
			return true
		})
	})
	os.Exit(m.Run())
}

// TestSimulation makes the runs of some seeds, as many at a time as there are processors.
func TestSimulation(t *testing.T) {
	began := time.Now()
	var next, done, failed, evictions, requests atomic.Int64
	var passed atomic.Int64
	progress := func() string {
		took := time.Since(began)
		return fmt.Sprintf("%d seeds in %s, %.1f/s; %.1f virtual hours, %d evictions, %d requests; %d seeds failed", done.Load(), took.Round(time.Second),
			float64(done.Load())/took.Seconds(), time.Duration(passed.Load()).Hours(), evictions.Load(), requests.Load(), failed.Load())
	}
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for failed.Load() < int64(*failures) {
				n := next.Add(1) - 1
				if n >= int64(*seedsFlag**repeat) {
					return
				}
				report := run(t, *seedFlag+uint64(n)/uint64(*repeat), n == int64(*seedsFlag**repeat)-1)
				if len(report.Broken) > 0 {
					failed.Add(1)
					t.Fail()
					fmt.Printf("%s\n\n", report)
				}
				passed.Add(int64(report.Passed))
				evictions.Add(int64(report.Evictions))
				requests.Add(int64(report.Requests))
				if done.Add(1)%500 == 0 {
					fmt.Println(progress())
				}
			}
		})
	}
	workers.Wait()
	fmt.Println(progress())
}

// run makes the run of a seed in a bubble of its own. Of a single seed, everything is told that a failure came of, or the last
// run if all are well: what happens at the same moment has no fixed order, so a seed may fail in some runs only.
func run(t *testing.T, seed uint64, lastOne bool) (report Report) {
	options := Options{TrustRequests: *trusting, Keeps: *keeping, NoManagedFields: *unmanaged, Policies: *policing, NoPolicies: *plain, Brake: *braking, Paced: *pacing}
	var told []string
	if *seedsFlag == 1 {
		options.Verbose = func(line string) { told = append(told, line) }
	}
	running.Store(seed, true)
	defer running.Delete(seed)
	defer func() {
		if r := recover(); r != nil {
			panic(fmt.Sprintf("seed %d: %v", seed, r)) // goroutines are left in the bubble
		}
	}()
	synctest.Test(t, func(*testing.T) { report = Run(seed, options) })
	if len(report.Broken) > 0 || lastOne {
		fmt.Println(strings.Join(told, "\n"))
	}
	return report
}

// fuzzing says whether the fuzzer is searching, and not only trying its corpus.
func fuzzing() bool {
	fuzz := flag.Lookup("test.fuzz")
	worker := flag.Lookup("test.fuzzworker")
	return (fuzz != nil && fuzz.Value.String() != "") || (worker != nil && worker.Value.String() == "true")
}
