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
	"errors"
	"math"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
)

// TestLimitMemory runs with each result that reading the cgroup can have. The library tests which files it reads: cgroups v1
// and v2, nested, and without a limit.
func TestLimitMemory(t *testing.T) {
	const before = 1 << 40
	for _, test := range []struct {
		name        string
		provider    memlimit.Provider
		environment string
		want        int64
		says        string
	}{
		{"a limit", memlimit.Limit(512 << 20), "", 512 << 20 * 9 / 10, `source="cgroup"`},
		{"no limit", func() (uint64, error) { return 0, memlimit.ErrNoLimit }, "", math.MaxInt64, "No soft memory limit"},
		{"no answer", func() (uint64, error) { return 0, errors.New("no cgroup") }, "", before, "no cgroup"},
		{"GOMEMLIMIT", memlimit.Limit(512 << 20), "1TiB", before, `source="GOMEMLIMIT"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer debug.SetMemoryLimit(debug.SetMemoryLimit(before))
			if test.environment != "" {
				t.Setenv("GOMEMLIMIT", test.environment)
			}
			logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
			limitMemory(klog.NewContext(t.Context(), logger), test.provider)
			if got := debug.SetMemoryLimit(-1); got != test.want {
				t.Errorf("the soft limit is %d, expected %d", got, test.want)
			}
			log := logger.GetSink().(ktesting.Underlier).GetBuffer().String()
			if !strings.Contains(log, test.says) || strings.Count(log, "\n") != 1 {
				t.Errorf("says %q, expected one line with %q", log, test.says)
			}
		})
	}
}

// TestLimitMemoryFollowsTheCgroup changes the limit while we run, as when a container is resized in place.
func TestLimitMemoryFollowsTheCgroup(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	synctest.Test(t, func(t *testing.T) {
		var limit atomic.Uint64
		limit.Store(1000 << 20)
		limitMemory(t.Context(), func() (uint64, error) { return limit.Load(), nil })
		limit.Store(2000 << 20)
		time.Sleep(memoryInterval + time.Second)
		synctest.Wait()
		if got := debug.SetMemoryLimit(-1); got != 1800<<20 {
			t.Errorf("the soft limit is %d", got)
		}
	})
}
