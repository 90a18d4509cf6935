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

package tainteviction

import (
	"context"
	"time"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/metrics"
	"github.com/taint-manager/taint-manager/pkg/policy"
)

// policyInterval is the least time between two evaluations of all pods on tainted nodes because of policies.
const policyInterval = 100 * time.Millisecond

// policyGauges returns the gauges of what policies do. Each mode has one from the start.
func policyGauges(m *metrics.Metrics) policy.Gauges {
	gauges := policy.Gauges{Pods: map[deadline.Mode]policy.Gauge{}, Blocked: m.BlockedEvictions}
	for _, mode := range policy.Modes() {
		gauges.Pods[mode] = m.PolicyPods.New(string(mode))
	}
	return gauges
}

// followPolicies evaluates all pods on tainted nodes again when a policy has changed, until ctx is done.
func (c *Controller) followPolicies(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.config.Policies.Changed():
		}
		c.tellAll(ctx)
		c.evaluateAll() // those that a policy named until now, too
		c.starts.SetNamed(policy.NamedNoSchedule(c.config.Policies.Policies()))
		c.evaluateAll()
		select {
		case <-ctx.Done():
			return
		case <-time.After(policyInterval):
		}
	}
}

// evaluateAll has all pods on tainted nodes evaluated again.
func (c *Controller) evaluateAll() {
	for _, node := range c.starts.Nodes() {
		c.nodeUpdateQueue.Add(node)
	}
}

// policiesErr returns why policies cannot be read now, or nil.
func (c *Controller) policiesErr() error {
	if c.config.Policies == nil {
		return nil
	}
	return c.config.Policies.Err()
}
