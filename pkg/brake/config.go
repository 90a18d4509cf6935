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

package brake

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/clock"
)

// Config is what the operator chose, and the clock.
type Config struct {
	// MaxNodes is the limit: a number, or a share of all nodes such as 20%. 0 switches the brake off.
	MaxNodes intstr.IntOrString
	// MinNodes is how many nodes must count, at least, before the brake goes on. It is used only where MaxNodes is a share.
	MinNodes int
	// Window is for how long a cause counts.
	Window time.Duration
	// Cooldown is for how long the brake stays on after no more nodes count than the limit.
	Cooldown time.Duration
	// IgnoreTaints are the keys of taints that are never a cause, and never held.
	IgnoreTaints []string
	// NodesPerMinute is how many nodes may begin to evict in a minute. 0 is no limit.
	NodesPerMinute int
	// Burst is how many nodes may begin at the same time, where none began for a while. 0 is 1.
	Burst int
	// Clock is the timeline of all times here, which must not step: see serverclock.NewSteady. Timers are the runtime's.
	Clock clock.PassiveClock
}

func (c *Config) validate() error {
	var errs []error
	if _, err := intstr.GetScaledValueFromIntOrPercent(&c.MaxNodes, 100, false); err != nil {
		errs = append(errs, fmt.Errorf("maximum of nodes: %w", err))
	}
	if c.Window <= 0 {
		errs = append(errs, fmt.Errorf("window: must be above 0, is %v", c.Window))
	}
	for name, n := range map[string]int64{
		"minimum of nodes": int64(c.MinNodes), "cooldown": int64(c.Cooldown), "nodes per minute": int64(c.NodesPerMinute), "burst": int64(c.Burst),
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s: must not be negative", name))
		}
	}
	if c.Clock == nil {
		errs = append(errs, errors.New("there is no clock"))
	}
	return errors.Join(errs...)
}

// holds reports whether the brake can go on at all.
func (c *Config) holds() bool {
	of100, err := intstr.GetScaledValueFromIntOrPercent(&c.MaxNodes, 100, false)
	return err == nil && of100 > 0
}

// limit returns how many of all nodes may count.
func (c *Config) limit(nodes int) int {
	limit, _ := intstr.GetScaledValueFromIntOrPercent(&c.MaxNodes, nodes, false) // validate has seen the error
	if c.MaxNodes.Type == intstr.String {
		limit = max(limit, c.MinNodes-1)
	}
	return limit
}
