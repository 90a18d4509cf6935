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
	// memoryPart is how much of the cgroup's limit the soft limit is: the kernel counts more than Go knows of.
	memoryPart = 0.9
	// memoryInterval is how often the cgroup's limit is read again: containers can be resized in place.
	memoryInterval = time.Minute
)

// limitMemory has the garbage collector keep below the limit of our cgroup, which the kernel would end the process for. A limit in
// GOMEMLIMIT is left as it is.
func limitMemory(ctx context.Context, cgroup memlimit.Provider) {
	logger := klog.FromContext(ctx)
	limit, err := memlimit.Set(memlimit.WithRatio(memoryPart), memlimit.WithProvider(cgroup), memlimit.WithRefreshInterval(ctx, memoryInterval))
	source := "cgroup"
	if _, set := os.LookupEnv("GOMEMLIMIT"); set {
		source = "GOMEMLIMIT"
	}
	switch {
	case err != nil:
		logger.Info("No soft memory limit: the limit of the cgroup cannot be read; set GOMEMLIMIT", "reason", err.Error())
	case limit == math.MaxInt64:
		logger.Info("No soft memory limit: the cgroup has none")
	default:
		logger.Info("Soft memory limit", "bytes", limit, "source", source)
	}
}
