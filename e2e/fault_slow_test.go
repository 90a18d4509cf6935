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
	"fmt"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/webhook"
)

// TestFaultSlowWebhook has 200 pods fall due at the same moment in a namespace in which a webhook takes 6 s for each deletion, and
// 20 of another namespace on the same nodes at that moment, and 20 more 3 s later.
func TestFaultSlowWebhook(t *testing.T) {
	for _, spread := range []int{1, 10} {
		t.Run(fmt.Sprint("nodes", spread), func(t *testing.T) {
			s := suite.Alone(t)
			const count, others, later = 200, 20, 3
			nodes := s.HollowNodes(spread)
			quick := s.Beside("quick")
			hook := s.Webhook("slow", webhook.Options{Operation: admissionv1.Delete, Resource: "pods"})
			s.Start(harness.Options{Name: "slow", LeaderElect: true})
			slow := s.Create(count, 8, func(i int) *corev1.Pod {
				return builders.Pod(nodes[i%spread], builders.Named(fmt.Sprintf("pod-%d", i)))
			})
			now := quick.Create(others, 8, func(i int) *corev1.Pod {
				return builders.Pod(nodes[i%spread], builders.Named(fmt.Sprintf("now-%d", i)))
			})
			then := quick.Create(others, 8, func(i int) *corev1.Pod {
				return builders.Pod(nodes[i%spread], builders.Named(fmt.Sprintf("later-%d", i)), builders.Tolerates("ill", later))
			})
			time.Sleep(time.Second) // until the watches of both have shown all
			hook.Answers(webhook.AllowAfter(6 * time.Second))
			began := time.Now()
			for _, node := range nodes {
				s.Taint(node, builders.NoExecute("ill"))
			}
			tainted := time.Now()
			s.AwaitGone(slow, began.Add(14*time.Second))
			gone := 0
			for _, at := range s.Going(slow) {
				if !at.IsZero() && at.Before(began.Add(14*time.Second)) {
					gone++
				}
			}
			s.Saw("%d of %d pods gone within 14 s of the first taint", gone, count)
			if gone < 180 {
				t.Errorf("%d of %d pods are gone", gone, count)
			}
			for _, of := range []struct {
				pods []*corev1.Pod
				due  time.Duration
			}{{now, 0}, {then, later * time.Second}} {
				late := time.Duration(0)
				for i, at := range quick.Going(of.pods) {
					if at.IsZero() {
						t.Errorf("pod %s is not gone", of.pods[i].Name)
					}
					late = max(late, at.Sub(tainted.Add(of.due)))
				}
				s.Saw("the last of another namespace, due %s later, went %.2f s after it was due", of.due, late.Seconds())
				if late > harness.Punctual {
					t.Errorf("those of another namespace went %s late", late)
				}
			}
		})
	}
}
