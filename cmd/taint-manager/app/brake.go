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
	"fmt"
	"net/http"
	"time"

	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/brake"
)

// newBrake returns the eviction brake and the pace of nodes as configured. Both may be switched off.
func newBrake(o *Options, local clock.PassiveClock) (*brake.Brake, error) {
	seconds := func(n int32) time.Duration { return time.Duration(n) * time.Second }
	return brake.New(brake.Config{
		MaxNodes:       o.EvictionBrake.MaxNodes,
		MinNodes:       int(o.EvictionBrake.MinNodes),
		Window:         seconds(o.EvictionBrake.WindowSeconds),
		Cooldown:       seconds(o.EvictionBrake.CooldownSeconds),
		IgnoreTaints:   o.EvictionBrake.IgnoreTaints,
		NodesPerMinute: int(o.NodePace.NodesPerMinute),
		Burst:          int(o.NodePace.Burst),
		Clock:          local,
	})
}

// brakeCheck is a readiness check that never fails, and whose name says in /readyz?verbose why the eviction brake is on. A brake that is on
// is no reason to take a replica out of service.
type brakeCheck struct {
	// text is empty while the brake is off.
	text func() string
}

// Name is a constant until the controller runs, because the path of the check is made of it.
func (c brakeCheck) Name() string {
	if text := c.text(); text != "" {
		return fmt.Sprintf("eviction-brake (%s)", text)
	}
	return "eviction-brake"
}

// Check never fails.
func (c brakeCheck) Check(*http.Request) error { return nil }
