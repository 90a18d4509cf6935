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
	"context"
	"math"
	"os"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"k8s.io/klog/v2"
)

const (
	// memoryPart is the soft limit as a fraction of the cgroup's limit. The kernel also counts memory that Go does not know
	// of.
	memoryPart = 0.9
	// memoryInterval is how often the cgroup's limit is read again, because containers can be resized in place.
	memoryInterval = time.Minute
)

// limitMemory makes the garbage collector keep memory below the limit of our cgroup, beyond which the kernel kills the
// process. It does not override GOMEMLIMIT.
func limitMemory(ctx context.Context, cgroup memlimit.Provider) {
	logger := klog.FromContext(ctx)
	limit, err := memlimit.Set(memlimit.WithRatio(memoryPart), memlimit.WithProvider(cgroup), memlimit.WithRefreshInterval(ctx, memoryInterval))
	source := "cgroup"
	if _, set := os.LookupEnv("GOMEMLIMIT"); set {
		source = "GOMEMLIMIT"
	}
	switch {
	case err != nil:
		logger.Info("No soft memory limit, cannot read the limit of the cgroup; set GOMEMLIMIT", "reason", err.Error())
	case limit == math.MaxInt64:
		logger.Info("No soft memory limit, the cgroup has none")
	default:
		logger.Info("Soft memory limit", "bytes", limit, "source", source)
	}
}
