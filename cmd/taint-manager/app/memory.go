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
