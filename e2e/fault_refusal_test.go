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

package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// refusedFor is how long the API server refuses what is asked of it.
const refusedFor = 10 * time.Second

// TestFaultDeletesDenied has an admission policy deny all deletions in the middle of a storm.
func TestFaultDeletesDenied(t *testing.T) {
	suite.OursOnly(t, "it gives up after some tries")
	s := suite.Alone(t)
	s.Start(harness.Options{Name: "denied", LeaderElect: true})
	storm := s.Storm(stormPods+stormPods/2, stormNodes) // it takes the API server a second to act on a policy
	storm.Begin()
	allow := s.DenyDeletes()
	denied := time.Now()
	storm.Unfinished()
	storm.Spare()
	storm.Calm(denied.Add(refusedFor))
	allow()
	storm.Recovers(timing.Now())
}

// TestFaultPermissionsWithdrawn has the account lose first the permission to delete pods, and then all.
func TestFaultPermissionsWithdrawn(t *testing.T) {
	suite.OursOnly(t, "about our own permissions")
	const account = "withdrawn"
	rules := launcher.Rules()
	rules[0].Verbs = []string{"get", "list", "watch"} // of pods, not delete
	s := suite.Alone(t)
	s.Start(harness.Options{Name: "withdrawn", LeaderElect: true, Kubeconfig: s.Account(account, launcher.Rules())})
	storm := s.Storm(stormPods, stormNodes)
	storm.Begin()
	storm.AwaitGone(0.25)
	s.Account(account, rules)
	s.Eventually("withdrawal", 10*time.Second, func(ctx context.Context) error {
		may, err := s.MayDelete(ctx, account)
		if may {
			err = errors.New("it may delete pods")
		}
		return err
	})
	withdrawn := time.Now()
	storm.Unfinished()
	storm.Spare()
	storm.Calm(withdrawn.Add(refusedFor / 2))
	s.Withdraw(account)
	storm.Calm(withdrawn.Add(refusedFor))
	s.Account(account, launcher.Rules()) // waits until it has effect
	storm.Recovers(timing.Now())
}

// TestFaultTooManyRequests has all watches end in the middle of a storm, and every request answered with 429 for some time.
func TestFaultTooManyRequests(t *testing.T) {
	suite.OursOnly(t, "it gives up after some tries")
	s := suite.Alone(t)
	proxy := s.Proxy(0)
	controller := s.Start(harness.Options{Name: "busy", LeaderElect: true, Proxy: proxy})
	storm := s.Storm(stormPods, stormNodes)
	storm.Begin()
	storm.AwaitGone(0.25)
	end := proxy.Busy()
	storm.Spare()
	storm.Calm(time.Now().Add(refusedFor))
	refused := end()
	over := timing.Now()
	s.Saw("%d requests in %s were answered with 429", refused, refusedFor)
	storm.Recovers(over)
	s.Must(controller.Stop()) // before the proxy, so that it can release its Lease
}
